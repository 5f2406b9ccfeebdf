package sinks

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// Outlet brings records to one sink: it queues them, retries, and keeps the
// books. One producer at a time offers, Run delivers, and any goroutine may
// ask for Books. The producer never waits for the sink.
type Outlet struct {
	cfg        Config
	types      flow.Types
	projection encode.Projection
	format     encode.Format
	inside     bool // records bring their inside address
	sink       Sink
	log        *slog.Logger
	ledger     *ledger
	queue      queue
	wake       chan struct{}   // there may be something to do for the courier
	woken      <-chan struct{} // the same, said by the spool; nil without one
	backlog    *backlog        // the queue, or the part of it that is the spool's
	overflow   *overflow       // the queue, if it is both

	front loss // what the store had no room for; the Fanout's alone

	// The producer's side. The courier takes the lock too, for a moment, to
	// place a gap record that no later record brings along.
	producing sync.Mutex
	memory    *memory
	loss      loss
}

// NewOutlet makes the outlet and its sink, without I/O. cfg must be valid.
func NewOutlet(cfg Config, node string, run [16]byte, log *slog.Logger) (*Outlet, error) {
	o, err := newOutlet(cfg, node, run, log)
	if err != nil {
		return nil, err
	}
	o.memory = o.newMemory()
	o.queue = o.memory
	return o, nil
}

// NewStoredOutlet makes an outlet that takes its records from a store. It does no
// I/O but on the store. Run begins with the oldest record that the sink has not had.
// before is the outlet that this one replaces, nil if there is none: the books
// go on where it stands, from now on for both. Run may be called when the one
// before has returned. Only a Fanout to the same store may feed the outlet.
func NewStoredOutlet(cfg Config, node string, run [16]byte, s *Store, before *Outlet, log *slog.Logger) (*Outlet, error) {
	o, err := newOutlet(cfg, node, run, log)
	if err != nil {
		return nil, err
	}
	o.backlog = newBacklog(o, s, &flow.Origin{Node: node, Run: run})
	o.queue = o.backlog
	o.front = newLoss(cfg.Name, nil)
	o.ledger.stored = true
	if s.cfg.Mode == SpoolOverflow {
		if n := len(remainderOf(cfg.Name)); n > spool.MaxName {
			return nil, fmt.Errorf("sink %q: the name is too long to be spooled: expected %d bytes at most", cfg.Name, spool.MaxName-n+len(cfg.Name))
		}
		o.overflow = newOverflow(o)
		o.queue = o.overflow
	}
	if before != nil && before.backlog != nil && before.cfg.Name == cfg.Name {
		o.ledger = before.ledger
		if o.overflow != nil {
			o.overflow.succeed(before.overflow)
		}
		return o, nil
	}
	if err := s.inherit(o); err != nil {
		return nil, err
	}
	return o, nil
}

// newMemory makes the outlet's queue in memory. The courier's list of what it took and
// its marks of what is done count as memory too.
func (o *Outlet) newMemory() *memory {
	bytes := uint64(o.cfg.Memory)
	lists := uint64(o.cfg.Flush.Count) * (recordSize + 1)
	return newMemory(bytes-min(lists, bytes/4), o.segmentSize(), o.format.Framing, o.inside)
}

// segmentSize is how long segments may be that the outlet holds.
func (o *Outlet) segmentSize() int { return segmentSize(uint64(o.cfg.Memory)) }

func newOutlet(cfg Config, node string, run [16]byte, log *slog.Logger) (*Outlet, error) {
	projection, err := cfg.Projection()
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", cfg.Name, err)
	}
	log = log.With("sink", cfg.Name)
	format := encode.Formats()[cfg.Encoding]
	sink, err := cfg.Options.New(Env{Name: cfg.Name, Node: node, Run: run, Format: format, Group: cfg.Group, Log: log})
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", cfg.Name, err)
	}
	keyed, ok := cfg.Options.(insideKeyed)
	return &Outlet{
		inside:     ok && keyed.wantsInside(),
		cfg:        cfg,
		types:      cfg.Types(),
		projection: projection,
		format:     format,
		sink:       sink,
		log:        log,
		ledger:     &ledger{name: cfg.Name},
		wake:       make(chan struct{}, 1),
		loss:       newLoss(cfg.Name, format.NewEncoder(projection)),
	}, nil
}

// Name is the sink's configured name.
func (o *Outlet) Name() string { return o.cfg.Name }

// Config is the configuration that the outlet was made of.
func (o *Outlet) Config() Config { return o.cfg }

// Books gives the sink's account as it is now. It always balances.
func (o *Outlet) Books() flow.SinkBooks {
	if o.backlog != nil {
		o.backlog.notice()
	}
	return o.ledger.books()
}

// Health tells when things last happened to the sink.
func (o *Outlet) Health() Health {
	o.ledger.mu.Lock()
	defer o.ledger.mu.Unlock()
	return o.ledger.health
}

// Reopen asks the sink to open its file anew, if it has one (SIGHUP). It returns at once.
func (o *Outlet) Reopen() {
	if r, ok := o.sink.(interface{ Reopen() }); ok {
		r.Reopen()
	}
}

// Offer copies a record into the queue or counts it as dropped; it never
// waits. It answers how full the queue is now, from 0 to 1. Calls must not overlap.
func (o *Outlet) Offer(rec *Record) (fill float64) {
	return o.offer([]Record{*rec})
}

// offer is Offer for a run of records.
func (o *Outlet) offer(recs []Record) (fill float64) {
	o.producing.Lock()
	defer o.producing.Unlock()
	o.memory.begin()
	o.put(recs)
	return o.commit()
}

// share is offer for records that others are offered too: they are not copied if
// there is room for all.
func (o *Outlet) share(pieces []piece) (fill float64) {
	o.producing.Lock()
	defer o.producing.Unlock()
	o.memory.begin()
	if o.loss.count == 0 && o.memory.share(pieces) {
		o.ledger.offer(uint64(lenOf(pieces)), 0)
		return o.commit()
	}
	for i := range pieces {
		o.put(pieces[i].records())
	}
	return o.commit()
}

// put copies what has room, and counts the rest as dropped.
func (o *Outlet) put(recs []Record) {
	offered, lost := uint64(len(recs)), uint64(0)
	for i := range recs {
		rec := &recs[i]
		switch {
		case o.loss.count == 0 && o.memory.put(rec):
		case o.loss.count > 0 && o.putBehindGap(rec):
			offered++
		default:
			o.loss.add(rec, dropMemory)
			lost++
		}
	}
	// The books come first: what the courier can see must be in them.
	o.ledger.offer(offered, lost)
}

// commit shows the courier what was put, and tells how full the queue is.
func (o *Outlet) commit() (fill float64) {
	before, after := o.memory.commit()
	if before.recs == 0 || !o.enough(before) && o.enough(after) {
		o.rouse()
	}
	return o.memory.fill()
}

// putBehindGap puts the gap record and then rec, or neither: a gap that
// nothing follows would only be followed by the next gap.
func (o *Outlet) putBehindGap(rec *Record) bool {
	m := o.memory
	if !m.fits(int(o.loss.size) + m.own.framed(rec)) {
		return false // what the last gap took is a good guess; no need to encode this one
	}
	try := m.try()
	if !m.put(o.loss.record()) || !m.put(rec) {
		m.undo(try)
		return false
	}
	o.loss.clear()
	return true
}

// putGap puts a pending gap record into the queue, for the courier, when
// there is nothing else in it: no record may come for a long time.
func (o *Outlet) putGap() bool {
	if o.backlog != nil {
		return o.backlog.putGap()
	}
	o.producing.Lock()
	defer o.producing.Unlock()
	o.memory.begin()
	if o.loss.count == 0 || !o.memory.put(o.loss.record()) {
		return false
	}
	o.loss.clear()
	o.ledger.offer(1, 0)
	o.memory.commit()
	return true
}

// lose notes, for the courier, a record that was given up after it had been in
// the queue. A gap that is lost is not told by another one: a sink that takes
// nothing at all would never be done.
func (o *Outlet) lose(rec *Record, why reason) {
	if rec.Type == flow.TypeGap {
		return
	}
	o.producing.Lock()
	defer o.producing.Unlock()
	o.loss.add(rec, why)
}

// dropSpooled notes, for the store, n records that were held and are lost.
func (o *Outlet) dropSpooled(n uint64, since int64, last *Record, why reason) {
	if n == 0 {
		return
	}
	o.ledger.dropMany(why, n)
	o.producing.Lock()
	o.loss.addRun(n, since, last, why)
	o.producing.Unlock()
	o.rouse()
}

// chooses tells whether the sink wants an event; sure is false if it is for the
// filter to say.
func (o *Outlet) chooses(e *flow.Event) (yes, sure bool) {
	switch {
	case e.Type == flow.TypeGap && e.Gap != nil && e.Gap.Scope == "sink":
		return e.Gap.Sink == o.cfg.Name, true
	case flow.AlwaysTypes.Has(e.Type):
		return true, true
	case !o.types.Has(e.Type):
		return false, true
	}
	return o.cfg.Filter == nil, o.cfg.Filter == nil
}

// enough reports whether what waits makes a whole batch.
func (o *Outlet) enough(waiting mark) bool {
	return waiting.recs >= uint64(o.cfg.Flush.Count) || waiting.bytes >= uint64(o.cfg.Flush.Bytes)
}

// rouse wakes the courier if it sleeps.
func (o *Outlet) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
