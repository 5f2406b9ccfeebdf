package ctnetlink

import (
	"context"
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// The bounds of one send(2). The kernel answers each request before it looks at
// the next, so what is sent at once bounds what waits in the receive buffer.
const (
	sendRequests = 64
	sendBytes    = 64 << 10
)

// BatchLimit is how many requests a Batch takes; adding more is an error and
// changes nothing.
const BatchLimit = 1 << 16

// Batch is a list of requests that are made together, which costs a system
// call for 64 of them instead of one for each. The zero value is empty. It is
// used by one goroutine at a time. Requests are encoded as they are added, so
// nothing that was given is kept. A request that is refused, as it would be
// alone, takes its place and is never sent; its error is its result.
type Batch struct {
	w    writer
	list []batched
}

// batched is one request of a batch.
type batched struct {
	request request // attrs is nil: they are encoded
	end     int     // of its bytes in the writer
	err     error   // why it is not sent
}

// errBatchFull is the result of a request for which the batch had no room.
var errBatchFull = errors.New("batch: expected at most 65536 requests")

// Len is how many requests there are.
func (b *Batch) Len() int { return len(b.list) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.w.b, b.list = b.w.b[:0], b.list[:0] }

// Create adds what [Conn.Create] does.
func (b *Batch) Create(n flow.Creation) error { return b.add((*creation)(&n).request()) }

// Update adds what [Conn.Update] does.
func (b *Batch) Update(k flow.Key, u flow.Update) error { return b.add((*update)(&u).request(k)) }

// Delete adds what [Conn.Delete] does.
func (b *Batch) Delete(k flow.Key) error {
	return b.add((*entryKey)(&k).request("delete", msgCtDelete))
}

// CreateExpect adds what [Conn.CreateExpect] does.
func (b *Batch) CreateExpect(x *flow.Expectation) error { return b.add(createExpect(x)) }

// DeleteExpect adds what [Conn.DeleteExpect] does.
func (b *Batch) DeleteExpect(k flow.ExpectKey) error {
	return b.add((*expectKey)(&k).request("delete", msgExpDelete))
}

// add encodes a request, or notes why it was refused, which it also returns.
func (b *Batch) add(q *request, err error) error {
	if len(b.list) == BatchLimit {
		return errBatchFull
	}
	one := batched{err: err}
	if err == nil {
		b.w.request(q, 0)
		one.request = *q
		one.request.attrs = nil
	}
	one.end = len(b.w.b)
	b.list = append(b.list, one)
	return err
}

// Do makes the requests in their order and gives one result for each: nil, or
// an error as the request alone would have. One that fails does not keep those
// after it from being made. Where the kernel's answer was lost the error says
// so, and whether the request was carried out is not known.
//
// Between two sends other requests may come, and ctx is looked at; what was not
// sent then has its error. The batch stays as it is.
func (c *Conn) Do(ctx context.Context, b *Batch) []error {
	results := make([]error, len(b.list))
	for from := 0; from < len(b.list); {
		to := b.cut(from)
		c.send(ctx, b, from, to, results)
		from = to
	}
	return results
}

// cut finds the end of what is sent at once.
func (b *Batch) cut(from int) int {
	to := from + 1
	for to < len(b.list) && to-from < sendRequests && b.list[to].end-b.start(from) <= sendBytes {
		to++
	}
	return to
}

// start is where the bytes of a request begin.
func (b *Batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.list[i-1].end
}

// send makes the requests of one system call and notes their results.
func (c *Conn) send(ctx context.Context, b *Batch, from, to int, results []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sent []int // places of what is really sent
	for i := from; i < to; i++ {
		if results[i] = b.list[i].err; results[i] == nil {
			sent = append(sent, i)
		}
	}
	if len(sent) == 0 {
		return
	}
	err := ctx.Err()
	if c.sock == nil {
		err = os.ErrClosed
	}
	if err != nil {
		for _, i := range sent {
			results[i] = b.list[i].request.fail(err)
		}
		return
	}
	c.sock.exchange(b, b.w.b[b.start(from):b.list[to-1].end], sent, results)
}

// exchange sends the encoded requests, each under a sequence number of its own,
// and notes the answer to each. Only the last one asks for an answer: the kernel
// tells of every request that it refuses, asked or not (netlink_rcv_skb), and
// looks at the next one after that. So where the last is answered, those of
// which nothing is told were carried out. An answer that finds no room is not
// lost in silence: reading fails with ENOBUFS then (netlink_overrun), and no
// other comes until all is read.
func (r *requester) exchange(b *Batch, p []byte, sent []int, results []error) {
	first := r.seq + 1
	r.seq += uint32(len(sent))
	r.more = uint32(len(sent)) - 1
	for n, i := range sent {
		b.stamp(i, first+uint32(n), n == len(sent)-1)
		results[i] = errUnanswered
	}
	err := r.transmit(p)
	for done := false; !done && err == nil; {
		var m message
		// What was sent is waited for, whatever becomes of the caller's context.
		if m, err = r.receive(context.Background(), &b.list[sent[0]].request); err != nil || m.kind != unix.NLMSG_ERROR {
			continue
		}
		n := m.seq - first
		results[sent[n]] = b.list[sent[n]].request.verdict(&m)
		done = n == r.more
	}
	if of := (*Error)(nil); errors.As(err, &of) {
		err = of.Err // of the request that it befell
	}
	if err != nil {
		r.drain()
	}
	for _, i := range sent {
		if results[i] == errUnanswered {
			results[i] = nil
			if err != nil {
				results[i] = b.list[i].request.fail(err)
			}
		}
	}
}

// stamp gives a request the sequence number that it is sent under, and has the
// kernel answer it or not.
func (b *Batch) stamp(i int, seq uint32, answered bool) {
	head := b.w.b[b.start(i):]
	flags := b.list[i].request.flags | unix.NLM_F_REQUEST
	if answered {
		flags |= unix.NLM_F_ACK
	}
	binary.NativeEndian.PutUint16(head[flagsAt:], flags)
	binary.NativeEndian.PutUint32(head[seqAt:], seq)
}

// errUnanswered stands in the results while the kernel has not answered.
var errUnanswered = errors.New("unanswered")
