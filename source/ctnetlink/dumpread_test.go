package ctnetlink

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// tape is a table that several receivers read in turn, each into memory of its own,
// as sockets do: what a receiver gave is overwritten when it reads again.
type tape struct {
	rows  uint32 // so many, then the end
	sent  uint32
	reads atomic.Int32
}

// deck is one of a tape's receivers.
type deck struct {
	receiver
	*tape
	slots [aheadSlots][]byte
}

func decks(tp *tape) (out []receiver) {
	for range aheadBuffers {
		out = append(out, &deck{tape: tp})
	}
	return out
}

// next gives full reads of two rows a datagram, numbered from 1, until the end.
func (d *deck) next() (got []datagram, err error) {
	d.reads.Add(1)
	for i := range d.slots {
		p := d.slots[i][:0]
		for n := 0; n < 2 && d.sent < d.rows; n++ {
			d.sent++
			p = append(p, row(unix.NFNL_SUBSYS_CTNETLINK<<8, 0, written(func(w *writer) { w.put32(ctaID, d.sent) })...)...)
		}
		if d.sent == d.rows {
			end := row(unix.NLMSG_DONE, 0)
			binary.NativeEndian.PutUint32(end[headerLen:], 0)
			p = append(p, end...)
		}
		d.slots[i] = p
		got = append(got, datagram{data: p})
		if d.sent == d.rows {
			break
		}
	}
	return got, nil
}

// playback dumps a tape.
func playback(ctx context.Context, tp *tape, fn func(*flow.Batch) error) (count uint64, err error) {
	d := dump{table: flow.TableConntrack, batch: flow.NewBatch(3), fn: fn}
	q, err := (&dumpOptions{}).request(flow.TableConntrack, DumpFilter{})
	if err != nil {
		return 0, err
	}
	err = d.run(ctx, &requester{portID: 9, seq: 7}, q, decks(tp))
	return d.count, err
}

// TestReadAheadKeepsOrder reads tapes whose ends fall on every place of a read.
func TestReadAheadKeepsOrder(t *testing.T) {
	for rows := uint32(990); rows < 1000; rows++ {
		var last uint32
		n, err := playback(t.Context(), &tape{rows: rows}, func(b *flow.Batch) error {
			for i := range b.Events() {
				if id := b.Events()[i].ID; id != last+1 {
					t.Fatalf("%d rows: %d after %d", rows, id, last)
				}
				last++
			}
			return nil
		})
		if err != nil || n != uint64(rows) || last != rows {
			t.Errorf("%d of %d rows, last %d: %v", n, rows, last, err)
		}
	}
}

// TestReadAheadEnds breaks dumps off: nothing is read any more when Dump has returned,
// and never more than the buffers hold beyond what was looked at.
func TestReadAheadEnds(t *testing.T) {
	const rows = 100000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		fn   func(*flow.Batch) error
		want error
	}{
		{"refused", t.Context(), func(*flow.Batch) error { return errEnough }, errEnough},
		{"cancelled", ctx, func(*flow.Batch) error { cancel(); return nil }, context.Canceled},
		{"before it began", ctx, func(*flow.Batch) error { return nil }, context.Canceled},
		{"panicked", t.Context(), func(*flow.Batch) error { panic(errEnough) }, errEnough},
	} {
		tp := &tape{rows: rows}
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = p.(error)
				}
			}()
			_, err = playback(c.ctx, tp, c.fn)
			return err
		}()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		before := tp.reads.Load()
		tp.sent = 0 // would be a race if the reader were not done
		if before > 2*aheadBuffers || before != tp.reads.Load() {
			t.Errorf("%s: %d reads, then %d", c.name, before, tp.reads.Load())
		}
	}
}

// TestReadAheadWaits has the kernel late in the middle of a dump: reading goes on when
// poll(2) says so, and what was read before is looked at first.
func TestReadAheadWaits(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	entry := row(unix.NFNL_SUBSYS_CTNETLINK<<8, 0, written(func(w *writer) { w.put32(ctaID, 1) })...)
	done := row(unix.NLMSG_DONE, 0)
	binary.NativeEndian.PutUint32(done[headerLen:], 0)
	late := &lateReceiver{fd: fds[0], scripted: scripted{give: [][]datagram{{{data: entry}}, nil, {{data: entry}}, nil, nil, {{data: done}}}}}
	var rows int
	d := dump{table: flow.TableConntrack, batch: flow.NewBatch(1), fn: func(b *flow.Batch) error { rows += b.Len(); return nil }}
	q, err := (&dumpOptions{}).request(flow.TableConntrack, DumpFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fds[1], []byte{1}); err != nil { // poll finds it each time
		t.Fatal(err)
	}
	sock := &requester{recv: late, portID: 9, seq: 7, wait: replyWait}
	if err := d.run(t.Context(), sock, q, []receiver{late, late}); err != nil || rows != 2 {
		t.Errorf("%d rows: %v", rows, err)
	}
}

// lateReceiver is a script with a descriptor to poll.
type lateReceiver struct {
	scripted
	fd int
}

func (l *lateReceiver) descriptor() int { return l.fd }
