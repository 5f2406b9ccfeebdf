package control

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

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

// done reports whether all has come. Where nobody was expected, the first node
// has some time to answer.
func (l *inquiry) done() bool {
	return l.open == 0 && (!l.many || len(l.streams) > 0 || l.unheard || time.Since(l.begun) > l.c.o.Silence)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.c.beat, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.timer == nil {
			return
		}
		for _, m := range l.marks {
			l.say(m.control, ackWord(m.taken))
		}
		l.timer.Reset(l.c.beat)
	})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer.Stop()
		l.timer = nil
	}
}
