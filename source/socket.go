package source

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// The rhythm of reading: a full batch means again at once, a short one a pause
// in which the kernel gathers the next, a long idle a wait in poll(2). Sleeping
// costs no event: 1 ms at 190,000 events/s is 190 events of buffer.
const (
	batchSlots = 256
	pause      = time.Millisecond
	idleRounds = 20
	idleWait   = time.Second // also how often an idle socket's account is made
)

// socket reads the events of one namespace. Its goroutine alone reads the
// listener; Source.mu guards the books.
type socket struct {
	src      *Source
	ns       namespace
	listener *ctnetlink.Listener
	origin   *flow.Origin
	batch    *flow.Batch
	books    flow.SocketBooks
	quit     chan struct{} // closed when the namespace is gone or the source stops
	stopped  bool

	turned    atomic.Int64 // when the loop last turned, nanoseconds after Source.begun; any goroutine may read it
	accounted time.Time    // when the drop counter was read last
	told      bool         // that the buffer cannot grow
}

func (s *Source) openSocket(ns namespace) (*socket, error) {
	l, err := ctnetlink.Listen(ctnetlink.Config{
		NetNS: ns.path, Groups: s.groupsOf(s.groups), Reliable: s.cfg.Reliable,
		Buffer: int(s.cfg.Buffer), MaxBuffer: int(s.cfg.Max),
	})
	if err != nil {
		return nil, fmt.Errorf("source: %s: %w", ns, err)
	}
	sock := &socket{
		src: s, ns: ns, listener: l, batch: flow.NewBatch(batchSlots), quit: make(chan struct{}),
		origin: &flow.Origin{Node: s.id.Node, NetNS: ns.name, Meta: s.id.Meta, BootID: s.id.BootID, Run: s.id.Run, Cookie: l.Cookie()},
		books:  flow.SocketBooks{NetNS: ns.name}, accounted: time.Now(),
	}
	stats, err := l.Stats()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source: %s: %w", ns, err), l.Close())
	}
	sock.warnBuffer(stats.Buffer)
	sock.turn()
	return sock, nil
}

// warnBuffer says what would help when the kernel gave less than was asked.
func (k *socket) warnBuffer(got uint64) {
	want := uint64(k.src.cfg.Buffer)
	k.books.Buffer = got
	if got < want {
		k.src.log.Warn("receive buffer is smaller than configured", "netns", k.ns.String(), "bytes", got, "asked", want,
			"help", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want/2))
	}
}

// stop makes run return; Source.mu is held.
func (k *socket) stop() {
	if !k.stopped {
		k.stopped = true
		close(k.quit)
		k.listener.Interrupt()
	}
}

// run reads until it is stopped, then leaves the groups and hands on what is queued.
func (k *socket) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, k.listener.Interrupt)
	defer stop()
	dumps := k.startDumps(ctx)
	defer dumps.Wait()
	for idle := 0; ; {
		k.turn()
		n, err := k.read()
		if err != nil {
			return err
		}
		if k.over(ctx) {
			return k.drain()
		}
		switch {
		case n == batchSlots:
			idle = 0
		case n > 0:
			idle = 0
			time.Sleep(pause)
		case idle < idleRounds:
			idle++
			time.Sleep(pause)
		default:
			if _, err := k.listener.Wait(idleWait); err != nil {
				return fmt.Errorf("source: %s: %w", k.ns, err)
			}
		}
	}
}

func (k *socket) over(ctx context.Context) bool {
	select {
	case <-k.quit:
		return true
	default:
		return ctx.Err() != nil
	}
}

// drain leaves the groups, so that the kernel offers nothing more, and reads
// what it had offered: after it the account is whole.
func (k *socket) drain() error {
	if err := k.listener.SetGroups(0); err != nil {
		return fmt.Errorf("source: %s: leave groups: %w", k.ns, err)
	}
	for {
		n, err := k.read()
		if err != nil || n == 0 {
			k.account(0)
			return err
		}
	}
}

// read hands on one batch and answers how many datagrams it held.
func (k *socket) read() (int, error) {
	k.batch.Reset()
	before := k.listener.Counts()
	n, err := k.listener.Read(k.batch)
	if err != nil {
		return 0, fmt.Errorf("source: %s: %w", k.ns, err)
	}
	if n > 0 {
		k.handOn(before)
	}
	took := uint64(n) * ctnetlink.EventCost
	if n == batchSlots || took*4 >= k.books.Buffer || time.Since(k.accounted) >= idleWait {
		k.account(took)
	}
	return n, nil
}

// handOn stamps the batch and gives it away, and enters it into the books.
func (k *socket) handOn(before ctnetlink.Counts) {
	now := time.Now().UnixNano()
	events := uint64(k.batch.Len())
	after := k.listener.Counts()
	s := k.src
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &k.books
	b.Malformed += after.Malformed - before.Malformed
	b.Foreign += after.Foreign - before.Foreign
	b.Received += events + after.Malformed - before.Malformed + after.Foreign - before.Foreign
	b.Offered = b.Received + b.Lost
	s.keep(k.batch, k.origin)
	b.Excluded += events - uint64(k.batch.Len())
	b.Emitted += uint64(k.batch.Len())
	if k.batch.Len() == 0 {
		return
	}
	s.stamp(k.batch, now)
	b.LastSeq = s.seq
	s.out.Take(k.batch)
}

// account reads the drop counter and the fill gauge: a loss becomes a gap
// record, and a buffer that was half full is raised before it overflows. took is
// how much of it the last read has emptied.
func (k *socket) account(took uint64) {
	stats, err := k.listener.Stats()
	if err != nil {
		k.src.log.Error("cannot read the socket's drop counter", "netns", k.ns.String(), "err", err)
		return
	}
	now := time.Now()
	s := k.src
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := stats.Drops - k.books.Lost
	k.books.Lost = stats.Drops
	k.books.Offered = k.books.Received + k.books.Lost
	k.books.Queued, k.books.Buffer = stats.Queued, stats.Buffer
	if lost > 0 {
		s.emitGap(k.origin, k.gap(lost, now), now.UnixNano())
		s.log.Warn("kernel dropped events", "netns", k.ns.String(), "lost", lost, "buffer", stats.Buffer)
	}
	k.accounted = now
	k.grow(stats, took)
}

func (k *socket) gap(lost uint64, now time.Time) *flow.Gap {
	g := &flow.Gap{Scope: "kernel", Source: k.ns.String(), Reason: "receive_buffer", Since: k.accounted.UnixNano(), Until: now.UnixNano()}
	if k.src.cfg.Reliable {
		g.LostMax = &lost
	} else {
		g.Lost = &lost
	}
	return g
}

// grow doubles the buffer towards its bound.
func (k *socket) grow(stats ctnetlink.SocketStats, took uint64) {
	limit := uint64(k.src.cfg.Max)
	if (stats.Queued+took)*2 < stats.Buffer || stats.Buffer >= limit || k.told {
		return
	}
	got, err := k.listener.Grow(int(min(stats.Buffer*2, limit)))
	if err != nil || uint64(got) <= stats.Buffer {
		k.told = true
		k.src.log.Warn("receive buffer cannot grow", "netns", k.ns.String(), "bytes", stats.Buffer, "err", err,
			"help", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", limit/2))
		return
	}
	k.books.Growths++
	k.books.Buffer = uint64(got)
	k.src.log.Info("receive buffer grown", "netns", k.ns.String(), "bytes", got)
}
