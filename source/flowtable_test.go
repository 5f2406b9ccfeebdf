package source

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/ctferry/ctferry/source/flow"
)

// flowEvent makes an event of flow number n: all protocols, both families, some
// with zones and NAT.
func flowEvent(n int) *flow.Event {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	e := &flow.Event{Type: flow.TypeNew, Table: flow.TableConntrack, Has: flow.HasOrig | flow.HasReply | flow.HasID | flow.HasStatus, ID: r.Uint32(), Status: 8}
	e.Proto = []uint8{flow.ProtoTCP, flow.ProtoUDP, flow.ProtoICMP, flow.ProtoSCTP, flow.ProtoGRE, 50}[n%6]
	e.Family = flow.IPv4
	src, dst := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	if n/6%2 == 1 {
		e.Family = flow.IPv6
		src, dst = netip.AddrFrom16([16]byte{0x20, 1, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}), netip.AddrFrom16([16]byte{0xfd, 15: 1})
	}
	e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasProto, Family: e.Family, Proto: e.Proto}
	e.Orig.Src, _ = flow.AddrFrom(src)
	e.Orig.Dst, _ = flow.AddrFrom(dst)
	switch e.Proto {
	case flow.ProtoICMP:
		e.Orig.Has |= flow.HasICMP
		e.Orig.ICMPID, e.Orig.ICMPType, e.Orig.ICMPCode = uint16(r.Uint32()), 8, 3
	case 50:
	default:
		e.Orig.Has |= flow.HasPorts
		e.Orig.SrcPort, e.Orig.DstPort = uint16(r.Uint32()), 443
	}
	e.Reply = e.Orig
	e.Reply.Src, e.Reply.Dst = e.Orig.Dst, e.Orig.Src
	if e.Orig.Got(flow.HasPorts) {
		e.Reply.SrcPort, e.Reply.DstPort = e.Orig.DstPort, uint16(r.Uint32())
	}
	switch n / 12 % 4 {
	case 1:
		e.Zone, e.Has = uint16(n)+1, e.Has|flow.HasZone
	case 2:
		e.Orig.Zone, e.Orig.Has = 7, e.Orig.Has|flow.HasTupleZone
	case 3:
		e.Reply.Zone, e.Reply.Has = 8, e.Reply.Has|flow.HasTupleZone
	}
	e.Origin = &flow.Origin{}
	identify(e)
	return e
}

// model is the table in Go's own terms.
type model map[any]place

func modelKey(e *flow.Event) any {
	return [...]any{e.FlowID, e.ID, zoneOf(e), e.Orig.Family, e.Orig.Proto, e.Orig.Src, e.Orig.Dst,
		[2]uint16(pair(portsOf(&e.Orig))), tupleZone(&e.Orig), tupleZone(&e.Reply)}
}

func pair(a, b uint16) []uint16 { return []uint16{a, b} }

// checkTable wants the table to hold what the model holds, and each entry to
// give back the flow that it was made of.
func checkTable(t *testing.T, table *flowTable, m model, events []*flow.Event) {
	t.Helper()
	if table.used != len(m) {
		t.Fatalf("%d entries of %d", table.used, len(m))
	}
	slots := 0
	for _, s := range table.slots {
		if s != 0 {
			slots++
		}
	}
	if slots != len(m) || slots*4 > len(table.slots)*3 {
		t.Fatalf("%d of %d slots are in use for %d flows", slots, len(table.slots), len(m))
	}
	for _, e := range events {
		p := table.find(e)
		if p != m[modelKey(e)] {
			t.Fatalf("flow %x stands at %d: expected %d", e.FlowID, p, m[modelKey(e)])
		}
		if p == 0 {
			continue
		}
		got := flow.Event{}
		table.write(table.at(p), &got)
		if !got.Orig.Equal(&e.Orig) || !got.Reply.Equal(&e.Reply) || got.ID != e.ID || got.FlowID != e.FlowID ||
			got.Any(flow.HasZone) != e.Any(flow.HasZone) || zoneOf(&got) != zoneOf(e) || got.Proto != e.Proto || got.Family != e.Family {
			t.Fatalf("an entry gives back\n%+v of\n%+v", got, *e)
		}
		id := got.FlowID
		got.Has &^= flow.HasFlowID
		got.Origin = e.Origin
		if computed, ok := got.ComputeFlowID(); !ok || computed != id && !forced(e) {
			t.Fatalf("the record's flow id is %x: expected %x", computed, id)
		}
		k := table.key(table.at(p))
		if want := flow.KeyOf(e); !k.Tuple.Equal(&want.Tuple) || k.Zone != want.Zone || *k.ID != *want.ID {
			t.Fatalf("key %+v: expected %+v", k, want)
		}
	}
}

// forced tells whether a test gave the event a flow id that is not its own.
func forced(e *flow.Event) bool {
	f := *e
	id, _ := f.ComputeFlowID()
	return id != e.FlowID
}

// run does what ops say to the table and to the model.
func run(t *testing.T, ops []byte, events []*flow.Event) {
	t.Helper()
	table := &flowTable{deltas: true}
	m := model{}
	for i := 0; i+1 < len(ops); i += 2 {
		e := events[(int(ops[i])|int(ops[i+1]&3)<<8)%len(events)]
		p := table.find(e)
		if p != m[modelKey(e)] {
			t.Fatalf("step %d: flow %x stands at %d: expected %d", i, e.FlowID, p, m[modelKey(e)])
		}
		switch {
		case p == 0:
			m[modelKey(e)] = table.add(e)
		case ops[i+1]&4 != 0:
			table.renew(p)
		default:
			table.remove(p)
			delete(m, modelKey(e))
		}
		if i%512 == 0 {
			checkTable(t, table, m, events)
		}
	}
	checkTable(t, table, m, events)
}

func manyEvents(n int) []*flow.Event {
	events := make([]*flow.Event, n)
	for i := range events {
		events[i] = flowEvent(i)
	}
	return events
}

func TestTableAgainstAModel(t *testing.T) {
	events := manyEvents(1024)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		ops := make([]byte, 20_000)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		run(t, ops, events)
	}
}

// TestTableWithCollisions gives many flows one flow id, others ids that differ
// only above the half that the index keeps, others neighbours in the index.
func TestTableWithCollisions(t *testing.T) {
	events := manyEvents(200)
	for i, e := range events {
		switch i % 3 {
		case 0:
			e.FlowID = 1<<40 | 1023
		case 1:
			e.FlowID = uint64(i)<<32 | 1023
		case 2:
			e.FlowID = 1020 + uint64(i%9)
		}
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		ops := make([]byte, 8000)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		run(t, ops, events)
	}
}

func FuzzTable(f *testing.F) {
	events := manyEvents(300)
	for i := range events[:150] {
		events[i].FlowID = uint64(i%7) << (i % 60)
	}
	f.Add([]byte{1, 0, 1, 0, 2, 0, 3, 0, 2, 4})
	f.Fuzz(func(t *testing.T, ops []byte) { run(t, ops[:min(len(ops), 4096)], events) })
}

// TestBytesPerFlow holds the table to the memory that is stated.
func TestBytesPerFlow(t *testing.T) {
	if e, w, b := unsafe.Sizeof(entry{}), unsafe.Sizeof(wide{}), unsafe.Sizeof(base{}); e != 120 || w != BytesPerIPv6 || b != BytesPerInterim {
		t.Errorf("an entry has %d bytes, IPv6 %d more, interim records %d more", e, w, b)
	}
	table := &flowTable{deltas: true}
	const flows = 1 << 19 * 3 / 4 * 2 // the index is as full as it gets
	v6 := 0
	e := flowEvent(0)
	for i := range flows {
		e.FlowID, e.ID = uint64(i)*0x9E3779B185EBCA87, uint32(i)
		if e.Orig.Family = flow.IPv4; i%4 == 0 {
			e.Orig.Family = flow.IPv6
			v6++
		}
		table.add(e)
	}
	stated := flows*(BytesPerFlow+BytesPerInterim) + v6*BytesPerIPv6
	if got := table.bytes(); got > stated {
		t.Errorf("%d flows take %d bytes: stated are %d", flows, got, stated)
	}
	t.Logf("%d flows, %d of them IPv6: %d bytes, %.1f a flow", flows, v6, table.bytes(), float64(table.bytes())/flows)
}

func TestTableAllocatesNothingInUse(t *testing.T) {
	events := manyEvents(500)
	table := &flowTable{deltas: true}
	work := func() {
		for _, e := range events {
			table.add(e)
		}
		for _, e := range events {
			table.remove(table.find(e))
		}
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStateOfEveryProtocol(t *testing.T) {
	for _, proto := range []uint8{flow.ProtoTCP, flow.ProtoSCTP, flow.ProtoDCCP, flow.ProtoUDP} {
		e := flow.Event{Proto: proto}
		setState(&e, 5)
		got, ok := stateOf(&e)
		if want := proto != flow.ProtoUDP; ok != want || ok && got != 5 {
			t.Errorf("protocol %d: state %d, %v", proto, got, ok)
		}
	}
}
