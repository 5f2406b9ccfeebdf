package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// leastSkb is less than the kernel charges, or a ring holds, for any event: it
// turns queued bytes into a number of events that is surely large enough.
const leastSkb = 128

// drainedOne waits until every event that was queued when it was called has been
// taken in. A reader that stands still holds it up.
func (k *socket) drainedOne(ctx context.Context) error {
	stats, err := k.listener.Stats()
	if err != nil {
		return fmt.Errorf("source: %s: %w", k.ns, err)
	}
	// A read that began before the call may end after it, and then is not enough.
	emptied, read := k.emptied.Load()+2, k.taken.Load()+stats.Queued/leastSkb+2*batchSlots
	for k.emptied.Load() < emptied && k.taken.Load() < read {
		k.listener.Interrupt() // of a wait for events
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return nil
}

// reconcile reads the table and makes records of what was missed: what appeared
// is a new, what changed an update, and what vanished a destroy.
func (k *socket) reconcile(ctx context.Context, conn *ctnetlink.Conn, d *dump) error {
	s := k.src
	s.mu.Lock()
	k.settleAll()
	k.track.forgive()
	s.mu.Unlock()
	begun, err := k.readRound(ctx, conn, d)
	if err == nil {
		err = k.settleFlows(ctx, conn, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		k.track.fail()
		if ctx.Err() == nil { // a stop is no failure
			k.books.Track.Failed++
		}
		return err
	}
	k.track.succeeded(begun)
	k.books.Track.Reconciled++
	return nil
}

// readRound shows the tracker a whole dump, between two moments at which no
// event was waiting.
func (k *socket) readRound(ctx context.Context, conn *ctnetlink.Conn, d *dump) (begun int64, err error) {
	s := k.src
	if err := k.drained(ctx); err != nil {
		return 0, err
	}
	begun = time.Now().UnixNano()
	s.mu.Lock()
	k.track.begin()
	s.mu.Unlock()
	if err = d.read(ctx, conn, flow.TableConntrack); err == nil {
		err = k.drained(ctx)
	}
	s.mu.Lock()
	k.track.finish()
	s.mu.Unlock()
	return begun, err
}

// settleFlows goes through all that is tracked after a whole dump.
func (k *socket) settleFlows(ctx context.Context, conn *ctnetlink.Conn, d *dump) error {
	s := k.src
	before := k.inferred()
	suspects := make([]suspect, 0, batchSlots)
	answers := flow.NewBatch(batchSlots)
	for from := place(1); from != 0; {
		now := time.Now().UnixNano()
		s.mu.Lock()
		k.synthetic.Reset()
		from, suspects = k.track.scan(from, scanned, k.synthetic, suspects[:0], now)
		fill := k.putSynthetic(now)
		s.mu.Unlock()
		d.wait(ctx, fill)
		if err := k.settleSuspects(ctx, conn, d, suspects, answers); err != nil {
			return err
		}
	}
	if n := k.inferred() - before; n > 0 {
		s.log.Info("records inferred from a dump", "netns", k.ns.String(), "reason", d.job.reason, "records", n)
	}
	return nil
}

// scanned is how many entries are looked at while events wait.
const scanned = 8192

func (k *socket) inferred() uint64 {
	k.src.mu.Lock()
	defer k.src.mu.Unlock()
	return k.books.Track.Synthetic
}

// settleSuspects asks the kernel for each flow that the dump did not show, lets
// the events that came meanwhile be taken in, and ends those that are gone.
func (k *socket) settleSuspects(ctx context.Context, conn *ctnetlink.Conn, d *dump, suspects []suspect, answers *flow.Batch) error {
	if len(suspects) == 0 {
		return nil
	}
	answers.Reset()
	for i := range suspects {
		if err := suspects[i].ask(ctx, conn, answers); err != nil {
			return err
		}
	}
	if err := k.spareParked(ctx, conn, d, suspects); err != nil {
		return err
	}
	if err := k.drained(ctx); err != nil {
		return err
	}
	rows := answers.Events()
	for i := range rows {
		rows[i].Origin = k.origin
		identify(&rows[i])
	}
	for len(suspects) > 0 {
		d.wait(ctx, k.judge(&suspects, rows))
	}
	return nil
}

// judge settles as many suspects as a batch has room for.
func (k *socket) judge(suspects *[]suspect, rows []flow.Event) (fill float64) {
	s := k.src
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	k.synthetic.Reset()
	for len(*suspects) > 0 && k.synthetic.Free() >= 3 {
		k.track.judge(&(*suspects)[0], rows, k.synthetic, now)
		*suspects = (*suspects)[1:]
	}
	return k.putSynthetic(now)
}

// putSynthetic hands the inferred records on, as far as the filter lets them
// pass, and of types that may be asked for: without the kernel's updates every
// change would look like a lost one. s.mu is held.
func (k *socket) putSynthetic(now int64) (fill float64) {
	k.synthetic.Keep(func(e *flow.Event) bool { return k.src.cfg.Events.Has(e.Type) })
	k.src.keep(k.synthetic, k.origin)
	k.books.Track.Synthetic += uint64(k.synthetic.Len())
	return k.put(k.synthetic, now)
}

// ask looks whether the flow is still there. An answer that says neither leaves
// it for the next round.
func (s *suspect) ask(ctx context.Context, conn *ctnetlink.Conn, answers *flow.Batch) error {
	err := conn.Get(ctx, s.key, answers)
	switch {
	case err == nil:
		s.row = answers.Len() - 1
	case errors.Is(err, unix.ENOENT):
		s.gone = true
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return nil
}

// spareParked waits until the kernel keeps no DESTROY event of a flow that is in no
// table any more: then each has been sent, and its end will be told. Which flows it
// keeps cannot be asked: while it sends some, a list of them may end early. Where
// it does not come to an end no flow is taken for gone in this round.
func (k *socket) spareParked(ctx context.Context, conn *ctnetlink.Conn, d *dump, suspects []suspect) error {
	if !k.src.cfg.Reliable {
		return nil
	}
	for {
		some, err := keeps(ctx, conn)
		if err != nil || !some {
			return err
		}
		if d.parked <= 0 {
			break
		}
		d.parked -= dumpPause
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(dumpPause):
		}
	}
	for i := range suspects {
		suspects[i].gone = false
	}
	return nil
}
