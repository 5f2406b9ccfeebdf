package ctnetlink

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

func native32(b []byte, v uint32) { binary.NativeEndian.PutUint32(b, v) }
func native16(b []byte, v uint16) { binary.NativeEndian.PutUint16(b, v) }

// one decodes a datagram that must hold one event.
func one(t *testing.T, p []byte) *flow.Event {
	t.Helper()
	b := flow.NewBatch(4)
	var d decoder
	got, err := d.datagram(b, p)
	if err != nil || got.events != 1 || b.Len() != 1 || got.foreign != 0 || got.rest != nil {
		t.Fatalf("%+v, %d in the batch: %v\n%x", got, b.Len(), err, p)
	}
	return &b.Events()[0]
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := flow.NewBatch(1)
	for range 20000 {
		b.Reset()
		want := randomEvent(r, b)
		p := eventMessage(want)
		if got := describe(one(t, p)); got != describe(want) {
			t.Fatalf("sent\n%sgot\n%s%x", describe(want), got, p)
		}
	}
}

// TestQuickTuple proves that the fast path and the walk read the same.
func TestQuickTuple(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		family := []flow.Family{flow.IPv4, flow.IPv6}[r.IntN(2)]
		var in, quick, walked flow.Tuple
		randomTuple(r, family, &in)
		in.Has = flow.HasAddrs | flow.HasProto | flow.HasPorts
		if r.IntN(2) == 0 {
			in.Has, in.Proto = flow.HasAddrs|flow.HasProto|flow.HasICMP, flow.ProtoICMP
			if family == flow.IPv6 {
				in.Proto = flow.ProtoICMPv6
			}
		}
		var w writer
		w.putTuple(ctaTupleOrig, &in)
		// Slots are reused: what stood there before must not shine through.
		walked = flow.Tuple{Src: flow.Addr{15: 0xff}, Dst: flow.Addr{4: 0xff}, ICMPID: 9}
		quick = walked
		quick.Family = family
		if !quickTuple(&quick, w.b[attrLen:]) {
			t.Fatalf("the fast path refused %x", w.b)
		}
		// An attribute that nobody knows makes the tuple an uncommon one.
		w.put8(77, 1)
		if err := tuple(&walked, family, w.b[attrLen:]); err != nil {
			t.Fatal(err)
		}
		if !quick.Equal(&walked) || !quick.Equal(&in) {
			t.Fatalf("sent %+v, fast path %+v, walk %+v", in, quick, walked)
		}
	}
}

// TestQuickTupleRefuses changes every byte of every header in turn: none may pass
// the fast path's comparison.
func TestQuickTupleRefuses(t *testing.T) {
	for _, in := range []flow.Tuple{
		{Family: flow.IPv4, Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Proto: 6},
		{Family: flow.IPv6, Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Proto: 6},
		{Family: flow.IPv4, Has: flow.HasAddrs | flow.HasProto | flow.HasICMP, Proto: flow.ProtoICMP},
		{Family: flow.IPv6, Has: flow.HasAddrs | flow.HasProto | flow.HasICMP, Proto: flow.ProtoICMPv6},
	} {
		p := written(func(w *writer) { w.putTuple(ctaTupleOrig, &in) })[attrLen:]
		a := in.Family.AddrLen()
		headers := []int{0, 4, 8 + a, 12 + 2*a}
		for at := 16 + 2*a; at < len(p); at += 8 {
			headers = append(headers, at)
		}
		for _, at := range headers {
			for i := range 4 {
				p[at+i] ^= 0x20
				got := flow.Tuple{Family: in.Family}
				if quickTuple(&got, p) || got.Has != 0 {
					t.Errorf("%+v: header at %d, byte %d: passed", in, at, i)
				}
				p[at+i] ^= 0x20
			}
		}
		got := flow.Tuple{Family: in.Family}
		if !quickTuple(&got, p) || !got.Equal(&in) {
			t.Errorf("%+v: %+v", in, got)
		}
	}
}

func TestTypes(t *testing.T) {
	const ct, exp, ctTimeout = unix.NFNL_SUBSYS_CTNETLINK, unix.NFNL_SUBSYS_CTNETLINK_EXP, unix.NFNL_SUBSYS_CTNETLINK_TIMEOUT
	const created = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	for _, c := range []struct {
		subsystem, operation, flags uint16
		table                       flow.Table
		kind                        flow.Type
	}{
		{ct, msgCtNew, created, flow.TableConntrack, flow.TypeNew},
		{ct, msgCtNew, 0, flow.TableConntrack, flow.TypeUpdate},
		{ct, msgCtNew, unix.NLM_F_CREATE, flow.TableConntrack, flow.TypeUpdate},
		{ct, msgCtDelete, 0, flow.TableConntrack, flow.TypeDestroy},
		{exp, msgExpNew, created, flow.TableExpect, flow.TypeNew},
		{exp, msgExpNew, 0, flow.TableExpect, flow.TypeUpdate},
		{exp, msgExpDelete, 0, flow.TableExpect, flow.TypeDestroy},
		{ct, msgCtGet, 0, 0, 0},
		{ct, msgCtGetStats, 0, 0, 0},
		{exp, msgExpGet, 0, 0, 0},
		{ctTimeout, 0, created, 0, 0},
		{unix.NFNL_SUBSYS_NFTABLES, 0, created, 0, 0},
		{0, unix.NLMSG_ERROR, 0, 0, 0},
		{0, unix.NLMSG_DONE, 0, 0, 0},
		{0, unix.NLMSG_NOOP, 0, 0, 0},
	} {
		var w writer
		w.finish(w.begin(c.subsystem, c.operation, c.flags, 0, flow.IPv4))
		b := flow.NewBatch(1)
		var d decoder
		got, err := d.datagram(b, w.b)
		switch {
		case err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.kind == 0 && (got.foreign != 1 || b.Len() != 0):
			t.Errorf("%+v: not foreign: %+v", c, got)
		case c.kind != 0 && (b.Len() != 1 || b.Events()[0].Type != c.kind || b.Events()[0].Table != c.table):
			t.Errorf("%+v: %+v", c, b.Events())
		}
	}
}

// TestManyMessages puts several messages in one datagram, more than the batch
// has slots for.
func TestManyMessages(t *testing.T) {
	src := flow.NewBatch(1)
	r := rand.New(rand.NewPCG(5, 6))
	var p []byte
	var want []string
	for i := range 10 {
		src.Reset()
		e := randomEvent(r, src)
		want = append(want, describe(e))
		p = append(p, eventMessage(e)...)
		if i%3 == 0 {
			var w writer
			w.finish(w.begin(0, unix.NLMSG_NOOP, 0, 0, 0))
			p = append(p, w.b...)
		}
	}
	var d decoder
	b := flow.NewBatch(4)
	var got []string
	foreign, calls := 0, 0
	for p != nil {
		b.Reset()
		out, err := d.datagram(b, p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Events() {
			got = append(got, describe(&b.Events()[i]))
		}
		foreign += int(out.foreign)
		calls++
		p = out.rest
	}
	if !reflect.DeepEqual(got, want) || foreign != 4 || calls != 3 {
		t.Errorf("%d events, %d foreign, %d calls", len(got), foreign, calls)
	}
}

// good is a message with some of everything.
func good() []byte {
	b := flow.NewBatch(1)
	r := rand.New(rand.NewPCG(7, 8))
	for {
		b.Reset()
		e := randomEvent(r, b)
		const most = flow.HasOrig | flow.HasReply | flow.HasTCPState | flow.HasHelper | flow.HasOrigCounters | flow.HasSynProxy | flow.HasStart
		if e.Got(most) && e.Orig.Got(flow.HasPorts|flow.HasAddrs) {
			return eventMessage(e)
		}
	}
}

// attrMessage is a conntrack event whose attributes are p.
func attrMessage(p ...byte) []byte {
	var w writer
	at := w.begin(unix.NFNL_SUBSYS_CTNETLINK, msgCtNew, 0, 0, flow.IPv4)
	w.b = append(w.b, p...)
	w.finish(at)
	return w.b
}

// written is what f writes.
func written(f func(*writer)) []byte {
	var w writer
	f(&w)
	return w.b
}

func nested(kind uint16, f func(*writer)) []byte {
	return written(func(w *writer) {
		at := w.nest(kind)
		f(w)
		w.close(at)
	})
}

// TestMalformed refuses what is broken, by its reason, and leaves the batch alone.
func TestMalformed(t *testing.T) {
	header := func(change func([]byte)) []byte {
		p := good()
		change(p)
		return p
	}
	v6src := func(w *writer) { w.putBytes(ctaIPv6Src, make([]byte, 16)) }
	for _, c := range []struct {
		name string
		p    []byte
		want error
	}{
		{"no header", []byte{1, 2, 3}, errHeader},
		{"length below the header", header(func(p []byte) { native32(p, 15) }), errHeader},
		{"length beyond the datagram", header(func(p []byte) { native32(p, uint32(len(p)+1)) }), errHeader},
		{"length of all ones", header(func(p []byte) { native32(p, 0xffffffff) }), errHeader},
		{"cut short", good()[:40], errHeader},
		{"rest after the message", append(good(), 0, 0, 0), errHeader},
		{"no nfgenmsg", header(func(p []byte) { native32(p, 16) })[:16], errGen},
		{"unknown family", header(func(p []byte) { p[16] = 7 }), errFamily},
		{"attribute shorter than its header", attrMessage(3, 0, 3, 0), errAttr},
		{"attribute of length 0", attrMessage(0, 0, 3, 0), errAttr},
		{"attribute longer than the message", attrMessage(9, 0, 3, 0, 1, 2, 3, 4), errAttr},
		{"half a header", attrMessage(8, 0, 3, 0, 1, 2, 3, 4, 8, 0), errAttr},
		{"status of 3 bytes", attrMessage(written(func(w *writer) { w.putBytes(ctaStatus, []byte{1, 2, 3}) })...), errLength},
		{"mark of 8 bytes", attrMessage(written(func(w *writer) { w.put64(ctaMark, 1) })...), errLength},
		{"zone of 4 bytes", attrMessage(written(func(w *writer) { w.put32(ctaZone, 1) })...), errLength},
		{"labels of 4 bytes", attrMessage(written(func(w *writer) { w.put32(ctaLabels, 1) })...), errLength},
		{"event time of 4 bytes", attrMessage(written(func(w *writer) { w.put32(ctaTimestampEvent, 1) })...), errLength},
		{"start time of 4 bytes", attrMessage(nested(ctaTimestamp, func(w *writer) { w.put32(ctaTimestampStart, 1) })...), errLength},
		{"tcp state of 2 bytes", attrMessage(nested(ctaProtoInfo, func(w *writer) {
			at := w.nest(ctaProtoInfoTCP)
			w.put16(ctaTCPState, 1)
			w.close(at)
		})...), errLength},
		{"tuple that is a number", attrMessage(written(func(w *writer) { w.put32(ctaTupleOrig, 1) })...), errAttr},
		{"nest longer than its parent", attrMessage(nested(ctaTupleOrig, func(w *writer) { w.attr(ctaTupleIP, 4) })...), errAttr},
		{"IPv6 address in an IPv4 message", attrMessage(nested(ctaTupleOrig, func(w *writer) {
			at := w.nest(ctaTupleIP)
			v6src(w)
			w.close(at)
		})...), errNest},
		{"IPv4 address of 16 bytes", attrMessage(nested(ctaTupleOrig, func(w *writer) {
			at := w.nest(ctaTupleIP)
			w.putBytes(ctaIPv4Src, make([]byte, 16))
			w.close(at)
		})...), errLength},
		{"counters without bytes", attrMessage(nested(ctaCountersOrig, func(w *writer) { w.put64(ctaCountersPackets, 1) })...), errPartial},
		{"synproxy without its last", attrMessage(nested(ctaSynProxy, func(w *writer) { w.put32(1, 1); w.put32(2, 1) })...), errPartial},
		{"helper with a NUL inside", attrMessage(nested(ctaHelp, func(w *writer) { w.putName(ctaHelpName, "f\x00p") })...), errString},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := flow.NewBatch(8)
			randomEvent(rand.New(rand.NewPCG(9, 9)), b)
			before := describe(&b.Events()[0])
			var d decoder
			// A good message in front: all of a broken datagram is taken back.
			for _, p := range [][]byte{c.p, append(good(), c.p...)} {
				got, err := d.datagram(b, p)
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if got.events != 0 || b.Len() != 1 || describe(&b.Events()[0]) != before {
					t.Errorf("the batch has changed: %+v, %d events", got, b.Len())
				}
			}
		})
	}
}

// TestEveryCut cuts a message at every byte, in its header and for real.
func TestEveryCut(t *testing.T) {
	p := good()
	for n := range len(p) {
		var d decoder
		b := flow.NewBatch(1)
		if _, err := d.datagram(b, p[:n:n]); err == nil && n > 0 {
			t.Errorf("cut at %d: no error", n)
		}
		q := append([]byte(nil), p[:n:n]...)
		if n >= headerLen {
			native32(q, uint32(n))
		}
		_, _ = d.datagram(b, q) // may be a shorter message; must not read past the end
	}
}

func TestUnknownAttributes(t *testing.T) {
	want := one(t, good())
	p := good()
	p = append(p, written(func(w *writer) {
		w.putBytes(200, make([]byte, 33))
		w.put8(ctaTimestampEvent+1, 1)
		w.putBytes(0, nil)
	})...)
	native32(p, uint32(len(p)))
	if got := one(t, p); describe(got) != describe(want) {
		t.Errorf("got\n%swant\n%s", describe(got), describe(want))
	}
}

// TestSlotReuse decodes a full event, then a bare one into the same slot.
func TestSlotReuse(t *testing.T) {
	b := flow.NewBatch(1)
	var d decoder
	if _, err := d.datagram(b, good()); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if _, err := d.datagram(b, attrMessage()); err != nil {
		t.Fatal(err)
	}
	if got := describe(&b.Events()[0]); got != "event update conntrack ipv4\n" {
		t.Errorf("left over from the slot's former event:\n%s", got)
	}
}

func TestInternerIsBounded(t *testing.T) {
	var n interner
	first := n.intern([]byte("ftp"))
	if again := n.intern([]byte("ftp")); unsafe.StringData(again) != unsafe.StringData(first) {
		t.Error("the same name twice is two strings")
	}
	for i := range 5 * internEntries {
		n.intern(binary.BigEndian.AppendUint32(nil, uint32(i)))
		if len(n.table) > internEntries {
			t.Fatalf("%d entries", len(n.table))
		}
	}
	for i := range 20 {
		n.intern(make([]byte, 60000+i))
		if n.held > internBytes {
			t.Fatalf("%d bytes", n.held)
		}
	}
	if first != "ftp" {
		t.Errorf("a string that was given out is now %q", first)
	}
}
