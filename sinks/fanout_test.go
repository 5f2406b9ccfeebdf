package sinks

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// oddOnly passes odd sequence numbers and counts how often it is asked.
type oddOnly struct{ asked int }

func (f *oddOnly) Match(e *flow.Event) bool {
	f.asked++
	return flow.AlwaysTypes.Has(e.Type) || e.Seq%2 == 1
}

// batchOf makes a batch of events, numbered from first.
func batchOf(first uint64, types ...flow.Type) *flow.Batch {
	b := flow.NewBatch(len(types))
	fillBatch(b, first, types...)
	return b
}

func fillBatch(b *flow.Batch, first uint64, types ...flow.Type) {
	b.Reset()
	for i, typ := range types {
		e := b.Next()
		e.Type, e.Table, e.Family, e.Proto = typ, flow.TableConntrack, flow.IPv4, 6
		e.Seq, e.Time, e.TimeSource, e.Origin = first+uint64(i), int64(first)+int64(i), flow.TimeReceived, testOrigin
		e.FlowID, e.Has = 7*e.Seq, flow.HasFlowID
		switch typ {
		case flow.TypeGap:
			lost := uint64(5)
			e.Gap = &flow.Gap{Scope: "kernel", Source: "host", Reason: "receive_buffer", Lost: &lost}
		case flow.TypeStatus:
			e.Agent = &flow.Agent{Reason: "interval", LastSeq: e.Seq - 1}
		}
	}
}

// collect runs the outlets dry and tells what each sink got.
func drainAll(t *testing.T, outlets ...*Outlet) {
	t.Helper()
	for _, o := range outlets {
		if err := start(o)(); err != nil {
			t.Error(err)
		}
	}
}

func TestFanoutSelects(t *testing.T) {
	all := []flow.Type{
		flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeDump, flow.TypeDumpEnd, flow.TypeInterim, flow.TypeGap, flow.TypeStatus,
		flow.TypeNew, flow.TypeDestroy,
	}
	odd := &oddOnly{}
	tests := []struct {
		name   string
		change func(*Config)
		want   []uint64
	}{
		{"default", nil, []uint64{1, 2, 3, 7, 8, 9, 10}},
		{"destroy", func(c *Config) { c.Events = []Event{Event(flow.TypeDestroy)} }, []uint64{3, 7, 8, 10}},
		{"dump brings its end", func(c *Config) { c.Events = []Event{Event(flow.TypeDump)} }, []uint64{4, 5, 7, 8}},
		{"interim", func(c *Config) { c.Events = []Event{Event(flow.TypeInterim)} }, []uint64{6, 7, 8}},
		{"filter", func(c *Config) { c.Filter = odd }, []uint64{1, 3, 7, 8, 9}},
		{"same filter, other encoding", func(c *Config) { c.Filter, c.Encoding = odd, "protobuf" }, []uint64{1, 3, 7, 8, 9}},
		{"filter and mask", func(c *Config) { c.Filter, c.Events = odd, []Event{Event(flow.TypeNew)} }, []uint64{1, 7, 8, 9}},
		{"community", func(c *Config) { c.CommunityID = true }, []uint64{1, 2, 3, 7, 8, 9, 10}},
	}
	synctest.Test(t, func(t *testing.T) {
		var outlets []*Outlet
		var sinks []*script
		for i, tt := range tests {
			sink := &script{}
			sinks = append(sinks, sink)
			outlets = append(outlets, outletFor(t, fmt.Sprint("s", i), sink, tt.change))
		}
		f := NewFanout(outlets...)
		b := batchOf(1, all...)
		if fill := f.Take(b); fill <= 0 || fill > 0.1 {
			t.Errorf("fill %v", fill)
		}
		fillBatch(b, 1000, all...) // the batch is the reader's again: nothing may refer to it
		drainAll(t, outlets...)
		for i, tt := range tests {
			if !slices.Equal(sinks[i].got, tt.want) {
				t.Errorf("%s: got %v, expected %v", tt.name, sinks[i].got, tt.want)
			}
			for j, value := range sinks[i].values {
				if e := decodeOne(t, outlets[i].format, value); e.Seq != tt.want[j] || e.Type != all[e.Seq-1] {
					t.Errorf("%s: record %d is %s %d", tt.name, j, e.Type, e.Seq)
				}
			}
		}
		if odd.asked != len(all) {
			t.Errorf("a filter that three sinks share was asked %d times for %d events", odd.asked, len(all))
		}
		if n := len(f.plan.renderings); n != 3 {
			t.Errorf("%d renderings, expected json, protobuf and json with community_id", n)
		}
	})
}

func TestFanoutStatusCarriesOwnBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &script{}, &script{}
		a := outletFor(t, "a", one, nil)
		b := outletFor(t, "b", two, func(c *Config) { c.Events = []Event{Event(flow.TypeDestroy)} })
		f := NewFanout(a, b)
		batch := batchOf(1, flow.TypeNew, flow.TypeNew, flow.TypeDestroy, flow.TypeStatus, flow.TypeNew)
		f.Take(batch)
		if batch.Events()[3].Agent.Sink != nil {
			t.Error("the reader's event was changed")
		}
		drainAll(t, a, b)
		for _, tt := range []struct {
			o       *Outlet
			s       *script
			at      int
			offered uint64
		}{{a, one, 3, 3}, {b, two, 1, 1}} {
			e := decodeOne(t, tt.o.format, tt.s.values[tt.at])
			if e.Type != flow.TypeStatus || e.Agent == nil || e.Agent.Sink == nil {
				t.Fatalf("%s: no status with books: %+v", tt.o.Name(), e)
			}
			if s := e.Agent.Sink; s.Name != tt.o.Name() || s.Offered != tt.offered || s.Held != tt.offered {
				t.Errorf("%s: books %+v, expected %d offered and held", tt.o.Name(), s, tt.offered)
			}
		}
	})
}

func TestFanoutSinkGapGoesToItsSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &script{}, &script{}
		a, b := outletFor(t, "a", one, nil), outletFor(t, "b", two, nil)
		f := NewFanout(a, b)
		batch := batchOf(1, flow.TypeGap, flow.TypeGap)
		batch.Events()[0].Gap.Scope, batch.Events()[0].Gap.Sink = "sink", "b"
		f.Take(batch)
		drainAll(t, a, b)
		if !slices.Equal(one.got, []uint64{2}) || !slices.Equal(two.got, []uint64{1, 2}) {
			t.Errorf("a got %v, b got %v", one.got, two.got)
		}
	})
}

// TestFanoutRecord checks what a sink is told beside the value.
func TestFanoutRecord(t *testing.T) {
	var got []Record
	sink := &script{write: func(_ context.Context, _ int, b *Batch) error {
		for _, r := range b.Records {
			r.Value = nil
			got = append(got, r)
		}
		return nil
	}}
	o := outletFor(t, "s", sink, nil)
	NewFanout(o).Take(batchOf(5, flow.TypeDestroy, flow.TypeGap))
	drainAll(t, o)
	want := []Record{
		{Seq: 5, Time: 5, FlowID: 35, Type: flow.TypeDestroy, Table: flow.TableConntrack, Family: flow.IPv4, Proto: 6, Origin: testOrigin},
		{Seq: 6, Time: 6, FlowID: 0, Type: flow.TypeGap, Table: flow.TableConntrack, Family: flow.IPv4, Proto: 6, Origin: testOrigin},
	}
	for i := range want {
		if i >= len(got) || fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want[i]) {
			t.Errorf("record %d: got %+v, expected %+v", i, got[i], want[i])
		}
	}
}

func TestFanoutSwap(t *testing.T) {
	sinks := []*script{{}, {}, {}}
	var outlets []*Outlet
	for i, s := range sinks {
		outlets = append(outlets, outletFor(t, fmt.Sprint("s", i), s, nil))
	}
	f := NewFanout(outlets[0], outlets[1])
	var reader sync.WaitGroup
	swapped := make(chan struct{})
	reader.Go(func() {
		b := flow.NewBatch(4)
		for seq := uint64(1); seq < 4000; seq += 4 {
			fillBatch(b, seq, flow.TypeNew, flow.TypeNew, flow.TypeNew, flow.TypeNew)
			f.Take(b)
			if seq == 1 {
				close(swapped)
			}
			runtime.Gosched()
		}
	})
	<-swapped
	if gone := f.Swap(outlets[1], outlets[2]); !slices.Equal(gone, outlets[:1]) {
		t.Errorf("%d outlets gone", len(gone))
	}
	at := outlets[0].Books().Offered
	reader.Wait()
	books := f.Books()
	if b := outlets[0].Books(); b.Offered != at {
		t.Errorf("the outlet that left was offered %d more", b.Offered-at)
	}
	if books[0].Name != "s1" || books[0].Offered != 4000 || at+books[1].Offered != 4000 {
		t.Errorf("left %d, stayed %d, came %d", at, books[0].Offered, books[1].Offered)
	}
}

// TestReaderNeverWaits gives one sink that hangs for ever to a reader with many events.
func TestReaderNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &script{write: func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }}
		live := &script{}
		a := outletFor(t, "dead", dead, nil)
		b := outletFor(t, "live", live, func(c *Config) { c.Flush.Linger = 0 })
		f := NewFanout(a, b)
		stopA, stopB := start(a), start(b)
		began := time.Now()
		batch := flow.NewBatch(64)
		types := slices.Repeat([]flow.Type{flow.TypeNew}, 64)
		for n := range uint64(2000) {
			fillBatch(batch, 64*n+1, types...)
			f.Take(batch)
			synctest.Wait() // the live sink keeps up; time does not pass
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the reader waited %v", waited)
		}
		if n := len(live.delivered()); n != 128_000 {
			t.Errorf("the live sink got %d of 128000", n)
		}
		if err := stopB(); err != nil {
			t.Error(err)
		}
		if err := stopA(); err != nil {
			t.Error(err)
		}
		for _, books := range f.Books() {
			if !books.Balanced() || books.Offered < 128_000 || books.Held != 0 {
				t.Errorf("%+v", books)
			}
		}
		if n := dropped(a.Books(), dropMemory); n == 0 {
			t.Error("the dead sink dropped nothing for memory")
		}
	})
}

// TestFanoutAllocatesNothing runs a whole path: two formats, three sinks, a filter.
func TestFanoutAllocatesNothing(t *testing.T) {
	f, stop := steadyFanout(t)
	b := batchOf(1, slices.Repeat([]flow.Type{flow.TypeNew}, 256)...)
	take := func() { // the segments that are made are then those that one batch needs
		f.Take(b)
		for i := range f.plan.routes {
			awaitTaken(f.plan.routes[i].outlet)
		}
	}
	for range 200 {
		take()
	}
	if n := testing.AllocsPerRun(300, take); n > 0 {
		t.Errorf("%v allocations a batch of 256", n)
	}
	stop()
}

// awaitTaken waits until an outlet's queue is empty.
func awaitTaken(o *Outlet) {
	for n := 1; n > 0; n, _ = o.memory.waiting() {
		runtime.Gosched()
	}
}

func steadyFanout(t testing.TB) (f *Fanout, stop func()) {
	var outlets []*Outlet
	var stops []func() error
	for i, encoding := range []string{"json", "json", "protobuf"} {
		o := outletFor(t, fmt.Sprint("s", i), discard{}, func(c *Config) {
			c.Encoding, c.Memory = encoding, 4*option.MiB
			if i > 0 {
				c.Filter = &oddOnly{}
			}
		})
		outlets = append(outlets, o)
		stops = append(stops, start(o))
	}
	return NewFanout(outlets...), func() {
		for _, stop := range stops {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	}
}

// discard acknowledges everything.
type discard struct{}

func (discard) Open(context.Context) error          { return nil }
func (discard) Write(context.Context, *Batch) error { return nil }
func (discard) Close(context.Context) error         { return nil }

func BenchmarkFanout(b *testing.B) {
	f, stop := steadyFanout(b)
	batch := batchOf(1, slices.Repeat([]flow.Type{flow.TypeNew}, 256)...)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		f.Take(batch)
		n += batch.Len()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
	stop()
}

// BenchmarkOutlet is what one sink costs without encoding: the copy into the
// ring, the books and the courier.
func BenchmarkOutlet(b *testing.B) {
	o := outletFor(b, "s", discard{}, func(c *Config) { c.Memory = 32 * option.MiB })
	stop := start(o)
	recs := make([]Record, 256)
	for i := range recs {
		recs[i] = *recordNo(uint64(i))
		recs[i].Value = make([]byte, 700)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		o.offer(recs)
		n += len(recs)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
	if err := stop(); err != nil {
		b.Error(err)
	}
	if books := o.Books(); !books.Balanced() {
		b.Errorf("%+v", books)
	}
}
