package control

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// graceTime is how much longer than the request's own time a caller waits for
// word that it has run out.
const graceTime = 3 * time.Second

// inquiry is one request under way, to one node or to many. One goroutine takes
// what comes in; a timer keeps in touch.
type inquiry struct {
	c       *Client
	q       *Request
	subject string
	many    bool // nodes that were not expected may answer too
	terms   flowTerms
	rows    func(*flow.Batch) error
	ended   func(*incoming) // as each ends

	unpack *unpacker
	inbox  string
	msgs   chan *nats.Msg
	denied chan *natsconn.PermissionError
	begun  time.Time

	streams map[string]*incoming // by the node's token
	open    int                  // of them not over
	unheard bool                 // nobody hears the request

	mu    sync.Mutex
	marks map[*incoming]mark // of those under way, for the timer
	timer *time.Timer        // nil once the call is over
}

// mark is how far an answer has been taken, and where to say so.
type mark struct {
	control string
	taken   uint64
}

// newInquiry makes an inquiry to the nodes that are expected.
func (c *Client) newInquiry(q *Request, subject string, many bool, expect []string, rows func(*flow.Batch) error) *inquiry {
	l := &inquiry{
		c: c, q: q, subject: subject, many: many, rows: rows, terms: c.terms(len(expect)), ended: func(*incoming) {},
		inbox: c.nc.NewInbox(), denied: make(chan *natsconn.PermissionError, 1), begun: time.Now(),
		streams: map[string]*incoming{}, marks: map[*incoming]mark{},
	}
	format, ok := encode.Formats()[q.Format]
	if !ok {
		format = encode.Formats()["json"] // the node refuses it by name
	}
	l.unpack = newUnpacker(format)
	l.msgs = make(chan *nats.Msg, 1024+(len(expect)+1)*(l.terms.Window+8))
	for _, node := range expect {
		l.stream(node)
	}
	return l
}

// stream gives a node's answer, a new one if there is none.
func (l *inquiry) stream(node string) *incoming {
	st := l.streams[Token(node)]
	if st == nil {
		st = &incoming{node: node, heard: time.Now()}
		l.streams[Token(node)] = st
		l.open++
	}
	return st
}

// run asks and takes all answers. The error is one that ended the whole call;
// what became of each node stands in its stream.
func (l *inquiry) run(ctx context.Context) error {
	sub, err := l.c.nc.ChanSubscribe(l.inbox+".*", l.msgs)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	defer l.c.denials.forget(l.denied)
	l.c.denials.wait(l.denied, l.subject)
	l.c.denials.wait(l.denied, l.inbox+".*")
	broken := l.c.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer l.c.nc.RemoveStatusListener(broken)
	if err := l.ask(); err != nil {
		return err
	}
	stop := l.keepInTouch()
	defer stop()
	err = l.take(ctx, broken)
	l.cancel()
	return err
}

// ask sends the request.
func (l *inquiry) ask() error {
	body := *l.q
	body.Verb, body.Table = "", "" // the subject says them
	data, err := json.Marshal(&body)
	if err != nil {
		return err
	}
	if most := l.c.nc.MaxPayload() - spare; int64(len(data)) > most {
		return &Error{Code: CodeTooLarge, Message: "the request has " + strconv.Itoa(len(data)) + " bytes, and the NATS server takes messages of " + strconv.FormatInt(l.c.nc.MaxPayload(), 10)}
	}
	err = l.c.nc.PublishMsg(&nats.Msg{Subject: l.subject, Reply: l.reply(), Header: l.terms.header(), Data: data})
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		err = nats.ErrDisconnected
	}
	return err
}

// reply is where answers are to go: another subject every second, since a node
// that may only answer loses the permission for one after a while, and only a
// message with a new one renews it.
func (l *inquiry) reply() string {
	return l.inbox + "." + strconv.FormatInt(int64(time.Since(l.begun)/time.Second), 10)
}
