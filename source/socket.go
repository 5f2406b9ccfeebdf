package source

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// warnPause is between two lines of the log about dropped events.
const warnPause = time.Second

// socket reads the events of one namespace, or a shard of them. Its goroutine alone reads the
// listener; Source.mu guards the books.
type socket struct {
	src      *Source
	ns       namespace
	shards   []*socket // the lead's: all of the namespace's, itself first; nil in the others
	listener *ctnetlink.Listener
	origin   *flow.Origin
	batch    *flow.Batch
	books    flow.SocketBooks
	quit     chan struct{} // closed when the namespace is gone or the source stops
	stopped  bool

	turned atomic.Int64 // when the loop last turned, nanoseconds after Source.begun; any goroutine may read it

	// Source.mu guards these too, as the drop counter is read for a dump as well.
	accounted time.Time // when the drop counter was read last
	upper     bool      // the drop counter has counted retries since it was read last
	unsaid    uint64    // dropped events that the log does not tell of yet
	warned    time.Time // when it told of some last

	growth   growth        // of the buffer, where it was refused
	looked   time.Time     // when the reader read the drop counter last
	burst    int           // events read since, without a pause
	begun    time.Time     // when the first of them were looked for; only where state is kept
	more     bool          // the last read was a whole batch: there may be more
	buffer   atomic.Uint64 // the books' Buffer, for the reader
	lossy    chan struct{} // a loss wants a dump; room for one
	reliable reliable

	track     *tracker      // nil: flows are not tracked; Source.mu guards it
	verdicts  []bool        // of the filter, on each event of the batch
	synthetic *flow.Batch   // for records that are inferred; Source.mu guards it
	whole     atomic.Int64  // when nothing was waiting last, ns since the epoch; only where state is kept
	emptied   atomic.Uint64 // reads that left nothing waiting
	taken     atomic.Uint64 // events read and taken in
}

func (s *Source) openShard(ns namespace, way ctnetlink.Receive, filter *ctnetlink.KernelFilter, lead bool) (*socket, error) {
	l, err := ctnetlink.Listen(ctnetlink.Config{
		NetNS: ns.path, Groups: s.groupsOf(s.wanted), Receive: way, Reliable: s.cfg.Reliable,
		Buffer: int(s.cfg.Buffer), MaxBuffer: int(s.cfg.Max), Filter: filter,
	})
	if err != nil {
		return nil, fmt.Errorf("source: %s: %w", ns, err)
	}
	sock := &socket{
		src: s, ns: ns, listener: l, batch: flow.NewBatch(batchSlots), quit: make(chan struct{}), lossy: make(chan struct{}, 1),
		origin: &flow.Origin{Node: s.id.Node, NetNS: ns.name, Meta: s.id.Meta, BootID: s.id.BootID, Run: s.id.Run, Cookie: l.Cookie()},
		books:  flow.SocketBooks{NetNS: ns.name}, accounted: time.Now(),
	}
	stats, err := l.Stats()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source: %s: %w", ns, err), l.Close())
	}
	s.tellWay(sock)
	s.tellFilter(sock)
	sock.warnBuffer(stats.Buffer, lead)
	sock.reliable.on.Store(s.cfg.Reliable)
	sock.whole.Store(sock.accounted.UnixNano())
	sock.turn()
	return sock, nil
}

// warnBuffer says, of one socket of a namespace, what would help when the kernel
// gave less than was asked.
func (k *socket) warnBuffer(got uint64, tell bool) {
	want := uint64(k.src.cfg.Buffer)
	k.books.Buffer = got
	k.buffer.Store(got)
	if got < want && tell {
		k.src.log.Warn("receive buffer is smaller than configured", "netns", k.ns.String(), "bytes", got, "asked", want,
			"help", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want/2))
	}
}

// state is the socket's account; Source.mu is held.
func (k *socket) state() flow.SocketBooks {
	b := k.books
	b.Reliable, b.LetGo = k.reliable.on.Load(), k.reliable.letGo.Load()
	if b.Refused != nil {
		b.Refused = new(*b.Refused)
	}
	return b
}

// stop makes the run of every shard return; Source.mu is held.
func (k *socket) stop() {
	for _, o := range k.shards {
		if !o.stopped {
			o.stopped = true
			close(o.quit)
			o.listener.Interrupt()
		}
	}
}

// run reads until it is stopped, then leaves the groups and hands on what is queued.
func (k *socket) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, k.listener.Interrupt)
	defer stop()
	defer k.attend(ctx)()
	var pace pace
	rounds := 0
	for {
		k.turn()
		n, err := k.read()
		if err != nil {
			return err
		}
		if k.over(ctx) {
			return k.drain()
		}
		if pace.read(n); n == batchSlots {
			if rounds++; rounds%yieldRounds == 0 {
				runtime.Gosched() // whoever takes what was handed on finds it in the processor's cache
			}
			continue
		}
		d, wait := pace.next(time.Now(), k.buffer.Load())
		if !wait {
			time.Sleep(d)
		} else if _, err := k.listener.Wait(k.src.toBeat()); err != nil {
			return fmt.Errorf("source: %s: %w", k.ns, err)
		}
	}
}

// attend starts what goes on beside the reading of a namespace, and gives what ends it.
func (k *socket) attend(ctx context.Context) (end func()) {
	if !k.leads() {
		return func() {}
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-k.quit:
			cancel()
		}
	})
	if c := &k.src.cfg; c.Dump.AtStart || c.Dump.Interval > 0 || c.Track.Enabled {
		wg.Go(func() { k.runDumps(ctx) })
	}
	if k.src.cfg.Reliable {
		wg.Go(func() { k.guardTable(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
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
	if err := k.awaitParked(); err != nil {
		return err
	}
	left := time.Now()
	if err := k.listener.SetGroups(0); err != nil {
		return fmt.Errorf("source: %s: leave groups: %w", k.ns, err)
	}
	for {
		n, err := k.read()
		if err != nil || n == 0 {
			k.account(0)
			k.whole.Store(min(k.whole.Load(), left.UnixNano()))
			return err
		}
	}
}

// read hands on one batch and answers how many datagrams it held.
func (k *socket) read() (int, error) {
	k.batch.Reset()
	if k.src.book != nil && !k.more {
		k.begun = time.Now() // what this read and the next bring may be in the listener's hands since then
	}
	before := k.listener.Counts()
	n, err := k.listener.Read(k.batch, batchSlots)
	if err != nil {
		return 0, fmt.Errorf("source: %s: %w", k.ns, err)
	}
	if n > 0 {
		k.handOn(before, k.listener.Counts())
	}
	if k.more = n == batchSlots; k.src.book != nil && !k.more {
		k.whole.Store(k.begun.UnixNano())
	}
	if k.track != nil {
		k.taken.Add(uint64(n))
		if !k.more {
			k.emptied.Add(1)
		}
	}
	k.look(n)
	return n, nil
}

// look reads the drop counter and the fill gauge where that is due, after a read of n
// events. Whole batches are one long read until one is short.
func (k *socket) look(n int) {
	k.burst += n
	took := uint64(k.burst) * ctnetlink.EventCost
	if k.burst >= lookSlots || took*4 >= k.buffer.Load() || time.Since(k.looked) >= beat {
		k.account(took)
		k.looked, k.burst = time.Now(), 0
	}
	if !k.more {
		k.burst = 0
	}
}

// handOn stamps the batch and gives it away, and enters it into the books.
func (k *socket) handOn(before, after ctnetlink.Counts) {
	now := time.Now().UnixNano()
	events := uint64(k.batch.Len())
	s := k.src
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &k.books
	b.Malformed += after.Malformed - before.Malformed
	b.Foreign += after.Foreign - before.Foreign
	b.Received += events + after.Malformed - before.Malformed + after.Foreign - before.Foreign
	b.Offered = b.Received + b.Lost
	s.kinds.add(k.batch.Events())
	var inferred uint64
	if k.track == nil {
		s.keep(k.batch, k.origin)
	} else {
		inferred = k.observe(now)
	}
	kept := uint64(k.batch.Len()) - inferred
	b.Excluded += events - kept
	b.Emitted += kept
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
	k.src.mu.Lock()
	stats, ok := k.settle()
	k.src.mu.Unlock()
	if ok {
		k.grow(stats, took)
	}
}

// settle writes a reading of the counters into the books; Source.mu is held.
func (k *socket) settle() (ctnetlink.SocketStats, bool) {
	s := k.src
	stats, err := k.listener.Stats()
	if err != nil {
		s.log.Error("cannot read the socket's drop counter", "netns", k.ns.String(), "err", err)
		return stats, false
	}
	now := time.Now()
	lost := stats.Drops - k.books.Lost
	k.books.Lost = stats.Drops
	k.books.Offered = k.books.Received + k.books.Lost
	k.books.Queued, k.books.Buffer = stats.Queued, stats.Buffer
	if k.books.Refused != nil {
		*k.books.Refused = stats.Refused
	}
	upper := k.reliable.on.Load()
	if lost > 0 {
		g := k.gap(lost, upper || k.upper, now)
		s.emitGap(k.origin, g, now.UnixNano())
		k.unsaid += lost
		k.wantResync(g.Since)
	}
	if k.unsaid > 0 && now.Sub(k.warned) >= warnPause {
		s.log.Warn("kernel dropped events", "netns", k.ns.String(), "lost", k.unsaid, "at_most", upper || k.upper, "buffer", stats.Buffer)
		k.unsaid, k.warned = 0, now
	}
	k.accounted, k.upper = now, upper
	k.buffer.Store(stats.Buffer)
	return stats, true
}

// wantResync has the loss made good where flows are tracked.
func (k *socket) wantResync(since int64) {
	if k.track == nil {
		return
	}
	k.track.lose(since)
	select {
	case k.lossy <- struct{}{}:
	default: // it is wanted already
	}
}

// gap tells of a loss; upper says that the figure counts retries too.
func (k *socket) gap(lost uint64, upper bool, now time.Time) *flow.Gap {
	g := &flow.Gap{Scope: "kernel", Source: k.ns.String(), Reason: "receive_buffer", Since: earliest(k.accounted, now), Until: now.UnixNano()}
	if upper {
		g.LostMax = &lost
	} else {
		g.Lost = &lost
	}
	return g
}
