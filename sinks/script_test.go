package sinks

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// script is the other side of the sink contract: it answers as a test says and
// notes what it got.
type script struct {
	open  func(try int) error
	write func(ctx context.Context, try int, b *Batch) error
	close func(ctx context.Context) error

	mu     sync.Mutex
	opens  int
	writes int
	sizes  []int
	got    []uint64 // sequence numbers, in the order of delivery
	values [][]byte
	gaps   []uint64 // those of got that are gap records
	closed bool
}

func (s *script) Open(context.Context) error {
	s.mu.Lock()
	s.opens++
	try := s.opens
	s.mu.Unlock()
	if s.open == nil {
		return nil
	}
	return s.open(try)
}

func (s *script) Write(ctx context.Context, b *Batch) error {
	s.mu.Lock()
	s.writes++
	try := s.writes
	s.sizes = append(s.sizes, len(b.Records))
	s.mu.Unlock()
	var err error
	if s.write != nil {
		err = s.write(ctx, try, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rec := range b.Records {
		if err == nil || b.done[i] {
			s.got = append(s.got, rec.Seq)
			if rec.Type == flow.TypeGap {
				s.gaps = append(s.gaps, rec.Seq)
			}
			s.values = append(s.values, bytes.Clone(rec.Value))
		}
	}
	return err
}

func (s *script) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.close != nil {
		return s.close(ctx)
	}
	return nil
}

func (s *script) delivered() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// scriptOptions brings a sink that exists already into a Config.
type scriptOptions struct{ sink Sink }

func (o scriptOptions) Validate() error       { return nil }
func (o scriptOptions) Unordered() string     { return "" }
func (o scriptOptions) New(Env) (Sink, error) { return o.sink, nil }

// outletFor makes an outlet to a sink.
func outletFor(t testing.TB, name string, sink Sink, change func(*Config)) *Outlet {
	t.Helper()
	cfg, err := NewConfig(name, "stdout")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Options = scriptOptions{sink}
	cfg.Memory = option.MiB
	if change != nil {
		change(&cfg)
	}
	o, err := NewOutlet(cfg, "node-1", [16]byte{1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var testOrigin = &flow.Origin{Node: "node-1", Run: [16]byte{1}}

// recordNo makes a record that is recognised by its number.
func recordNo(seq uint64) *Record {
	return &Record{
		Value:  fmt.Appendf(nil, `{"seq":%d}`, seq),
		Seq:    seq,
		Time:   int64(seq) * 1000,
		Type:   flow.TypeNew,
		Table:  flow.TableConntrack,
		Origin: testOrigin,
	}
}

func offerUpTo(o *Outlet, last uint64) {
	for seq := uint64(1); seq <= last; seq++ {
		o.Offer(recordNo(seq))
	}
}

// upTo is 1, 2, … last.
func upTo(last uint64) []uint64 {
	seqs := make([]uint64, last)
	for i := range seqs {
		seqs[i] = uint64(i) + 1
	}
	return seqs
}

// start runs the outlet; the function that it gives stops it and tells how Run ended.
func start(o *Outlet) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func dropped(b flow.SinkBooks, why reason) uint64 {
	for _, d := range b.Dropped {
		if d.Reason == why.String() {
			return d.Count
		}
	}
	return 0
}

func checkBooks(t testing.TB, o *Outlet, want flow.SinkBooks) flow.SinkBooks {
	t.Helper()
	b := o.Books()
	if !b.Balanced() {
		t.Errorf("books do not balance: %+v", b)
	}
	got := [...]uint64{b.Offered, b.Delivered, b.DroppedTotal(), b.DeadLettered, b.Held}
	exp := [...]uint64{want.Offered, want.Delivered, want.DroppedTotal(), want.DeadLettered, want.Held}
	if got != exp {
		t.Errorf("offered, delivered, dropped, dead-lettered, held: got %v, expected %v", got, exp)
	}
	return b
}
