package control

import "context"

// Peer is where a request came from over NATS. A request without one was made
// on this host.
type Peer struct {
	Subject string // to which it was sent
	Fleet   bool   // it was sent to every node
	User    string // who the caller says it is (header Ctferry-User): a claim

	// Info is the header Nats-Request-Info as it came, JSON: nats-server writes
	// it where the node's account is reached through a service import with
	// "share". It is as good as User where the caller is of the node's own
	// account, which can write the header itself.
	Info string
}

// peerKey is Peer's place in a context.
type peerKey struct{}

// WithPeer adds a peer to ctx, for the guard and the audit.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf gives the peer of the request that is carried out under ctx.
func PeerOf(ctx context.Context) (p Peer, ok bool) {
	p, ok = ctx.Value(peerKey{}).(Peer)
	return p, ok
}
