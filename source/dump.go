package source

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
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

// startDumps reads the table at start and then every interval, on a socket of
// its own. The event socket is joined already, so nothing falls between.
func (k *socket) startDumps(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	plan := k.src.cfg.Dump
	if !plan.AtStart && plan.Interval == 0 {
		return &wg
	}
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-k.quit:
		}
	})
	wg.Go(func() {
		defer cancel()
		if plan.AtStart {
			k.dumpTables(ctx, "start")
		}
		if plan.Interval > 0 {
			k.dumpEvery(ctx, plan.Interval)
		}
	})
	return &wg
}

func (k *socket) dumpEvery(ctx context.Context, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			k.dumpTables(ctx, "interval")
		}
	}
}

func (k *socket) dumpTables(ctx context.Context, reason string) {
	for _, table := range k.src.cfg.Tables {
		if err := k.dump(ctx, table, reason); err != nil && ctx.Err() == nil {
			k.src.log.Error("dump failed", "netns", k.ns.String(), "table", table.String(), "err", err)
		}
	}
}

// dump streams one table and closes it with a dump_end, whatever happens.
func (k *socket) dump(ctx context.Context, table flow.Table, reason string) error {
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: k.ns.path})
	if err != nil {
		return fmt.Errorf("source: %s: %w", k.ns, err)
	}
	defer conn.Close()
	rows := flow.DumpInfo{ID: newDumpID(), Reason: reason, CountersReset: k.src.cfg.Dump.Zero && table == flow.TableConntrack}
	patience := dumpPatience
	count, err := conn.Dump(ctx, table, flow.DumpOptions{Zero: rows.CountersReset}, func(b *flow.Batch) error {
		patience -= k.handRows(ctx, b, &rows, patience)
		return ctx.Err()
	})
	end := rows
	end.Count, end.Complete = count, err == nil
	k.endDump(table, &end)
	return err
}

// handRows hands on a batch of rows and answers how long it waited afterwards.
func (k *socket) handRows(ctx context.Context, b *flow.Batch, info *flow.DumpInfo, patience time.Duration) time.Duration {
	events := b.Events()
	for i := range events {
		events[i].Type, events[i].Dump = flow.TypeDump, info
	}
	s := k.src
	s.mu.Lock()
	s.keep(b, k.origin)
	s.stamp(b, time.Now().UnixNano())
	fill := s.out.Take(b)
	s.mu.Unlock()
	if fill < dumpFill || patience <= 0 {
		return 0
	}
	select {
	case <-ctx.Done():
	case <-time.After(dumpPause):
	}
	return dumpPause
}

func (k *socket) endDump(table flow.Table, info *flow.DumpInfo) {
	s := k.src
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.note(flow.TypeDumpEnd)
	e.Table, e.Dump = table, info
	e.Origin = k.origin
	s.stamp(s.notes, time.Now().UnixNano())
	s.out.Take(s.notes)
}

// newDumpID is random, so that dumps of different runs and nodes differ.
func newDumpID() uint64 {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return binary.BigEndian.Uint64(b[:])
}
