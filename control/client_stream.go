package control

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// incoming is one node's answer on its way.
type incoming struct {
	node   string // as it was asked for, or as it calls itself
	run    string
	next   uint64 // number of the next message
	rows   uint64 // handed on
	chunks uint64 // messages of rows
	quiet  int    // messages taken since the last acknowledgement
	heard  time.Time
	deaf   bool // nobody heard our last word to it

	over   bool
	result *Result
	err    error
}

// follow checks that a message is the next one.
func (st *incoming) follow(head *messageHead) error {
	if st.run == "" {
		st.run, st.node = head.Run, head.Node
	}
	switch {
	case head.Run != st.run:
		return lost(st.node, "two runs answer to its name, %s and %s", st.run, head.Run)
	case head.Seq == st.next+1:
		return lost(st.node, "message %d did not arrive, after %s", st.next, st.told())
	case head.Seq > st.next:
		return lost(st.node, "messages %d to %d did not arrive, after %s", st.next, head.Seq-1, st.told())
	case head.Seq < st.next:
		return lost(st.node, "message %d came a second time", head.Seq)
	}
	st.next++
	return nil
}

// check compares the end mark with what came.
func (st *incoming) check(end *messageHead) error {
	switch {
	case end.Rows != st.rows || end.Chunks != st.chunks:
		return lost(st.node, "%s in %d messages came, and the node sent %d in %d", st.told(), st.chunks, end.Rows, end.Chunks)
	case st.err != nil:
		return st.err
	case st.result == nil:
		return lost(st.node, "it ended without a result")
	}
	return nil
}

func (st *incoming) told() string { return fmt.Sprintf("%d rows", st.rows) }

// answer is what the node's part has come to.
func (st *incoming) answer(q *Request) Answer {
	a := Answer{Node: st.node, Result: st.result, Err: st.err}
	if a.Result == nil {
		a.Result = &Result{Request: q.ID, Node: st.node, Count: st.rows}
	}
	return a
}

// readError reads a node's refusal.
func readError(m *nats.Msg) *Error {
	e := &Error{}
	if json.Unmarshal(m.Data, e) == nil && e.Code != 0 {
		return e
	}
	code, _ := strconv.Atoi(m.Header.Get(micro.ErrorCodeHeader))
	return &Error{Code: Code(code), Message: m.Header.Get(micro.ErrorHeader)}
}

// end notes that no more is awaited of a node.
func (l *inquiry) end(st *incoming, err error) {
	if st.over {
		return
	}
	st.over, st.err = true, err
	l.open--
	l.mu.Lock()
	m, known := l.marks[st]
	delete(l.marks, st)
	l.mu.Unlock()
	if _, refused := err.(*Error); err != nil && !refused && known {
		l.say(m.control, []byte(wordCancel))
	}
	l.ended(st)
}

// endAll ends every node's part.
func (l *inquiry) endAll(why func(*incoming) error) {
	for _, st := range l.streams {
		if !st.over {
			l.end(st, why(st))
		}
	}
}

// nobody takes the server's word that nobody hears a subject: the request's, or
// the one for words to a node. Such a node is gone, or is just connecting again.
// Old servers do not say which.
func (l *inquiry) nobody(subject string) {
	spoken := false
	for _, st := range l.streams {
		spoken = spoken || st.next > 0
	}
	l.unheard = l.unheard || subject == l.subject || subject == "" && !spoken
	for _, st := range l.streams {
		switch {
		case st.over:
		case st.next == 0 && (subject == l.subject || subject == "" && !spoken):
			l.end(st, absent(st.node, l.subject))
		case st.next > 0 && (subject == "" || subject == l.subjectOf(st)):
			st.deaf = true
		}
	}
}

// subjectOf is where a node hears words about its answer.
func (l *inquiry) subjectOf(st *incoming) string {
	return l.c.subjects.stream(st.node, l.terms.Token)
}

// cancel tells the nodes that are still at it that nobody wants more. One that
// has not yet spoken is told where it would listen.
func (l *inquiry) cancel() {
	for _, st := range l.streams {
		if !st.over {
			l.say(l.subjectOf(st), []byte(wordCancel))
		}
	}
}

// deny takes the server's word that a permission is missing: to ask, or to say
// how far a node's answer has been taken. The error is one of the whole call.
func (l *inquiry) deny(pe *natsconn.PermissionError) error {
	if pe.Subject == l.subject || pe.Subject == l.inbox+".*" {
		if l.many {
			return denied("", pe)
		}
		l.endAll(func(st *incoming) error { return denied(st.node, pe) })
		return nil
	}
	for _, st := range l.streams {
		l.mu.Lock()
		m, known := l.marks[st]
		l.mu.Unlock()
		if known && m.control == pe.Subject {
			l.end(st, denied(st.node, pe))
		}
	}
	return nil
}

// judge gives up nodes that have been silent for too long.
func (l *inquiry) judge(now time.Time) {
	limit := time.Duration(0)
	if l.q.Timeout > 0 && l.q.Verb != VerbWatch {
		limit = l.q.Timeout + graceTime
	}
	for _, st := range l.streams {
		silent := now.Sub(st.heard)
		switch {
		case st.over:
		case st.deaf && silent > l.c.o.Silence/3:
			l.end(st, lost(st.node, "the node went away after %s", st.told()))
		case silent > l.c.o.Silence || limit > 0 && now.Sub(l.begun) > limit:
			l.end(st, slow(st.node, silent, st.rows))
		}
	}
}
