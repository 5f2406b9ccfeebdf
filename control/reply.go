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
	// silence is after how long without a word of the other side it counts as gone.
	silence = 15 * time.Second
	// slowness is how long a watcher may leave no room for a live event.
	slowness = 5 * time.Second
	// lateness is how long the end of an answer waits for a lost connection.
	lateness = 10 * time.Second
	// pace is how fast a caller that does not acknowledge is written to, bytes a
	// second: nats-server closes a client that is 64 MiB behind.
	pace = 16 << 20
	// spare is room in a message for what stands around its body.
	spare = 4 << 10
)

// What ends an answer from the caller's side.
var (
	errCancelled = &Error{Code: CodeCut, Message: "the caller wants no more"}
	errGone      = &Error{Code: CodeCut, Message: "nobody hears the answer"}
	errSilent    = &Error{Code: CodeCut, Message: "the caller has said nothing for " + silence.String()}
	errSlow      = &Error{Code: CodeCut, Message: "the caller left no room for live events for " + slowness.String()}
)

// outgoing is one answer on its way: it numbers the messages and keeps at most
// the caller's window of them under way. Its methods may be called from several
// goroutines.
type outgoing struct {
	nc      *nats.Conn
	head    messageHead // of every message, but for its kind and numbers
	subject string      // where the caller's words come in
	window  uint64      // 0: the caller does not acknowledge
	patient time.Duration
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
func newOutgoing(nc *nats.Conn, head messageHead, inbox, subject string, window int, end func(*Error)) *outgoing {
	now := time.Now()
	return &outgoing{
		nc: nc, head: head, subject: subject, window: uint64(window), patient: silence, end: end,
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
	left = silence - time.Since(heard)
	why := errSilent
	if o.patient < silence { // a watcher may not keep us waiting, however often it speaks
		left, why = min(left, o.patient-time.Since(begun)), errSlow
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
func (o *outgoing) beat(every time.Duration) {
	if o.window == 0 || !o.sending.TryLock() { // a message is on its way, or waits for the caller
		return
	}
	defer o.sending.Unlock()
	o.mu.Lock()
	due := o.over == nil && time.Since(o.last) >= every && o.sent-o.acked < o.window
	silent := time.Since(o.heard) > silence
	o.mu.Unlock()
	if silent {
		o.stop(errSilent)
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
	ctx, cancel := context.WithTimeout(ctx, lateness)
	defer cancel()
	for {
		err := o.publish(h, body)
		if err == nil || !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrDisconnected) {
			return err
		}
		if wait(ctx, lateness/100) != nil {
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
