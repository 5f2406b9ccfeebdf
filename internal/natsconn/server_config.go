package natsconn

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
)

// Defaults that the embedded server puts in place of zero values. nats-server's
// own would be three quarters of the machine's memory and disk.
const (
	// DefaultMaxMemory bounds JetStream's streams in memory, in bytes.
	DefaultMaxMemory = 64 << 20
	// DefaultMaxStore bounds JetStream's streams on disk, in bytes.
	DefaultMaxStore = 1 << 30
)

// ServerConfig sets up the embedded server. The zero value is a server without
// JetStream, for clients in this process only, who need no password.
type ServerConfig struct {
	// Name is the server's name in monitoring; without one it is a random key.
	Name string
	// Listen is host:port for clients. Empty: only clients in this process. Port
	// 0 takes a free one and keeps it over restarts.
	Listen string
	// StoreDir is where JetStream keeps its files; empty turns JetStream off. The
	// server makes it, and locks it while it runs.
	StoreDir string
	// JetStream are its limits.
	JetStream JetStream
	// MaxPayload bounds one message, in bytes; zero is nats-server's 1 MiB.
	MaxPayload int32
	// MaxConnections bounds the clients; zero is nats-server's 65536.
	MaxConnections int

	// Users and NkeyUsers may connect, each with permissions. Once there is any,
	// or a Token, clients without a name are refused, those in this process too.
	Users []*server.User
	// NkeyUsers are users who sign with an nkey.
	NkeyUsers []*server.NkeyUser
	// Accounts separate subjects; users name theirs.
	Accounts []*server.Account
	// SystemAccount is the account that sees the server's own events.
	SystemAccount string
	// NoAuthUser is the user as whom a client without a name is taken.
	NoAuthUser string
	// Token is the one secret of a server without users.
	Token option.Secret

	// TLS is for clients on Listen.
	TLS ServerTLS
	// LeafListen is host:port for leaf nodes of this server; empty takes none.
	LeafListen string
	// Leafnodes are the hubs that this server joins as a leaf.
	Leafnodes []Leafnode

	// Adjust may change what has no setting here, for instance trusted operators
	// and their account resolver. It is called at each Start, after everything
	// else but what keeps the server from this process's signals and its stderr.
	Adjust func(*server.Options)
}

// JetStream are the limits of the embedded server's streams.
type JetStream struct {
	// MaxMemory bounds streams in memory, in bytes; zero is DefaultMaxMemory.
	MaxMemory int64
	// MaxStore bounds streams on disk, in bytes; zero is DefaultMaxStore.
	MaxStore int64
	// Domain keeps this JetStream apart from a hub's.
	Domain string
	// SyncInterval is the time between fsyncs; zero is nats-server's two minutes:
	// what was acknowledged since is lost with the machine, not with the process.
	SyncInterval time.Duration
	// SyncAlways syncs before each acknowledgement, which is far slower.
	SyncAlways bool
}

// Validate checks everything that can be known without touching a file or the
// network. It returns nil, or one *FieldError for each fault, joined.
func (c ServerConfig) Validate() error {
	p := c.problems()
	return p.join()
}

func (c ServerConfig) problems() problems {
	var p problems
	checkListen(&p, "listen", c.Listen)
	checkListen(&p, "leaf_listen", c.LeafListen)
	p.check(strings.ContainsAny(c.Name, " \t\r\n"), "name", "%q: must not hold spaces", c.Name)
	p.check(c.MaxPayload < 0, "max_payload", "%d: must not be negative", c.MaxPayload)
	p.check(c.MaxConnections < 0, "max_connections", "%d: must not be negative", c.MaxConnections)
	p.check(!c.Token.IsZero() && len(c.Users)+len(c.NkeyUsers) > 0, "token", "cannot stand beside users")
	p.under("jetstream", c.JetStream.problems())
	p.check(c.StoreDir == "" && c.JetStream != JetStream{}, "store_dir", "missing beside jetstream")
	p.under("tls", c.TLS.problems())
	for i, leaf := range c.Leafnodes {
		p.under(fmt.Sprintf("leafnodes[%d]", i), leaf.problems())
	}
	return p
}

func (j JetStream) problems() problems {
	var p problems
	p.check(j.MaxMemory < 0, "max_memory", "%d: must not be negative", j.MaxMemory)
	p.check(j.MaxStore < 0, "max_store", "%d: must not be negative", j.MaxStore)
	p.check(j.SyncInterval < 0, "sync_interval", "%v: must not be negative", j.SyncInterval)
	p.check(j.SyncAlways && j.SyncInterval > 0, "sync_interval", "sync_always is set too; only one of them may be")
	p.check(j.Domain != "" && !isSubject(j.Domain), "domain", "%q: expected a subject token", j.Domain)
	return p
}

// checkListen notes what is wrong with an address to listen on.
func checkListen(p *problems, field, address string) {
	if address == "" {
		return
	}
	if _, _, err := splitListen(address); err != nil {
		p.addf(field, "%q: expected host:port, for example 127.0.0.1:4222", address)
	}
}

// splitListen takes host:port apart; the port is a number.
func splitListen(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, int(n), err
}

// hostPort joins them, an IPv6 address in brackets.
func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// hostOf returns the host of host:port.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

// isOpen reports whether anyone may connect without saying who he is.
func (c ServerConfig) isOpen() bool {
	return len(c.Users)+len(c.NkeyUsers) == 0 && c.Token.IsZero() && !c.TLS.Verify && c.Adjust == nil || c.NoAuthUser != ""
}
