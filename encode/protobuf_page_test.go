package encode

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/ctferry/ctferry/source/flow"
)

// numbers are those beside which a varint gets longer, and random ones of every length.
func numbers() []uint64 {
	r := rand.New(rand.NewPCG(1, 7))
	var all []uint64
	for bit := range 64 {
		at := uint64(1) << bit
		all = append(all, at-1, at, at+1, r.Uint64()>>bit)
	}
	return append(all, math.MaxUint64)
}

func TestPageNumbers(t *testing.T) {
	for _, v := range numbers() {
		var w pbPage
		n := w.varint(3, v)
		if want := protowire.AppendVarint(nil, v); !bytes.Equal(w[3:n], want) {
			t.Errorf("%#x: %x, want %x", v, w[3:n], want)
		}
	}
	for _, num := range []protowire.Number{1, 15, 16, 56, 2047} {
		for v := range 256 {
			var w pbPage
			n := w.small(0, num, uint8(v))
			want := protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
			if !bytes.Equal(w[:n], want) {
				t.Errorf("field %d, %d: %x, want %x", num, v, w[:n], want)
			}
		}
	}
}

// TestPageEnds writes every port there is, each way and by both families.
func TestPageEnds(t *testing.T) {
	tuple := flow.Tuple{Has: flow.HasAddrs | flow.HasPorts, Src: flow.Addr{1, 2, 3, 4}, Dst: flow.Addr{5, 6, 7, 8}}
	for _, tuple.Family = range []flow.Family{flow.IPv4, flow.IPv6} {
		if tuple.Family == flow.IPv6 {
			tuple.Src[15], tuple.Dst[15] = 9, 10
		}
		for port := range 1 << 16 {
			tuple.SrcPort, tuple.DstPort = uint16(port), ^uint16(port)
			var w pbPage
			n := w.tuple(0, &tuple, tuple.Has)
			a := tuple.Family.AddrLen()
			want := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), tuple.Src[:a])
			want = protowire.AppendBytes(protowire.AppendTag(want, 2, protowire.BytesType), tuple.Dst[:a])
			want = protowire.AppendVarint(protowire.AppendTag(want, 3, protowire.VarintType), uint64(tuple.SrcPort))
			want = protowire.AppendVarint(protowire.AppendTag(want, 4, protowire.VarintType), uint64(tuple.DstPort))
			if !bytes.Equal(w[:n], want) {
				t.Fatalf("%s, ports %d and %d: %x, want %x", tuple.Family, tuple.SrcPort, tuple.DstPort, w[:n], want)
			}
		}
	}
}

// longest fills an event with the values that take most room.
func longest(b *flow.Batch, e *flow.Event) {
	fillEverything(b, e)
	e.Has |= math.MaxUint64 >> (64 - 44) &^ flow.HasNAT
	full := flow.Tuple{Has: flow.HasTupleZone<<1 - 1 | flow.HasProto, Family: flow.IPv6, Proto: 254, ICMPType: 255, ICMPCode: 255, SrcPort: 65535, DstPort: 65535, ICMPID: 65535, Zone: 65535}
	for i := range full.Src {
		full.Src[i], full.Dst[i] = 0xff, 0xfe
	}
	e.Family, e.Proto, e.Type, e.Table, e.TimeSource = flow.IPv6, flow.ProtoUDPLite, 255, 255, 255
	e.Orig, e.Reply = full, full
	most := flow.Counters{Packets: math.MaxUint64, Bytes: math.MaxUint64}
	e.OrigCounters, e.ReplyCounters, e.OrigDeltas, e.ReplyDeltas = most, most, most, most
	e.Status, e.Timeout, e.Mark, e.Use, e.ID, e.PortID, e.Zone = math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, 65535
	e.TCP = flow.TCP{State: 9, WScaleOrig: 255, WScaleReply: 255, FlagsOrig: 255, FlagsReply: 255}
	e.SCTP = flow.SCTP{State: 9, VTagOrig: math.MaxUint32, VTagReply: math.MaxUint32}
	e.DCCP = flow.DCCP{State: 255, Role: 255, HandshakeSeq: math.MaxUint64}
	e.Seq, e.FlowID, e.Time, e.Received = math.MaxUint64, math.MaxUint64, -1, -1
	e.Start, e.Stop, e.Interval, e.Since, e.Until = math.MinInt64, math.MaxInt64, math.MaxInt64, -1, -1
}

// TestPagesHoldTheLongest writes what takes most room: the parts that are
// written on a page end well before its end, and the messages on it have a
// length of one byte.
func TestPagesHoldTheLongest(t *testing.T) {
	withID, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(1)
	e := newEvent(b, longest)
	enc := protobufFormat().NewEncoder(withID).(*protobufEncoder)
	record := enc.Append(nil, e)
	var v view
	v.init(&enc.p, e)
	for name, part := range map[string]func(w *pbPage) int{
		"when":  func(w *pbPage) int { return w.when(e) },
		"flow":  func(w *pbPage) int { return enc.flow(w, &v) },
		"names": func(w *pbPage) int { return w.names(&v) },
		"sctp":  func(w *pbPage) int { return w.sctp(0, &v) },
	} {
		var w pbPage
		n := part(&w)
		t.Logf("%s: %d bytes", name, n)
		if n > pbRoom-64 || name == "names" && n > pbNamesLen {
			t.Errorf("%s takes %d bytes of a page", name, n)
		}
	}
	m := dynamicpb.NewMessage(recordDescriptor(t))
	if err := proto.Unmarshal(record, m); err != nil {
		t.Fatalf("%v\n%x", err, record)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil || !bytes.Equal(again, record) {
		t.Fatalf("read and written by the library: %v\n got %x\nwant %x", err, again, record)
	}
	for _, num := range []protoreflect.FieldNumber{5, 6, 9, 15, 25, 26} {
		field := m.Descriptor().Fields().ByNumber(num)
		if n := proto.Size(m.Get(field).Message().Interface()); n == 0 || n > 120 {
			t.Errorf("%s: %d bytes", field.Name(), n)
		}
	}
}

// randomProjection hides some fields, or all but some.
func randomProjection(t *testing.T, r *rand.Rand, names []string) Projection {
	t.Helper()
	lists := [2][]string{}
	if r.IntN(3) > 0 {
		for range r.IntN(12) {
			lists[0] = append(lists[0], names[r.IntN(len(names))])
		}
	}
	if r.IntN(2) == 0 {
		lists[0], lists[1] = lists[1], lists[0]
	}
	p, err := NewProjection(lists[0], lists[1], true, uint16(r.Uint32()))
	if err != nil {
		t.Fatal(err)
	}
	if r.IntN(4) == 0 {
		p = p.WithoutDestination()
	}
	return p
}

// TestWhatAnEncoderRemembersChangesNothing writes random events, whose origins,
// names and states come again and change, by an encoder that has written others
// and by a new one, behind one another and each in a buffer of its own.
func TestWhatAnEncoderRemembersChangesNothing(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range projectable() {
		names = append(names, name)
	}
	slices.Sort(names)
	samples := corpus()
	for name, format := range Formats() {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 17))
			p := randomProjection(t, r, names)
			old := format.NewEncoder(p)
			b := flow.NewBatch(1)
			soil(b)
			var slab []byte
			var last *flow.Origin
			for i := range 100 {
				b.Reset()
				e := newEvent(b, samples[r.IntN(len(samples))].fill)
				if r.IntN(2) == 0 {
					fillRandom(r, b, e)
				}
				if last != nil && r.IntN(3) > 0 {
					e.Origin = last
				}
				last = e.Origin
				change(r, e)
				at := len(slab)
				slab = old.Append(slab, e)
				if want := format.NewEncoder(p).Append(nil, e); !bytes.Equal(slab[at:], want) {
					t.Fatal(fmt.Sprintf("%s, seed %d, event %d", name, seed, i), fmt.Sprintf("\n got %q\nwant %q", slab[at:], want))
				}
			}
		}
	}
}

// change makes an event that no reader makes: a bit too many or too few, zero
// where there never is one, a name that is no UTF-8, no origin.
func change(r *rand.Rand, e *flow.Event) {
	if r.IntN(5) == 0 {
		e.Has ^= 1 << r.IntN(44)
	}
	if e.Any(inExtra) && e.Extra != nil && r.IntN(3) == 0 {
		e.Extra.ProgName = []string{"a\xffb", "ctferry", "", "conntrack"}[r.IntN(4)]
	}
	if r.IntN(9) == 0 {
		e.Time, e.Seq = 0, 0
	}
	if r.IntN(9) == 0 {
		e.Type, e.Table, e.TimeSource = flow.Type(r.Uint32()), flow.Table(r.Uint32()), flow.TimeSource(r.Uint32())
	}
	if r.IntN(10) == 0 {
		e.Origin = nil
	}
}
