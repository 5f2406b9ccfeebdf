package natsconn

import (
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// Defaults that Dial puts in place of zero values.
const (
	// DefaultConnectTimeout bounds one attempt at one server, from the name
	// lookup to the end of the handshake.
	DefaultConnectTimeout = 5 * time.Second
	// DefaultReconnectWait is the first pause after a whole round of servers
	// failed; each further round doubles it.
	DefaultReconnectWait = 250 * time.Millisecond
	// DefaultReconnectMaxWait is where the doubling stops.
	DefaultReconnectMaxWait = 5 * time.Second
	// DefaultPingInterval with DefaultMaxPingsOut tells within a minute that a
	// peer died without a word; nats.go's own default takes six.
	DefaultPingInterval = 20 * time.Second
	// DefaultMaxPingsOut is how many pings may stay unanswered.
	DefaultMaxPingsOut = 2
	// DefaultWriteTimeout bounds one write to the socket.
	DefaultWriteTimeout = 10 * time.Second
	// DefaultDrainTimeout bounds Conn.Drain.
	DefaultDrainTimeout = 10 * time.Second
)

// Config says how to reach NATS and as whom. At most one kind of authentication
// may be given: a credentials file, an nkey, a token, or a user with a password.
// A client certificate in TLS may stand beside any of them. Durations of zero
// mean the package's default. The zero Config is not valid: it has no URLs.
type Config struct {
	// URLs are the servers, each nats://, tls://, ws:// or wss://, tried in random
	// order. They carry no user, password or token: URLs end up in logs.
	URLs []string
	// Ordered keeps the order of URLs, so that the first is always preferred.
	Ordered bool
	// IgnoreDiscovered keeps to URLs alone; otherwise servers of the cluster that
	// the first one tells of are used as well.
	IgnoreDiscovered bool
	// Name is the connection's name in the server's monitoring.
	Name string

	// CredsFile holds a user JWT and its nkey seed. Read at every connect.
	CredsFile string
	// NkeyFile holds a user nkey seed. The seed is read at every connect, but the
	// public key only by Dial: another key needs another Dial.
	NkeyFile string
	// Token, or the content of TokenFile (read at every connect).
	Token option.Secret
	// TokenFile is the alternative to Token.
	TokenFile string
	// User goes with Password, or with the content of PasswordFile (read at every
	// connect).
	User string
	// Password is the user's password.
	Password option.Secret
	// PasswordFile is the alternative to Password.
	PasswordFile string

	// TLS is used when any of its fields is set or a URL is tls:// or wss://. Its
	// files are read at every connect, so certificates may be renewed in place.
	TLS option.TLS
	// TLSHandshakeFirst begins with TLS instead of the server's INFO line; the
	// server must be set likewise. It turns TLS on by itself.
	TLSHandshakeFirst bool

	// ConnectTimeout bounds one attempt at one server.
	ConnectTimeout time.Duration
	// ReconnectWait is the first pause between rounds of reconnecting; a random
	// half of it is taken off, so that a fleet does not return in step.
	ReconnectWait time.Duration
	// ReconnectMaxWait is the longest pause.
	ReconnectMaxWait time.Duration
	// PingInterval is the time between pings of the server.
	PingInterval time.Duration
	// MaxPingsOut unanswered pings end the connection, which then reconnects.
	MaxPingsOut int
	// WriteTimeout bounds one write to the socket; a write that fails makes the
	// client reconnect at once.
	WriteTimeout time.Duration
	// DrainTimeout bounds Conn.Drain.
	DrainTimeout time.Duration
	// InboxPrefix replaces _INBOX, so that permissions can keep one user's
	// replies from another.
	InboxPrefix string
	// NoEcho keeps the server from sending back what this connection published.
	NoEcho bool
}

// withDefaults returns a copy in which zero values have become the defaults.
func (c Config) withDefaults() Config {
	orDefault(&c.ConnectTimeout, DefaultConnectTimeout)
	orDefault(&c.ReconnectWait, DefaultReconnectWait)
	orDefault(&c.ReconnectMaxWait, max(DefaultReconnectMaxWait, c.ReconnectWait))
	orDefault(&c.PingInterval, DefaultPingInterval)
	orDefault(&c.MaxPingsOut, DefaultMaxPingsOut)
	orDefault(&c.WriteTimeout, DefaultWriteTimeout)
	orDefault(&c.DrainTimeout, DefaultDrainTimeout)
	return c
}

// orDefault sets *v to def if it is the zero value.
func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
