package control

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of an answer under way.
const (
	// beat is after how long without a message the node says that it is there,
	// and the caller that it is.
	beat = 3 * time.Second
	// pace is how fast a caller that does not acknowledge is written to, bytes a
	// second: nats-server closes a client that is 64 MiB behind.
	pace = 16 << 20
	// spare is room in a message for what stands around its body.
	spare = 4 << 10
)

// serviceTimes are the service's clocks.
type serviceTimes struct {
	ask   time.Duration // how long another run has to answer for the name
	again time.Duration // between two times of asking, while serving
	back  time.Duration // how long to step back at first; then longer, up to again
	drain time.Duration // how long requests under way may go on once the service stops

	beat    time.Duration // after how long without a message the node says that it is there
	silence time.Duration // after how long without a word the caller counts as gone
	slow    time.Duration // how long a watcher may leave no room for a live event
	late    time.Duration // how long the end of an answer waits for a lost connection
}

func defaultTimes() serviceTimes {
	return serviceTimes{
		ask: time.Second, again: 30 * time.Second, back: 2 * time.Second, drain: 5 * time.Second,
		beat: beat, silence: 15 * time.Second, slow: 5 * time.Second, late: 10 * time.Second,
	}
}

// What ends an answer from the caller's side.
var (
	errCancelled = &Error{Code: CodeCut, Message: "the caller wants no more"}
	errGone      = &Error{Code: CodeCut, Message: "nobody hears the answer"}
)

func errSilent(d time.Duration) *Error {
	return &Error{Code: CodeCut, Message: "the caller has said nothing for " + d.String()}
}

func errSlow(d time.Duration) *Error {
	return &Error{Code: CodeCut, Message: "the caller left no room for live events for " + d.String()}
}

// outgoing is one answer on its way: it numbers the messages and keeps at most
// the caller's window of them under way. Its methods may be called from several
// goroutines.
type outgoing struct {
	nc      *nats.Conn
	head    messageHead // of every message, but for its kind and numbers
	subject string      // where the caller's words come in
	window  uint64      // 0: the caller does not acknowledge
	live    bool        // it is a watch: events do not wait
	times   serviceTimes
	end     func(*Error) // called once, when the caller ends it

	sending sync.Mutex // held over a message, so that they go out in their order

	mu    sync.Mutex
	inbox string // where the next message goes
	sent  uint64
	acked uint64
	heard time.Time // the caller's last word
	last  time.Time // of our last message
	over  *Error    // why the caller is served no more
	moved chan struct{}
}

// newOutgoing begins an answer to inbox.
func newOutgoing(nc *nats.Conn, head messageHead, inbox, subject string, window int, times serviceTimes, end func(*Error)) *outgoing {
	now := time.Now()
	return &outgoing{
		nc: nc, head: head, subject: subject, window: uint64(window), times: times, end: end,
		inbox: inbox, heard: now, last: now, moved: make(chan struct{}, 1),
	}
}

// word takes what came in on the answer's subject. A caller's words carry a
// fresh reply subject each: nats-server forgets the permission to answer, and a
// word with the same one does not renew it.
func (o *outgoing) word(m *nats.Msg) {
	if isNobody(m) {
		o.stop(errGone)
		return
	}
	n, cancel, ok := readCallerWord(m.Data)
	switch {
	case cancel:
		o.stop(errCancelled)
	case ok:
		o.mu.Lock()
		o.acked = max(o.acked, min(n, o.sent))
		o.heard = time.Now()
		if m.Reply != "" {
			o.inbox = m.Reply
		}
		o.mu.Unlock()
		o.wake()
	}
}

// stop ends the answer: nothing more goes out.
func (o *outgoing) stop(why *Error) {
	o.mu.Lock()
	first := o.over == nil
	if first {
		o.over = why
	}
	o.mu.Unlock()
	if first {
		o.wake()
		o.end(why)
	}
}

func (o *outgoing) wake() {
	select {
	case o.moved <- struct{}{}:
	default:
	}
}

// ended tells why nothing more goes out, if so.
func (o *outgoing) ended() *Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}
