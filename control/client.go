package control

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// ClientOptions say where nodes are found, and as whom.
type ClientOptions struct {
	Prefix string // of subjects; "" is that of DefaultConfig
	Site   string // likewise
	User   string // who calls, for the nodes' audit; they cannot verify it

	// Silence is after how long without a word a node counts as slow; 0 is ten
	// seconds. A node that works speaks every three.
	Silence time.Duration
	// Discover is how long nodes have to answer when the client asks who is
	// there; 0 is one second.
	Discover time.Duration
	// Memory bounds what the nodes may have under way to this client in one
	// call, in bytes; 0 is 32 MiB. It is shared among the nodes that are known,
	// each of which may send at least two messages of 16 KiB.
	Memory int
}

// Defaults of ClientOptions.
const (
	defaultSilence  = 10 * time.Second
	defaultDiscover = time.Second
	defaultMemory   = 32 << 20
)

// Client calls nodes over NATS. It keeps nothing but the names of nodes that
// once answered. It may be used by several goroutines.
type Client struct {
	nc       *nats.Conn
	o        ClientOptions
	subjects Subjects
	beat     time.Duration // between two words to a node
	denials  *denials
	known    knownNodes
}

// NewClient makes a client on a connection that stays the caller's. It puts
// itself before the connection's error handler, for that is where nats-server
// tells of a missing permission.
func NewClient(nc *nats.Conn, o ClientOptions) (*Client, error) {
	def := DefaultConfig()
	o.Prefix, o.Site = cmp.Or(o.Prefix, def.Prefix), cmp.Or(o.Site, def.Site)
	o.Silence, o.Discover, o.Memory = cmp.Or(o.Silence, defaultSilence), cmp.Or(o.Discover, defaultDiscover), cmp.Or(o.Memory, defaultMemory)
	c := &Client{nc: nc, o: o, beat: beat, subjects: Subjects{Prefix: o.Prefix, Site: o.Site}}
	if err := c.subjects.problem(); err != nil {
		return nil, err
	}
	c.denials = watchDenials(nc)
	return c, nil
}

// Node is a Caller whose requests that node carries out.
//
// Call fills in what the request lacks: an ID, IssuedAt, a Timeout if it reads
// and ctx has a deadline, and the format. A write whose answer was lost may be
// sent again, with the same ID and IssuedAt, which the caller then has filled in
// himself: it is carried out once.
//
// A request with more keys or entries than fit a message is sent in parts, one
// after the other, up to the first that fails; its result is that of all of them.
//
// Its errors are an *Error if the node refused or failed, ErrAbsent, ErrDenied,
// ErrSlow or ErrLost (by errors.Is) if there is no answer or not all of it, and
// else what ctx or rows say. The result comes with them as far as it got; its
// Count is then what rows was given. A watch that ends because ctx does has no
// error.
//
// While rows runs, the node is told that this side is alive. It waits for as
// long as the request may take; a watcher it cuts after five seconds.
func (c *Client) Node(name string) Caller { return nodeCaller{c: c, node: name} }

// prepare copies a request and fills in what it lacks.
func (c *Client) prepare(q *Request, deadline time.Time, bounded bool) *Request {
	own := *q
	own.ID = cmp.Or(own.ID, rand.Text())
	if own.IssuedAt.IsZero() {
		own.IssuedAt = time.Now()
	}
	if bounded && own.Timeout == 0 && own.Verb != VerbWatch && !own.Verb.Writes() {
		own.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	if takes, _ := law(own.Verb, own.Table); own.Format == "" && slices.Contains(takes, "format") {
		own.Format = "protobuf"
	}
	return &own
}

// terms shares the memory among nodes.
func (c *Client) terms(nodes int) flowTerms {
	const smallest, widest = 16 << 10, 16
	each := c.o.Memory / max(1, nodes)
	f := flowTerms{Token: rand.Text(), User: c.o.User, Chunk: max(smallest, min(maxChunk, each/8))}
	f.Window = max(2, min(widest, each/f.Chunk))
	return f
}
