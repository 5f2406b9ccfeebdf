package sinks

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// insideOptions is a sink that asks for inside addresses.
type insideOptions struct{ scriptOptions }

func (insideOptions) wantsInside() bool { return true }

// keySink notes each record's value and inside address.
type keySink struct {
	values []string
	keys   []string
}

func (s *keySink) Open(context.Context) error  { return nil }
func (s *keySink) Close(context.Context) error { return nil }
func (s *keySink) Write(_ context.Context, b *Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		key := ""
		if a, ok := r.Inside(); ok {
			key = a.String()
		}
		s.values, s.keys = append(s.values, string(r.Value)), append(s.keys, key)
	}
	return nil
}

func insideOutlet(t testing.TB, name string, sink Sink, change func(*Config)) *Outlet {
	t.Helper()
	return outletFor(t, name, sink, func(c *Config) {
		c.Options = insideOptions{scriptOptions{sink}}
		if change != nil {
			change(c)
		}
	})
}

// translated fills an event: a flow from inside to the other end, translated to outside.
func translated(b *flow.Batch, typ flow.Type, inside, other, outside string) *flow.Event {
	e := b.Next()
	*e = flow.Event{
		Type: typ, Table: flow.TableConntrack, Origin: testOrigin, Proto: flow.ProtoTCP, Seq: uint64(b.Len()), Time: profileTime,
		Has: flow.HasOrig | flow.HasReply | flow.HasFlowID, FlowID: 0x0123456789abcdef,
	}
	in, out, far := netip.MustParseAddrPort(inside), netip.MustParseAddrPort(outside), netip.MustParseAddrPort(other)
	e.Orig, e.Reply = tupleOf(in, far), tupleOf(far, out)
	e.Family = e.Orig.Family
	return e
}

func tupleOf(src, dst netip.AddrPort) flow.Tuple {
	t := flow.Tuple{Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Proto: flow.ProtoTCP, SrcPort: src.Port(), DstPort: dst.Port()}
	t.Src, t.Family = flow.AddrFrom(src.Addr())
	t.Dst, _ = flow.AddrFrom(dst.Addr())
	return t
}

// TestInsideGoesWithTheRecord: three outlets of one format, of which one asks
// for the inside address; a status and a gap have none.
func TestInsideGoesWithTheRecord(t *testing.T) {
	with, without := &keySink{}, &keySink{}
	a, b := insideOutlet(t, "a", with, nil), outletFor(t, "b", without, nil)
	f := NewFanout(a, b)
	batch := flow.NewBatch(8)
	translated(batch, flow.TypeNew, "100.64.0.7:1000", "198.51.100.1:443", "203.0.113.9:5000")
	*batch.Next() = flow.Event{Type: flow.TypeStatus, Origin: testOrigin, Seq: 2}
	e := translated(batch, flow.TypeDestroy, "192.0.2.1:1000", "203.0.113.9:443", "192.0.2.1:1000")
	e.Reply = tupleOf(netip.MustParseAddrPort("100.64.0.8:8443"), netip.MustParseAddrPort("192.0.2.1:1000")) // a port forward
	translated(batch, flow.TypeNew, "[2001:db8::7]:1000", "[2001:db8:1::1]:443", "[2001:db8:2::9]:5000")
	*batch.Next() = flow.Event{Type: flow.TypeGap, Origin: testOrigin, Seq: 5, Gap: &flow.Gap{Scope: "kernel"}}
	stopA, stopB := start(a), start(b)
	f.Take(batch)
	must(t, stopA())
	must(t, stopB())
	if want := []string{"100.64.0.7", "", "100.64.0.8", "2001:db8::7", ""}; !slices.Equal(with.keys, want) {
		t.Errorf("inside addresses %q, want %q", with.keys, want)
	}
	if !slices.Equal(without.keys, make([]string, 5)) {
		t.Errorf("a sink that did not ask has %q", without.keys)
	}
	for i := range with.values { // of the status record the sink's name and books differ
		if i != 1 && with.values[i] != without.values[i] {
			t.Errorf("%s\n%s", with.values[i], without.values[i])
		}
	}
}

// The address takes room behind the value, none in the header, and the bound holds.
func TestInsideWithinMemory(t *testing.T) {
	if n := unsafe.Sizeof(Record{}); n != 9*8 {
		t.Errorf("a record's header is %d bytes: expected nine words", n)
	}
	sink := &keySink{}
	o := insideOutlet(t, "s", sink, nil)
	backing := append(bytes.Repeat([]byte{'v'}, 100), 10, 0, 0, 1)
	rec := recordNo(1)
	rec.Value, rec.inside = backing[:100], 4
	for range 50_000 {
		o.Offer(rec)
	}
	held := o.Books().Held
	if used := boundBy(o.memory); used > uint64(o.cfg.Memory) || held*104 > used {
		t.Errorf("%d bytes used, for %d records", used, held)
	}
	must(t, start(o)())
	keyed := 0
	for i, key := range sink.keys {
		if key == "10.0.0.1" && sink.values[i] == string(backing[:100]) {
			keyed++
		}
	}
	if uint64(keyed) != held {
		t.Errorf("%d of %d records came out whole", keyed, held)
	}
}

func TestInsideAllocatesNothing(t *testing.T) {
	o := insideOutlet(t, "s", discard{}, func(c *Config) { c.Memory = 4 * option.MiB })
	stop := start(o)
	f := NewFanout(o)
	b := flow.NewBatch(256)
	for i := range 256 {
		translated(b, flow.TypeNew, fmt.Sprintf("100.64.%d.7:1000", i%256), "198.51.100.1:443", "203.0.113.9:5000")
	}
	take := func() {
		f.Take(b)
		awaitTaken(o)
	}
	for range 200 {
		take()
	}
	if n := testing.AllocsPerRun(300, take); n > 0 {
		t.Errorf("%v allocations a batch of 256", n)
	}
	must(t, stop())
	rec := Record{Value: []byte{'v', 10, 0, 0, 1}[:1], inside: 4, Origin: testOrigin}
	key := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { key = appendKafkaKey(key[:0], kafkaKeyInside, &rec) }); n > 0 || string(key) != "10.0.0.1" {
		t.Errorf("%v allocations for the key %q", n, key)
	}
	rec = Record{Value: []byte{'v'}, Origin: testOrigin}
	if key = appendKafkaKey(key[:0], kafkaKeyInside, &rec); string(key) != "node-1" {
		t.Errorf("what has no address has the key %q", key)
	}
}

// TestInsideThroughTheSpool: what is decoded from disk has its address too.
func TestInsideThroughTheSpool(t *testing.T) {
	sink := &keySink{}
	cfg := insideOutlet(t, "s", sink, nil).cfg
	b := &backlog{o: &Outlet{inside: true}, encoder: encode.Formats()["json"].NewEncoder(encode.Projection{})}
	batch := flow.NewBatch(2)
	b.append(translated(batch, flow.TypeNew, "100.64.0.7:1000", "198.51.100.1:443", "203.0.113.9:5000"), 1)
	b.append(translated(batch, flow.TypeNew, "[2001:db8::7]:1000", "[2001:db8:1::1]:443", "[2001:db8:2::9]:5000"), 1)
	if err := sink.Write(t.Context(), &Batch{Records: b.recs}); err != nil || cfg.Name != "s" {
		t.Fatal(err)
	}
	if want := []string{"100.64.0.7", "2001:db8::7"}; !slices.Equal(sink.keys, want) || sink.values[0][0] != '{' || sink.values[1][len(sink.values[1])-1] != '}' {
		t.Errorf("%q %q", sink.keys, sink.values)
	}
}

// TestBacklogCountsInside gives whole frames of records with inside addresses: what is
// left is counted with theirs.
func TestBacklogCountsInside(t *testing.T) {
	b := &backlog{o: &Outlet{inside: true}}
	value := []byte{'v', 'v', 'v', 'v', 10, 0, 0, 1}
	for range 6 {
		b.put(Record{Value: value[:4], inside: 4})
	}
	b.frames = []frameEnd{{1, 3, stored}, {2, 6, stored}}
	recs, _ := b.take(4, 1<<20)
	if n := uint64(len(value) * (6 - len(recs))); len(recs) != 3 || b.bytes != n {
		t.Errorf("%d records taken, %d bytes are left, expected %d", len(recs), b.bytes, n)
	}
}

// TestOverflowKeepsInside stops with a sink that takes nothing: what was in memory comes
// with its inside addresses, though the projection has left out what they are made of.
func TestOverflowKeepsInside(t *testing.T) {
	cfg := overflowConfig(t)
	taste := little(func(c *Config) {
		c.Options = insideOptions{c.Options.(scriptOptions)}
		c.Drain, c.Fields = 10*time.Millisecond, []string{"mark"}
	})
	h := build(t, cfg, taste)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.write().read()
	batch := flow.NewBatch(8)
	translated(batch, flow.TypeNew, "100.64.0.7:1000", "198.51.100.1:443", "203.0.113.9:5000")
	translated(batch, flow.TypeNew, "[2001:db8::7]:1000", "[2001:db8:1::1]:443", "[2001:db8:2::9]:5000")
	h.fanout.Take(batch)
	h.close()
	h = build(t, cfg, taste)
	var keys []string
	h.sinks[0].write = func(_ context.Context, _ int, b *Batch) error {
		for i := range b.Records {
			a, _ := b.Records[i].Inside()
			keys = append(keys, a.String())
		}
		return nil
	}
	h.write().read()
	h.waitFor()
	h.close()
	if want := []string{"100.64.0.7", "2001:db8::7"}; !slices.Equal(keys, want) {
		t.Errorf("inside addresses %q, expected %q", keys, want)
	}
}
