package source

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// A dump has time; the queues behind it may not. While one is more than half
// full the dump waits, for at most dumpPatience in all, so that a sink that is
// down cannot hold it for ever.
const (
	dumpFill     = 0.5
	dumpPause    = 5 * time.Millisecond
	dumpPatience = 30 * time.Second
)

// runDumps reads the table when the agenda says so, on a socket of its own, until
// ctx ends. The event socket is joined already, so nothing falls between.
func (k *socket) runDumps(ctx context.Context) {
	a := newAgenda(&k.src.cfg, time.Now())
	for ctx.Err() == nil {
		job, due, wait := a.next(time.Now())
		if due {
			a.begin(job, time.Now())
			a.done(time.Now(), k.dumpTables(ctx, job))
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-k.lossy:
			a.lost = true
		}
		t.Stop()
	}
}

// dumpTables reads what the job is about; the error is the conntrack table's.
func (k *socket) dumpTables(ctx context.Context, job dumpJob) (failed error) {
	if job.interim && !k.src.wants(flow.TypeInterim) {
		return nil
	}
	for _, table := range k.src.cfg.Tables {
		if table != flow.TableConntrack && !job.rows {
			continue
		}
		err := k.dump(ctx, table, job)
		if err != nil && ctx.Err() == nil {
			k.src.log.Error("dump failed", "netns", k.ns.String(), "table", table.String(), "reason", job.reason, "err", err)
		}
		if table == flow.TableConntrack {
			failed = err
		}
	}
	return failed
}

// dump reads one table. Rows that are handed on are closed with a dump_end,
// whatever happens; of a table whose flows are tracked, what the rows tell is
// compared with what is known.
func (k *socket) dump(ctx context.Context, table flow.Table, job dumpJob) error {
	conn, err := k.dial()
	if err != nil {
		return fmt.Errorf("source: %s: %w", k.ns, err)
	}
	defer conn.Close()
	d := dump{k: k, job: job, patience: dumpPatience, parked: parkedPatience, info: flow.DumpInfo{
		ID: newDumpID(), Reason: job.reason, CountersReset: job.rows && k.src.cfg.Dump.Zero && table == flow.TableConntrack,
	}}
	if k.track == nil || table != flow.TableConntrack {
		return d.read(ctx, conn, table)
	}
	d.track = k.track
	return k.reconcile(ctx, conn, &d)
}

// dump is a reading of a table under way.
type dump struct {
	k        *socket
	job      dumpJob
	info     flow.DumpInfo
	patience time.Duration
	parked   time.Duration // what is left of the patience with what the kernel keeps
	track    *tracker      // nil where the table's flows are not tracked
}

// read streams the table.
func (d *dump) read(ctx context.Context, conn *ctnetlink.Conn, table flow.Table) error {
	count, err := conn.Dump(ctx, table, d.options(table), func(b *flow.Batch) error {
		d.take(ctx, b)
		return ctx.Err()
	})
	if d.job.rows {
		end := d.info
		end.Count, end.Complete = count, err == nil
		d.k.endDump(table, &end)
	}
	return err
}

// options narrow the dump to what the filter may pass. One that sets counters to
// zero does so for all flows, those too that are left out; expectations have no
// such filters.
func (d *dump) options(table flow.Table) flow.DumpOptions {
	if d.info.CountersReset || table != flow.TableConntrack {
		return flow.DumpOptions{Zero: d.info.CountersReset}
	}
	return flow.DumpOptions{Only: d.k.src.cfg.Filter}
}

// take hands on what is to be handed on of a batch of rows.
func (d *dump) take(ctx context.Context, b *flow.Batch) {
	k, s := d.k, d.k.src
	now := time.Now().UnixNano()
	events := b.Events()
	for i := range events {
		events[i].Type, events[i].Dump = flow.TypeDump, &d.info
	}
	s.mu.Lock()
	switch {
	case d.track != nil:
		d.compare(b, now)
	case d.job.rows:
		s.keep(b, k.origin)
	}
	fill := k.put(b, now)
	s.mu.Unlock()
	d.wait(ctx, fill)
}

// compare shows the rows to the tracker and leaves those that are handed on.
func (d *dump) compare(b *flow.Batch, now int64) {
	k := d.k
	k.src.keep(b, k.origin)
	b.Keep(func(e *flow.Event) bool {
		identify(e)
		if !nameable(e) {
			return d.job.rows
		}
		p, trailing := d.track.seeRow(e, true, now)
		if trailing {
			return false
		}
		keep := d.job.rows
		if p != 0 && d.job.interim {
			if keep = d.track.interim(p, e, now); keep {
				k.books.Track.Interim++
			}
		}
		if p != 0 && d.info.CountersReset {
			d.track.zero(p)
		}
		return keep
	})
}

// wait lets the queues behind drain.
func (d *dump) wait(ctx context.Context, fill float64) {
	if fill < dumpFill || d.patience <= 0 {
		return
	}
	d.patience -= dumpPause
	select {
	case <-ctx.Done():
	case <-time.After(dumpPause):
	}
}

// put stamps a batch and hands it on; s.mu is held.
func (k *socket) put(b *flow.Batch, now int64) (fill float64) {
	if b.Len() == 0 {
		return 0
	}
	k.src.stamp(b, now)
	return k.src.out.Take(b)
}

func (k *socket) endDump(table flow.Table, info *flow.DumpInfo) {
	s := k.src
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.note(flow.TypeDumpEnd)
	e.Table, e.Dump = table, info
	e.Origin = k.origin
	k.put(s.notes, time.Now().UnixNano())
}

// newDumpID is random, so that dumps of different runs and nodes differ.
func newDumpID() uint64 {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return binary.BigEndian.Uint64(b[:])
}
