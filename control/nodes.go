package control

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// NodeInfo is what a node tells of itself.
type NodeInfo struct {
	Node    string
	Version string
	Run     string // hex
	BootID  string // hex
	NetNS   []string
	RTT     time.Duration // until it answered when the client asked who is there

	// Agent and Sinks are what its status records hold: uptime, how full its
	// tables are, sockets, warnings; and the books of every sink (Up, Held,
	// Dropped). They are empty if Err says why.
	Agent *flow.Agent
	Sinks []flow.SinkBooks
	Err   error
}

// Nodes asks who is there and how each is, in the order of names. A node that
// answered this client before, or is expected, and now does not has only its
// name and Err.
func (c *Client) Nodes(ctx context.Context, expect ...string) ([]NodeInfo, error) {
	found, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]*NodeInfo{}
	for _, node := range c.known.union(found, expect) {
		byName[node] = &NodeInfo{Node: node}
	}
	for i := range found {
		byName[found[i].Node] = &found[i]
	}
	if err := c.askAgents(ctx, byName); err != nil {
		return nil, err
	}
	all := make([]NodeInfo, 0, len(byName))
	for _, n := range byName {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b NodeInfo) int { return strings.Compare(a.Node, b.Node) })
	return all, nil
}

// askAgents fills in what only a request tells.
func (c *Client) askAgents(ctx context.Context, byName map[string]*NodeInfo) error {
	rows := func(b *flow.Batch) error {
		for i := range b.Events() {
			if e := &b.Events()[i]; e.Origin != nil && e.Agent != nil {
				nodeOf(byName, e.Origin.Node).add(e.Agent)
			}
		}
		return nil
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	if len(names) == 0 {
		return absent("", c.subjects.Fleet(TableAgent, VerbStats))
	}
	answers, err := c.Fleet().call(ctx, &Request{Verb: VerbStats, Table: TableAgent}, rows, names)
	for _, a := range answers {
		nodeOf(byName, a.Node).Err = a.Err
	}
	return err
}

func nodeOf(byName map[string]*NodeInfo, name string) *NodeInfo {
	n := byName[name]
	if n == nil {
		n = &NodeInfo{Node: name}
		byName[name] = n
	}
	return n
}

// add takes one status record.
func (n *NodeInfo) add(a *flow.Agent) {
	if a.Sink != nil {
		n.Sinks = append(n.Sinks, *a.Sink)
	}
	if n.Agent == nil {
		own := *a
		own.Sink = nil
		n.Agent = &own
		if n.Version == "" {
			n.Version = a.Version
		}
	}
}

// discover asks NATS who is there. It waits until nobody more has answered for
// a third of the time it has.
func (c *Client) discover(ctx context.Context) ([]NodeInfo, error) {
	subject, err := micro.ControlSubject(micro.PingVerb, ServiceName, "")
	if err != nil {
		return nil, err
	}
	msgs, inbox := make(chan *nats.Msg, maxKnown), c.nc.NewInbox()
	sub, err := c.nc.ChanSubscribe(inbox, msgs)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	refused := make(chan *natsconn.PermissionError, 1)
	defer c.denials.forget(refused)
	c.denials.wait(refused, subject)
	c.denials.wait(refused, inbox)
	begun := time.Now()
	if err := c.nc.PublishRequest(subject, inbox, nil); err != nil {
		if errors.Is(err, nats.ErrReconnectBufExceeded) {
			err = nats.ErrDisconnected
		}
		return nil, err
	}
	return c.gather(ctx, msgs, refused, begun)
}

// gather takes the answers.
func (c *Client) gather(ctx context.Context, msgs <-chan *nats.Msg, refused <-chan *natsconn.PermissionError, begun time.Time) (found []NodeInfo, err error) {
	end, quiet := time.NewTimer(c.o.Discover), time.NewTimer(c.o.Discover)
	defer end.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case pe := <-refused:
			return nil, denied("", pe)
		case <-end.C:
			return found, nil
		case <-quiet.C:
			return found, nil
		case m := <-msgs:
			if isNobody(m) {
				return found, nil
			}
			if n, ok := c.readPing(m.Data); ok {
				n.RTT = time.Since(begun)
				found = append(found, n)
			}
			quiet.Reset(c.o.Discover / 3)
		}
	}
}

// readPing reads a node's answer, if it is of this site. A node without control
// in its metadata is no node of ours.
func (c *Client) readPing(data []byte) (n NodeInfo, ok bool) {
	var p micro.Ping
	if json.Unmarshal(data, &p) != nil {
		return n, false
	}
	m := p.Metadata
	n = NodeInfo{Node: m[metaNode], Version: m[metaVersion], Run: m[metaRun], BootID: m[metaBoot]}
	if m[metaNetNS] != "" {
		n.NetNS = strings.Split(m[metaNetNS], ",")
	}
	return n, n.Node != "" && m[metaSite] == c.subjects.Site && m[metaPrefix] == c.subjects.Prefix
}
