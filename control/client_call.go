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

	mu    sync.Mutex
	marks map[*incoming]mark // of those under way, for the timer
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

// take takes what comes in until every node has come to its end.
func (l *inquiry) take(ctx context.Context, broken <-chan nats.Status) error {
	tick := time.NewTicker(min(l.c.o.Silence/10, time.Second))
	defer tick.Stop()
	for !l.done() {
		select {
		case m := <-l.msgs:
			if err := l.message(m); err != nil {
				return err
			}
		case pe := <-l.denied:
			if err := l.deny(pe); err != nil {
				return err
			}
		case <-broken:
			l.endAll(func(st *incoming) error {
				return &nodeError{node: st.node, kind: ErrLost, detail: "the connection to NATS broke after " + st.told(), cause: nats.ErrDisconnected}
			})
			return nil
		case now := <-tick.C:
			if len(l.msgs) == 0 {
				l.judge(now)
			}
		case <-ctx.Done():
			if l.q.Verb == VerbWatch {
				return nil
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// done reports whether all has come. Of nodes that nobody knew before, the
// first have some time to answer.
func (l *inquiry) done() bool {
	return l.open == 0 && (!l.many || len(l.streams) > 0 || time.Since(l.begun) > l.c.o.Discover)
}

// message takes one message. Its error is the caller's own.
func (l *inquiry) message(m *nats.Msg) error {
	if isNobody(m) {
		l.nobody(m.Header.Get(headerOf))
		return nil
	}
	head, err := readHead(m.Header)
	if err != nil {
		l.endAll(func(st *incoming) error { return lost(st.node, "what came is no message of a ctferry node: %v", err) })
		return nil
	}
	if !l.many && l.streams[Token(head.Node)] == nil {
		l.endAll(func(st *incoming) error { return lost(st.node, "node %q answered in its place", head.Node) })
		return nil
	}
	st := l.stream(head.Node)
	if st.over {
		return nil
	}
	st.heard, st.deaf = time.Now(), false
	if err := st.follow(&head); err != nil {
		l.end(st, err)
		return nil
	}
	l.note(st, m.Reply, head.Seq) // its rows may take a while
	return l.body(st, &head, m)
}

// body takes what a message holds.
func (l *inquiry) body(st *incoming, head *messageHead, m *nats.Msg) error {
	switch head.Kind {
	case kindRows:
		if err := l.someRows(st, head, m.Data); err != nil {
			return err
		}
		l.acknowledge(st, m.Reply)
	case kindError:
		st.err = readError(m)
	case kindResult:
		st.result = &Result{}
		if err := json.Unmarshal(m.Data, st.result); err != nil {
			l.end(st, lost(st.node, "%v", err))
		}
	case kindEnd:
		l.end(st, st.check(head))
	}
	return nil
}

// someRows hands rows to the caller.
func (l *inquiry) someRows(st *incoming, head *messageHead, data []byte) error {
	if head.Rows == 0 {
		return nil
	}
	n, err := l.unpack.unpack(data, head.Rows, l.rows)
	st.rows += n
	st.chunks++
	st.heard = time.Now()
	if bad := (*chunkError)(nil); errors.As(err, &bad) {
		l.end(st, lost(st.node, "%v", bad))
		return nil
	}
	return err
}

// note notes how many messages have been taken, for the timer to tell.
func (l *inquiry) note(st *incoming, control string, taken uint64) {
	if st.over || control == "" {
		return
	}
	l.mu.Lock()
	_, known := l.marks[st]
	l.marks[st] = mark{control: control, taken: taken}
	l.mu.Unlock()
	if !known {
		l.c.denials.wait(l.denied, control)
	}
}

// acknowledge tells the node that a message has been taken, for every half of
// the window.
func (l *inquiry) acknowledge(st *incoming, control string) {
	if l.note(st, control, st.next); st.over || control == "" {
		return
	}
	if st.quiet++; st.next == 1 || st.quiet >= l.terms.Window/2 {
		st.quiet = 0
		l.say(control, ackWord(st.next))
	}
}

// say sends a word to a node. If it is lost, the timer says it again.
func (l *inquiry) say(control string, word []byte) {
	_ = l.c.nc.PublishMsg(&nats.Msg{Subject: control, Reply: l.reply(), Data: word})
}

// keepInTouch tells the nodes now and then how far their answers have been
// taken, also while rows runs, until stop is called.
func (l *inquiry) keepInTouch() (stop func()) {
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(l.c.beat, func() {
		<-ready
		l.mu.Lock()
		for _, m := range l.marks {
			l.say(m.control, ackWord(m.taken))
		}
		l.mu.Unlock()
		timer.Reset(l.c.beat)
	})
	close(ready)
	return func() { timer.Stop() }
}
