package flow

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func TestHash96(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var b [96]byte
	for range 20000 {
		var lanes [12]uint64
		for i := range lanes {
			lanes[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		if got, want := hash96(&lanes), xxhash.Sum64(b[:]); got != want {
			t.Fatalf("%x: %016x, want %016x", b, got, want)
		}
		for i := 0; i < 96; i += 8 {
			binary.LittleEndian.PutUint64(b[i:], r.Uint64()>>(8*r.IntN(9)))
		}
	}
}

// boot is the origin of the fixed vectors.
var boot = Origin{Cookie: 0x0102030405060708, BootID: [16]byte{
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}

// flowIDCase is an event with the 96 bytes that name it, in hexadecimal but for
// the origin's 24 in front and the zeros at the end.
type flowIDCase struct {
	name  string
	event Event
	bytes string
	id    uint64
}

func flowIDCases() []flowIDCase {
	event := func(f Family, t Tuple, id uint32) Event {
		return Event{Has: HasOrig | HasID, Type: TypeNew, Table: TableConntrack, Family: f, Proto: t.Proto, Orig: t, ID: id, Origin: &boot}
	}
	tcp := event(IPv4, tupleOf(ProtoTCP, "192.0.2.1", "198.51.100.2", 40000, 443), 0xdeadbeef)
	zoned := tcp
	zoned.Has |= HasZone | HasReply
	zoned.Zone, zoned.Orig.Zone, zoned.Reply.Zone = 1, 2, 3
	zoned.Orig.Has |= HasTupleZone
	zoned.Reply.Has |= HasTupleZone
	udp6 := event(IPv6, tupleOf(ProtoUDP, "2001:db8::1", "2001:db8::2", 53, 5353), 1)
	icmp := event(IPv4, tupleOf(ProtoICMP, "10.0.0.1", "10.0.0.2", 0xffff, 0xffff), 2)
	icmp.Orig.Has = HasAddrs | HasProto | HasICMP
	icmp.Orig.ICMPType, icmp.Orig.ICMPCode, icmp.Orig.ICMPID = 8, 1, 0x1234
	esp := event(IPv4, tupleOf(50, "10.0.0.1", "10.0.0.2", 0xffff, 0xffff), 3)
	esp.Orig.Has = HasAddrs | HasProto
	expect := Event{Has: HasExpect, Table: TableExpect, Family: IPv4, Origin: &boot, Extra: &Extra{Expect: Expectation{
		Has: HasExpectID | HasExpectTuple | HasExpectZone, ID: 4, Zone: 9, Tuple: tupleOf(ProtoTCP, "10.0.0.1", "10.0.0.2", 0, 1024)}}}
	return []flowIDCase{
		{"tcp", tcp, "000000000000" + "0206" + "c0000201000000000000000000000000" + "c6336402000000000000000000000000" + "9c4001bb" + "00000000" + "deadbeef" + "01", idTCP},
		{"zones", zoned, "000100020003" + "0206" + "c0000201000000000000000000000000" + "c6336402000000000000000000000000" + "9c4001bb" + "00000000" + "deadbeef" + "01", idZones},
		{"udp over ipv6", udp6, "000000000000" + "0a11" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "003514e9" + "00000000" + "00000001" + "01", idUDP6},
		{"icmp", icmp, "000000000000" + "0201" + "0a000001000000000000000000000000" + "0a000002000000000000000000000000" + "00000000" + "12340801" + "00000002" + "01", idICMP},
		{"esp", esp, "000000000000" + "0232" + "0a000001000000000000000000000000" + "0a000002000000000000000000000000" + "00000000" + "00000000" + "00000003" + "01", idESP},
		{"expectation", expect, "000900000000" + "0206" + "0a000001000000000000000000000000" + "0a000002000000000000000000000000" + "00000400" + "00000000" + "00000004" + "02", idExpect},
	}
}

// The flow ids of the cases, fixed: a change here breaks every consumer's joins.
const (
	idTCP    = 0x5da673a88e5fd197
	idZones  = 0xee45665aa61874b6
	idUDP6   = 0x11b4862f533d26e7
	idICMP   = 0x110ed6598baeb75f
	idESP    = 0x81a3fecdbe33d481
	idExpect = 0xa9eca0262db2a744
)

// TestFlowIDVectors checks the layout against the bytes written out above, and
// the result against the fixed number.
func TestFlowIDVectors(t *testing.T) {
	for _, c := range flowIDCases() {
		raw, err := hex.DecodeString("00112233445566778899aabbccddeeff" + "0102030405060708" + c.bytes)
		if err != nil || len(raw) != 77 {
			t.Fatalf("%s: %d bytes, %v", c.name, len(raw), err)
		}
		got, ok := c.event.ComputeFlowID()
		if want := xxhash.Sum64(append(raw, make([]byte, 96-len(raw))...)); !ok || got != want || got != c.id {
			t.Errorf("%s: %016x %v, layout gives %016x, fixed is %016x", c.name, got, ok, want, c.id)
		}
	}
}

// TestFlowIDPresence fills every slot that is not vouched for with garbage: the
// id stays, and is refused where what it needs is missing.
func TestFlowIDPresence(t *testing.T) {
	for _, c := range flowIDCases() {
		e := c.event
		if e.Table == TableConntrack {
			e.Extra = &Extra{Expect: Expectation{Has: ^ExpectHas(0), Zone: 77, ID: 88}}
		} else {
			e.Orig, e.ID, e.Zone = tupleOf(ProtoUDP, "1.1.1.1", "2.2.2.2", 3, 4), 99, 98
			e.Orig.Has = 0
		}
		for _, u := range []*Tuple{&e.Orig, &e.Reply} {
			garbage(u)
		}
		if !e.Any(HasZone) {
			e.Zone = 66
		}
		e.Mark, e.Status, e.Type = 1, 2, TypeDestroy
		if got, ok := e.ComputeFlowID(); !ok || got != c.id {
			t.Errorf("%s: garbage changes the id to %016x", c.name, got)
		}
		for name, without := range map[string]func(*Event){
			"all":    func(e *Event) { e.Has = 0 },
			"tuple":  func(e *Event) { e.Has &^= HasOrig | HasExpect },
			"id":     func(e *Event) { e.Has &^= HasID | HasExpect },
			"extra":  func(e *Event) { e.Has &^= HasOrig | HasExpect; e.Extra = nil },
			"source": func(e *Event) { e.Orig.Has &^= HasSrc; e.Has &^= HasExpect },
		} {
			less := e
			without(&less)
			if _, ok := less.ComputeFlowID(); ok {
				t.Errorf("%s: an id without %s", c.name, name)
			}
		}
	}
	e := flowIDCases()[5].event
	e.Extra.Expect.Has &^= HasExpectID
	if _, ok := e.ComputeFlowID(); ok {
		t.Error("an id without an expectation's id")
	}
}

// garbage fills what t does not have.
func garbage(t *Tuple) {
	g := Tuple{ICMPType: 0xa1, ICMPCode: 0xa2, ICMPID: 0xa3a4, SrcPort: 0xa5a6, DstPort: 0xa7a8, Zone: 0xa9aa, Proto: 0xab}
	if !t.Got(HasPorts) {
		t.SrcPort, t.DstPort = g.SrcPort, g.DstPort
	}
	if !t.Got(HasICMP) {
		t.ICMPType, t.ICMPCode, t.ICMPID = g.ICMPType, g.ICMPCode, g.ICMPID
	}
	if !t.Got(HasTupleZone) {
		t.Zone = g.Zone
	}
	if !t.Got(HasProto) {
		t.Proto = g.Proto
	}
}

// TestFlowIDTellsApart changes each thing that is part of the identity.
func TestFlowIDTellsApart(t *testing.T) {
	base := flowIDCases()[1].event
	id, _ := base.ComputeFlowID()
	other := boot
	other.BootID[15]++
	cookie := boot
	cookie.Cookie++
	for name, change := range map[string]func(*Event){
		"boot":       func(e *Event) { e.Origin = &other },
		"namespace":  func(e *Event) { e.Origin = &cookie },
		"zone":       func(e *Event) { e.Zone++ },
		"no zone":    func(e *Event) { e.Has &^= HasZone },
		"orig zone":  func(e *Event) { e.Orig.Zone++ },
		"reply zone": func(e *Event) { e.Reply.Zone++ },
		"family":     func(e *Event) { e.Orig.Family = IPv6 },
		"proto":      func(e *Event) { e.Orig.Proto = ProtoUDP },
		"src":        func(e *Event) { e.Orig.Src[3]++ },
		"dst":        func(e *Event) { e.Orig.Dst[0]++ },
		"sport":      func(e *Event) { e.Orig.SrcPort++ },
		"dport":      func(e *Event) { e.Orig.DstPort++ },
		"no ports":   func(e *Event) { e.Orig.Has &^= HasSrcPort },
		"id":         func(e *Event) { e.ID++ },
	} {
		e := base
		change(&e)
		if got, ok := e.ComputeFlowID(); !ok || got == id {
			t.Errorf("%s is no part of the identity", name)
		}
	}
	e := base
	if e.Reply.Src[0]++; e.Reply.Src == base.Reply.Src {
		t.Fatal("no change")
	}
	if got, _ := e.ComputeFlowID(); got != id {
		t.Error("the reply's addresses are part of the identity")
	}
}

func BenchmarkComputeFlowID(b *testing.B) {
	for _, c := range flowIDCases()[:3] {
		b.Run("of="+c.name, func(b *testing.B) {
			var sum uint64
			for b.Loop() {
				id, _ := c.event.ComputeFlowID()
				sum += id
			}
			b.ReportMetric(float64(sum&1), "bit")
		})
	}
}
