package control

import (
	"context"
	"errors"
	"strconv"
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

// rows sends one message of rows as soon as the window has room, or for a
// caller without one, in pace.
func (o *outgoing) rows(ctx context.Context, h nats.Header, body []byte) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	if err := o.room(ctx); err != nil {
		return err
	}
	if err := o.publish(h, body); err != nil {
		return &Error{Code: CodeUnavailable, Message: "the answer cannot be sent: " + err.Error()}
	}
	if o.window > 0 {
		return nil
	}
	if err := o.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	return wait(ctx, time.Duration(len(body))*time.Second/pace)
}

// room waits until a message may be sent.
func (o *outgoing) room(ctx context.Context) error {
	begun := time.Now()
	for {
		free, left, err := o.credit(begun)
		if free || err != nil {
			return err
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-o.moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// credit tells whether there is room, and else how long to wait for it. Whoever
// waited since begun in vain ends the answer.
func (o *outgoing) credit(begun time.Time) (free bool, left time.Duration, err error) {
	o.mu.Lock()
	over, heard := o.over, o.heard
	free = o.window == 0 || o.sent-o.acked < o.window
	o.mu.Unlock()
	left = o.times.silence - time.Since(heard)
	why := errSilent(o.times.silence)
	if patience := o.times.slow - time.Since(begun); o.live && patience < left { // however often it speaks
		left, why = patience, errSlow(o.times.slow)
	}
	switch {
	case over != nil:
		return false, 0, over
	case !free && left <= 0:
		o.stop(why)
		return false, 0, why
	}
	return free, left, nil
}

// beat keeps both sides in touch: it sends a message without rows if the answer
// has been quiet, and ends an answer whose caller is.
func (o *outgoing) beat() {
	if o.window == 0 || !o.sending.TryLock() { // a message is on its way, or waits for the caller
		return
	}
	defer o.sending.Unlock()
	o.mu.Lock()
	due := o.over == nil && time.Since(o.last) >= o.times.beat && o.sent-o.acked < o.window
	silent := time.Since(o.heard) > o.times.silence
	o.mu.Unlock()
	if silent {
		o.stop(errSilent(o.times.silence))
	} else if due {
		h := o.head
		h.Kind = kindRows
		_ = o.publish(h.header(""), []byte{'\n'}) // if it fails, so does the next, which is told
	}
}

// final sends one of the last messages, which no window holds back. While the
// connection is lost it tries again, for a bound.
func (o *outgoing) final(ctx context.Context, h nats.Header, body []byte) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	ctx, cancel := context.WithTimeout(ctx, o.times.late)
	defer cancel()
	for {
		err := o.publish(h, body)
		if err == nil || !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrDisconnected) {
			return err
		}
		if wait(ctx, o.times.late/100) != nil {
			return err
		}
	}
}

// publish numbers a message and sends it. The caller holds sending.
func (o *outgoing) publish(h nats.Header, body []byte) error {
	o.mu.Lock()
	inbox, seq := o.inbox, o.sent
	o.mu.Unlock()
	h[headerSeq] = []string{strconv.FormatUint(seq, 10)}
	err := o.nc.PublishMsg(&nats.Msg{Subject: inbox, Reply: o.subject, Header: h, Data: body})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent++
	o.last = time.Now()
	return nil
}

// wait waits for d, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
