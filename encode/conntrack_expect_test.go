package encode_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// end is one tuple of an expectation.
func end(src, dst string, proto uint8, sport, dport uint16) flow.Tuple {
	t := flow.Tuple{Has: flow.HasAddrs | flow.HasProto, Proto: proto, SrcPort: sport, DstPort: dport}
	t.Src, t.Family = flow.AddrFrom(netip.MustParseAddr(src))
	t.Dst, _ = flow.AddrFrom(netip.MustParseAddr(dst))
	if proto == flow.ProtoICMP {
		t.Has |= flow.HasICMP
		t.ICMPType, t.ICMPCode, t.ICMPID = 8, 1, 77
	} else if proto != 99 {
		t.Has |= flow.HasPorts
	}
	return t
}

// expectation is an event of the expect table with values in every place.
func expectation(b *flow.Batch, has flow.ExpectHas) (*flow.Event, *flow.Expectation) {
	e := b.Next()
	e.Type, e.Table, e.Family, e.Has = flow.TypeNew, flow.TableExpect, flow.IPv4, flow.HasExpect|flow.HasPortID
	e.PortID = 99
	x := &b.ExtraFor(e).Expect
	*x = flow.Expectation{
		Has:     has | flow.HasExpectTuple | flow.HasExpectMask | flow.HasExpectMaster,
		Timeout: 299, Class: 3, Zone: 5, ID: 77, Flags: 7, Helper: "ftp",
		Tuple:  end("3.3.3.3", "2.2.2.2", 6, 0, 999),
		Mask:   end("255.255.255.255", "255.255.0.0", 6, 0, 65535),
		Master: end("1.1.1.1", "2.2.2.2", 6, 5, 21),
	}
	return e, x
}

// TestExpectations compares with what conntrack 1.4.7 printed of the same
// messages. It reads expectations by another library than flows, one that
// believes the kernel only, so that a test cannot ask it again.
func TestExpectations(t *testing.T) {
	const tuples = "proto=6 src=3.3.3.3 dst=2.2.2.2 sport=0 dport=999 mask-src=255.255.255.255 mask-dst=255.255.0.0 sport=0 dport=65535 " +
		"master-src=1.1.1.1 master-dst=2.2.2.2 sport=5 dport=21"
	const all = flow.HasExpectTimeout | flow.HasExpectHelper | flow.HasExpectFlags | flow.HasExpectClass | flow.HasExpectZone | flow.HasExpectID
	for _, c := range []struct {
		has  flow.ExpectHas
		set  func(*flow.Event, *flow.Expectation)
		want string
	}{
		{all, func(e *flow.Event, _ *flow.Expectation) { e.Type = flow.TypeUpdate },
			" [UPDATE] 299 " + tuples + " zone=5 PERMANENT,INACTIVE,USERSPACE class=3 helper=ftp"},
		{all &^ flow.HasExpectZone, func(_ *flow.Event, x *flow.Expectation) { x.Class, x.Flags = 0, 0 },
			"    [NEW] 299 " + tuples + " class=0 helper=ftp"},
		{flow.HasExpectFlags | flow.HasExpectHelper, func(e *flow.Event, x *flow.Expectation) { e.Type, x.Flags = flow.TypeDestroy, 4 },
			"[DESTROY] " + tuples + " USERSPACE helper=ftp"},
		{flow.HasExpectFlags, func(_ *flow.Event, x *flow.Expectation) { x.Flags = 6 }, "    [NEW] " + tuples + " INACTIVE,USERSPACE"},
		{flow.HasExpectFlags, func(_ *flow.Event, x *flow.Expectation) { x.Flags = 8 }, "    [NEW] " + tuples}, // expect-blank
		{0, func(*flow.Event, *flow.Expectation) {}, "    [NEW] " + tuples},
		{flow.HasExpectTimeout | flow.HasExpectHelper, func(_ *flow.Event, x *flow.Expectation) {
			x.Tuple, x.Mask, x.Helper = end("3.3.3.3", "2.2.2.2", 47, 0, 0x99), end("255.255.255.255", "255.255.0.0", 47, 65535, 65535), "pptp"
			x.Master.DstPort = 1723
		}, "    [NEW] 299 proto=47 src=3.3.3.3 dst=2.2.2.2 srckey=0x0 dstkey=0x99 mask-src=255.255.255.255 mask-dst=255.255.0.0 " +
			"srckey=0xffff dstkey=0xffff master-src=1.1.1.1 master-dst=2.2.2.2 sport=5 dport=1723 helper=pptp"},
		{flow.HasExpectTimeout | flow.HasExpectHelper | flow.HasExpectClass, func(e *flow.Event, x *flow.Expectation) {
			e.Family, x.Class, x.Helper = flow.IPv6, 2, ""
			x.Tuple, x.Mask, x.Master = end("::1", "::2", 17, 0, 999), end("::", "ffff::", 17, 0, 65535), end("::1", "::2", 6, 5, 21)
		}, "    [NEW] 299 proto=17 src=::1 dst=::2 sport=0 dport=999 mask-src=:: mask-dst=ffff:: sport=0 dport=65535 " +
			"master-src=::1 master-dst=::2 sport=5 dport=21 class=2 helper="},
		{flow.HasExpectTimeout, func(_ *flow.Event, x *flow.Expectation) {
			for _, end1 := range []*flow.Tuple{&x.Tuple, &x.Mask, &x.Master} {
				*end1 = end("1.1.1.1", "2.2.2.2", flow.ProtoICMP, 0, 0)
			}
			x.Timeout = 1
		}, "    [NEW] 1 proto=1 src=1.1.1.1 dst=2.2.2.2 type=8 code=1 id=77 mask-src=1.1.1.1 mask-dst=2.2.2.2 type=8 code=1 id=77 " +
			"master-src=1.1.1.1 master-dst=2.2.2.2 type=8 code=1 id=77"},
	} {
		b := flow.NewBatch(1)
		e, x := expectation(b, c.has)
		c.set(e, x)
		for _, text := range []encode.Text{{}, {Extended: true, ID: true, KTimestamp: true}, {Save: true}} {
			if got := string(text.AppendEvent(nil, e)); got != c.want {
				t.Errorf("%+v\n got %s\nwant %s", text, got, c.want)
			}
		}
	}
}

// TestExpectationXML does the same for XML.
func TestExpectationXML(t *testing.T) {
	const layers = `<layer3 protonum="2" protoname="ipv4"><expected><src>3.3.3.3</src><dst>2.2.2.2</dst></expected>` +
		`<mask><src>255.255.255.255</src><dst>255.255.0.0</dst></mask><master><src>1.1.1.1</src><dst>2.2.2.2</dst></master></layer3>` +
		`<layer4 protonum="6" protoname="tcp"><expected><sport>0</sport><dport>999</dport></expected>` +
		`<mask><sport>0</sport><dport>65535</dport></mask><master><sport>5</sport><dport>21</dport></master></layer4>`
	b := flow.NewBatch(2)
	e, _ := expectation(b, flow.HasExpectTimeout|flow.HasExpectHelper|flow.HasExpectFlags|flow.HasExpectClass|flow.HasExpectZone)
	e.Type = flow.TypeUpdate
	e.Time = 1_767_571_505_999_999_999
	text := encode.Text{XML: true, Timestamp: true, Location: time.UTC}
	want := `<flow type="update">` + layers + `<meta><helper-name>ftp</helper-name><timeout>299</timeout><class>3</class><zone>5</zone>` +
		`<when><hour>0</hour><min>05</min><sec>05</sec><wday>2</wday><day>5</day><month>1</month><year>2026</year></when>` +
		`<permanent/><inactive/><userspace/></meta></flow>`
	if got := string(text.AppendEvent(nil, e)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	e, _ = expectation(b, 0)
	text.Timestamp = false
	if got, want := string(text.AppendRow(nil, e)), "<flow>"+layers+"<meta></meta></flow>"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
