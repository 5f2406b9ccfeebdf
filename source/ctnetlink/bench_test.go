package ctnetlink

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// captured gives the golden datagrams of event sockets whose names have the prefix.
func captured(tb testing.TB, prefix string) (out [][]byte) {
	tb.Helper()
	files, err := filepath.Glob("testdata/" + prefix + "*.bin")
	if err != nil || len(files) == 0 {
		tb.Fatalf("%d datagrams: %v", len(files), err)
	}
	for _, name := range files {
		if strings.Contains(name, "dump") {
			continue
		}
		p, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"", "udp4-", "tcp4-", "tcp6-", "icmp-", "sctp-", "churn-", "ftp-"} {
		b.Run("of="+name, func(b *testing.B) {
			events := captured(b, name)
			batch := flow.NewBatch(eventSlots)
			var d decoder
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if batch.Free() == 0 {
					batch.Reset()
				}
				if _, err := d.datagram(batch, events[i%len(events)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQuickTuple tells what the fast path saves: the same tuple by both ways.
func BenchmarkQuickTuple(b *testing.B) {
	t := tupleOf(6, "10.0.0.1", "10.0.0.2", 1, 2)
	p := written(func(w *writer) { w.putTuple(ctaTupleOrig, &t) })[attrLen:]
	b.Run("way=quick", func(b *testing.B) {
		var got flow.Tuple
		for b.Loop() {
			if tuple(&got, flow.IPv4, p) != nil {
				b.Fatal()
			}
		}
	})
	p = append(p, written(func(w *writer) { w.putBytes(77, nil) })...)
	b.Run("way=walk", func(b *testing.B) {
		var got flow.Tuple
		for b.Loop() {
			if tuple(&got, flow.IPv4, p) != nil {
				b.Fatal()
			}
		}
	})
}

// TestDecodeAllocatesNothing decodes every golden event, those too that have
// names and side slots.
func TestDecodeAllocatesNothing(t *testing.T) {
	events := captured(t, "")
	batch := flow.NewBatch(len(events))
	var d decoder
	if n := testing.AllocsPerRun(100, func() {
		batch.Reset()
		for _, p := range events {
			if _, err := d.datagram(batch, p); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d events", n, len(events))
	}
}

// TestReadAllocatesNothing reads real events.
func TestReadAllocatesNothing(t *testing.T) { both(t, testReadAllocatesNothing) }

func testReadAllocatesNothing(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 8 << 20})
	churn(t, testnet.Churn{NS: ns, Entries: 2560})
	b := flow.NewBatch(eventSlots)
	if n := testing.AllocsPerRun(15, func() {
		b.Reset()
		if got, err := l.Read(b, eventSlots); err != nil || got != eventSlots {
			t.Fatalf("%d datagrams: %v", got, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// eachWay runs a benchmark once for each way by which events come.
func eachWay(b *testing.B, f func(*testing.B, Receive)) {
	for _, via := range []Receive{ReceiveSocket, ReceiveRing} {
		b.Run("receive="+via.String(), func(b *testing.B) {
			if via == ReceiveRing {
				needRing(b)
			}
			f(b, via)
		})
	}
}

// BenchmarkRead reads what a generator at full rate makes, in the manner of the
// service: read until a batch is short, sleep a millisecond. One operation is
// 40000 events; cpu-ns/event is what the calls of Read cost their thread,
// all-ns/event what the process does beside making events (reading, sleeping, the
// scheduler), and made-ns/event what making an event costs, the filter included.
func BenchmarkRead(b *testing.B) { eachWay(b, benchmarkRead) }

func benchmarkRead(b *testing.B, via Receive) {
	ns := testnet.New(b)
	l := listen(b, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 64 << 20})
	const entries = 20000
	var events uint64
	var reading, making int64
	before := cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID)
	var elapsed time.Duration
	batch := flow.NewBatch(eventSlots)
	for b.Loop() {
		done := make(chan int64, 1)
		start := time.Now()
		go func() { done <- makeEvents(b, ns, entries) }()
		for got := 0; got < 2*entries; {
			runtime.LockOSThread() // it is this thread's time that is taken
			began := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
			n, err := l.Read(batch, eventSlots)
			reading += cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID) - began
			runtime.UnlockOSThread()
			if err != nil {
				b.Fatal(err)
			}
			got += batch.Len()
			batch.Reset()
			if n < eventSlots {
				time.Sleep(time.Millisecond)
			}
		}
		elapsed += time.Since(start)
		events += 2 * entries
		making += <-done
	}
	s, err := l.Stats()
	if err != nil {
		b.Fatal(err)
	}
	rest := cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID) - before - making
	b.ReportMetric(float64(reading)/float64(events), "cpu-ns/event")
	b.ReportMetric(float64(rest)/float64(events), "all-ns/event")
	b.ReportMetric(float64(making)/float64(events), "made-ns/event")
	b.ReportMetric(float64(events)/elapsed.Seconds(), "events/s")
	b.ReportMetric(float64(s.Drops), "drops")
}

// makeEvents makes two events of each entry and gives the CPU time that it took.
func makeEvents(b *testing.B, ns *testnet.Namespace, entries int) int64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
	if _, err := (testnet.Churn{NS: ns, Entries: entries}).Run(ctx); err != nil {
		b.Error(err)
	}
	return cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID) - began
}

// BenchmarkDrain reads events that all wait already: what a Read costs at most speed.
func BenchmarkDrain(b *testing.B) { eachWay(b, benchmarkDrain) }

func benchmarkDrain(b *testing.B, via Receive) {
	ns := testnet.New(b)
	l := listen(b, ns, Config{Receive: via, Groups: ConntrackNew | ConntrackDestroy, Buffer: 128 << 20})
	batch := flow.NewBatch(eventSlots)
	var cpu, making, events int64
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		making += makeEvents(b, ns, 40000)
		b.StartTimer()
		before := cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID)
		for n := 1; n > 0; batch.Reset() {
			var err error
			if n, err = l.Read(batch, eventSlots); err != nil {
				b.Fatal(err)
			}
			events += int64(batch.Len())
		}
		cpu += cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID) - before
	}
	b.ReportMetric(float64(cpu)/float64(events), "cpu-ns/event")
	b.ReportMetric(float64(making)/float64(events), "made-ns/event")
}

func cpuTime(b *testing.B, clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		b.Fatal(err)
	}
	return ts.Nano()
}

// BenchmarkDump dumps a table of 50000 entries.
func BenchmarkDump(b *testing.B) {
	ns := testnet.New(b)
	c := dialNS(b, ns)
	const entries = 50000
	churn(b, testnet.Churn{NS: ns, Entries: entries, Keep: true})
	b.ReportAllocs()
	for b.Loop() {
		if n, err := c.Dump(b.Context(), flow.TableConntrack, flow.DumpOptions{}, func(*flow.Batch) error { return nil }); err != nil || n != entries {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
