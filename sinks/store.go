package sinks

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// Store brings batches to the spool, from where every sink takes them at its
// own pace. Whoever offers never waits: a batch goes to a bounded queue, and
// Run writes it. What finds no room there, or on the disk, is in the books of
// every sink that wanted it.
//
// On disk a batch is a ctferry.v1.RecordBatch of whole records; filter,
// projection and encoding are done when it is read (backlog.go).
type Store struct {
	cfg   SpoolConfig
	log   *slog.Logger
	spool *spool.Spool

	closed atomic.Bool

	// The producer's: Fanout.Take.
	encoder encode.Encoder
	record  []byte
	want    []bool

	mu      sync.Mutex
	waiting []*parcel
	spare   []*parcel
	bytes   int // of waiting
	wake    chan struct{}
}

// parcel is a batch on its way to the disk.
type parcel struct {
	frame   spool.Frame
	outlets []*Outlet // those that frame.Counts names
	since   int64     // the time of the first record and of the last, ns since the epoch
	until   int64
	origin  *flow.Origin
}

// maxParcelBytes closes a parcel; the largest record may come on top.
const (
	maxParcelBytes = 1 << 20
	maxSpare       = 16 // parcels whose memory is kept for the next ones, beside SpoolConfig.Memory
	maxSpareBytes  = 256 << 10
)

// OpenStore opens the spool, or makes one. cfg must be valid, and its mode not off.
func OpenStore(cfg SpoolConfig, log *slog.Logger) (*Store, error) {
	s, err := spool.Open(*cfg.disk(), log)
	if err != nil {
		return nil, err
	}
	return &Store{
		cfg: cfg, log: log, spool: s,
		encoder: encode.Formats()["protobuf"].NewEncoder(encode.Projection{}),
		wake:    make(chan struct{}, 1),
	}, nil
}

// Run writes until ctx ends, then what still waits, and returns. Whoever
// offers must have ended before ctx does.
func (s *Store) Run(ctx context.Context) error {
	background, halt := context.WithCancel(context.WithoutCancel(ctx))
	tended := make(chan error, 1)
	go func() { tended <- s.spool.Run(background) }()
	trouble := sampler{log: s.log}
	for {
		p := s.next()
		if p != nil {
			s.write(p, &trouble)
			continue
		}
		select {
		case <-s.wake:
			continue
		case <-ctx.Done():
		}
		if p = s.next(); p == nil {
			break
		}
		s.write(p, &trouble)
	}
	halt()
	return <-tended
}

// Close gives the spool back. No outlet may run any more.
func (s *Store) Close() error {
	err := s.spool.Close()
	s.closed.Store(true)
	return err
}

// Status tells how the spool is.
func (s *Store) Status() (spool.Status, error) { return s.spool.Status() }

// Forget removes the cursors of sinks that are not among those named, so that
// they hold no segment any longer, and tells what waited for them.
func (s *Store) Forget(keep map[string]bool) error {
	st, err := s.spool.Status()
	if err != nil {
		return err
	}
	for i := range st.Cursors {
		if c := &st.Cursors[i]; !keep[sinkOf(c.Name)] {
			s.log.Warn("spool forgets a sink that is not configured", "sink", c.Name, "records", c.Lag.Records)
			err = errors.Join(err, s.spool.Remove(c.Name))
		}
	}
	return err
}

// Retire removes the cursor of an outlet whose Run has returned and whose sink
// is gone for good. What it held is in its books as dropped (shutdown) then.
func (s *Store) Retire(o *Outlet) error {
	o.ledger.abandon()
	return errors.Join(s.spool.Remove(o.cfg.Name), s.spool.Remove(remainderOf(o.cfg.Name)))
}

// last is what is known of a parcel's last record.
func (p *parcel) last() *Record {
	return &Record{Seq: p.frame.Last, Time: p.until, Origin: p.origin}
}

// next takes the oldest parcel.
func (s *Store) next() *parcel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil
	}
	p := s.waiting[0]
	n := copy(s.waiting, s.waiting[1:])
	s.waiting[n] = nil
	s.waiting = s.waiting[:n]
	return p
}

// write brings a parcel to the disk, or into the books as lost.
func (s *Store) write(p *parcel, trouble *sampler) {
	if err := s.spool.Append(&p.frame); err != nil {
		trouble.tell(slog.LevelError, "spool takes nothing, records are dropped", "records", p.frame.Records, "err", err)
		for i, o := range p.outlets {
			o.dropSpooled(p.frame.Counts[i].N, p.since, p.last(), dropDisk)
		}
	}
	for _, o := range p.outlets {
		if o.overflow != nil {
			o.overflow.landed()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= cap(p.frame.Payload)
	s.keep(p)
}

// keep lays a parcel aside to be used again; mu is held.
func (s *Store) keep(p *parcel) {
	if len(s.spare) < maxSpare && cap(p.frame.Payload) <= maxSpareBytes {
		s.spare = append(s.spare, p)
	}
}

// parcel gives an empty one, with used memory if there is some.
func (s *Store) parcel() *parcel {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &parcel{}
	if n := len(s.spare); n > 0 {
		p, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	p.frame = spool.Frame{Payload: p.frame.Payload[:0], Counts: p.frame.Counts[:0]}
	p.outlets = p.outlets[:0]
	return p
}

// reserve takes room for a parcel, unless the memory is used up; then the
// parcel is the store's again.
func (s *Store) reserve(p *parcel) (ok bool, fill float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := cap(p.frame.Payload)
	if uint64(s.bytes+size) > uint64(s.cfg.Memory) {
		s.keep(p)
		return false, 1
	}
	s.bytes += size
	return true, float64(s.bytes) / float64(s.cfg.Memory)
}

// push queues a parcel that has its room.
func (s *Store) push(p *parcel) {
	s.mu.Lock()
	s.waiting = append(s.waiting, p)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// full reports whether a parcel should take no more.
func (s *Store) full(p *parcel) bool {
	return len(p.frame.Payload) >= s.parcelSize()
}

// parcelSize is where a parcel is closed, in bytes.
func (s *Store) parcelSize() int { return min(maxParcelBytes, int(s.cfg.Segment/4)) }

// add puts an event behind the others of a parcel.
func (s *Store) add(p *parcel, e *flow.Event) {
	s.record = s.encoder.Append(s.record[:0], e)
	p.frame.Payload = encode.AppendGroup(p.frame.Payload, encode.Delimited, one(s.record))
	if p.frame.Records == 0 {
		p.frame.First, p.since, p.until = e.Seq, e.Time, e.Time
	}
	p.frame.Records++
	p.frame.Last, p.origin = e.Seq, e.Origin
	p.since, p.until = min(p.since, e.Time), max(p.until, e.Time)
}

func one(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield(b) }
}

// inherit enters into an outlet's books what earlier runs have left to it, and
// has it tell what was lost then and it was not told of. A sink that is new
// begins now.
func (s *Store) inherit(o *Outlet) error {
	for of, name := range feedsOf(o.cfg.Name) {
		if feed(of) == remainder && !s.spool.Has(name) {
			continue
		}
		c, err := s.spool.Cursor(name, spool.Now)
		if err != nil {
			return fmt.Errorf("sink %q: %w", o.cfg.Name, err)
		}
		lag, losses := c.State()
		o.ledger.begin(feed(of), losses)
		o.ledger.recover(lag.Records)
		untold := c.Untold()
		o.backlog.lost[dropSpool] += untold.Dropped
		o.backlog.lost[dropDamage] += untold.Damaged
		o.backlog.lost[dropDisk] += untold.Refused
		if o.overflow != nil && lag.Frames > 0 {
			o.overflow.spilling = true
		}
	}
	return nil
}
