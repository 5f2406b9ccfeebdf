package sinks

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

var update = flag.Bool("update", false, "write the golden files and docs/cgnat.md's table anew")

const profileTime = int64(1795374820_000000007) // 2026-11-22T19:13:40.000000007Z

// profileOrigin is that of an ordinary node.
func profileOrigin() *flow.Origin {
	return &flow.Origin{
		Node: "cgn-1", Meta: []flow.Pair{{Key: "role", Value: "cgnat"}}, BootID: [16]byte{1, 2, 3},
		Run: [16]byte{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf},
	}
}

// profileEvent is one of those whose sizes are stated.
type profileEvent struct {
	name string
	fill func(b *flow.Batch) *flow.Event
}

const (
	profileInside, profileOther, profileOutside = "100.64.12.34:51234", "198.51.100.77:47873", "203.0.113.9:1027"
	inside6, other6, outside6                   = "[2001:db8:12:34::5]:51234", "[2001:db8:ffff:77::77]:47873", "[2001:db8:ab::9]:1027"
)

func profileEvents() []profileEvent {
	snat := func(typ flow.Type, inside, other, outside string) func(*flow.Batch) *flow.Event {
		return func(b *flow.Batch) *flow.Event { return ended(translated(b, typ, inside, other, outside)) }
	}
	return []profileEvent{
		{"TCP over IPv4, new", snat(flow.TypeNew, profileInside, profileOther, profileOutside)},
		{"TCP over IPv4, destroy", snat(flow.TypeDestroy, profileInside, profileOther, profileOutside)},
		{"ICMP echo, destroy", func(b *flow.Batch) *flow.Event {
			e := ended(translated(b, flow.TypeDestroy, profileInside, profileOther, profileOutside))
			e.Proto, e.Orig.Proto, e.Reply.Proto = flow.ProtoICMP, flow.ProtoICMP, flow.ProtoICMP
			for _, t := range []*flow.Tuple{&e.Orig, &e.Reply} {
				t.Has = t.Has&^flow.HasPorts | flow.HasICMP
				t.ICMPID, t.ICMPType = 4660, 8
			}
			e.Reply.ICMPID, e.Reply.ICMPType = 1027, 0
			return e
		}},
		{"TCP over IPv4, port forward, destroy", func(b *flow.Batch) *flow.Event {
			e := ended(translated(b, flow.TypeDestroy, profileOther, profileOutside, profileOther))
			e.Reply = tupleOf(netip.MustParseAddrPort(profileInside), netip.MustParseAddrPort(profileOther))
			return e
		}},
		{"TCP over IPv6, new", snat(flow.TypeNew, inside6, other6, outside6)},
		{"TCP over IPv6, destroy", snat(flow.TypeDestroy, inside6, other6, outside6)},
	}
}

// ended gives an event what a kernel with counters and times has.
func ended(e *flow.Event) *flow.Event {
	e.Origin, e.TimeSource, e.ID = profileOrigin(), flow.TimeReceived, 857037765
	e.Has |= flow.HasID | flow.HasStatus | flow.HasTimeout | flow.HasMark
	e.Status, e.Timeout, e.Mark = 0x18e, 120, 7
	if e.Type == flow.TypeDestroy {
		e.TimeSource = flow.TimeKernel
		e.Has |= flow.HasStart | flow.HasStop | flow.HasOrigCounters | flow.HasReplyCounters | flow.HasReceived
		e.Start, e.Stop, e.Received = profileTime-61_234567890, profileTime, profileTime+250_000
		e.OrigCounters, e.ReplyCounters = flow.Counters{Packets: 12, Bytes: 1853}, flow.Counters{Packets: 10, Bytes: 918273}
	}
	return e
}

func profileConfig(t testing.TB, kind string) Config {
	t.Helper()
	c, err := NewConfig("nat", kind)
	if err != nil {
		t.Fatal(err)
	}
	Profiles()["cgnat"](&c)
	return c
}

// projected renders an event as a sink of the profile does.
func projected(t testing.TB, c Config, format string, e *flow.Event) []byte {
	t.Helper()
	p, err := c.Projection()
	if err != nil {
		t.Fatal(err)
	}
	return encode.Formats()[format].NewEncoder(p).Append(nil, e)
}

func TestCGNATIsValid(t *testing.T) {
	for kind := range Kinds() {
		c := profileConfig(t, kind)
		if _, err := c.Projection(); err != nil {
			t.Error(err)
		}
	}
	if c := profileConfig(t, "kafka"); c.Options.Unordered() != "brokers" && strings.Contains(c.Options.Unordered(), "key") {
		t.Error(c.Options.Unordered())
	}
}

// TestCGNATGolden holds the bytes of every format, and what decode makes of
// them: the translation survives though the tuples are cut down.
func TestCGNATGolden(t *testing.T) {
	c := profileConfig(t, "file")
	for name, format := range encode.Formats() {
		var got []byte
		for _, s := range profileEvents() {
			e := s.fill(flow.NewBatch(1))
			record := projected(t, c, name, e)
			got = encode.AppendFramed(got, format.Framing, record)
			b := flow.NewBatch(1)
			if err := format.NewDecoder().Decode(b, record); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			back := &b.Events()[0]
			for _, other := range []string{"json", name} {
				if got, want := projected(t, c, other, back), projected(t, c, other, e); !bytes.Equal(got, want) {
					t.Errorf("%s, %s: decoded to\n%s\nwant\n%s", name, s.name, got, want)
				}
			}
			if kind := back.NATKind(); kind != e.NATKind() || !c.Filter.Match(back) {
				t.Errorf("%s, %s: after decoding it is %v", name, s.name, kind)
			}
		}
		golden(t, "testdata/cgnat"+format.Extension, got)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%q\nwant\n%q", file, got, want)
	}
}

// forms are the ways in which an address and a port could stand in bytes.
func forms(end netip.AddrPort) map[string][]byte {
	a, port := end.Addr(), end.Port()
	raw := a.AsSlice()
	back := slices.Clone(raw)
	slices.Reverse(back)
	out := map[string][]byte{
		"address as text": []byte(a.String()), "address in full": []byte(a.StringExpanded()),
		"address in binary": raw, "address backwards": back,
		"address in hex": fmt.Appendf(nil, "%x", raw), "address in HEX": fmt.Appendf(nil, "%X", raw),
		"port in decimal": fmt.Append(nil, port), "port in hex": fmt.Appendf(nil, "%04x", port),
		"port in network order": binary.BigEndian.AppendUint16(nil, port), "port in host order": binary.LittleEndian.AppendUint16(nil, port),
		"port as varint": binary.AppendUvarint(nil, uint64(port)),
	}
	if a.Is4() {
		out["address as a number"] = fmt.Append(nil, binary.BigEndian.Uint32(raw))
		out["address as varint"] = binary.AppendUvarint(nil, uint64(binary.BigEndian.Uint32(raw)))
	}
	return out
}

// found names the form in which an end stands in a record, "" for none.
func found(record []byte, end netip.AddrPort) string {
	for name, form := range forms(end) {
		if bytes.Contains(record, form) {
			return name
		}
	}
	return ""
}

// TestCGNATTellsNoDestination searches the bytes; with omit_destination: false
// the same search finds it, so it has teeth.
func TestCGNATTellsNoDestination(t *testing.T) {
	c := profileConfig(t, "file")
	open := c
	open.OmitDestination = false
	for format := range encode.Formats() {
		for _, s := range profileEvents() {
			other := netip.MustParseAddrPort(profileOther)
			if strings.Contains(s.name, "IPv6") {
				other = netip.MustParseAddrPort(other6)
			}
			if how := found(projected(t, c, format, s.fill(flow.NewBatch(1))), other); how != "" {
				t.Errorf("%s, %s: the other end stands there: %s", format, s.name, how)
			}
			if how := found(projected(t, open, format, s.fill(flow.NewBatch(1))), other); how == "" {
				t.Errorf("%s, %s: it was asked for and does not stand there", format, s.name)
			}
		}
	}
}

// TestOmitDestinationWhateverElse: no field, no omission and no rare value
// brings the other end back.
func TestOmitDestinationWhateverElse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for format := range encode.Formats() {
		for n := range 300 {
			s := profileEvents()[n%len(profileEvents())]
			other := netip.MustParseAddrPort(profileOther)
			if strings.Contains(s.name, "IPv6") {
				other = netip.MustParseAddrPort(other6)
			}
			b := flow.NewBatch(1)
			e := s.fill(b)
			rare(b, e, other, r)
			c := profileConfig(t, "file")
			c.Fields, c.Omit = randomFields(r)
			if how := found(projected(t, c, format, e), other); how != "" {
				t.Fatalf("%s, %s, fields %v, omit %v: %s", format, s.name, c.Fields, c.Omit, how)
			}
		}
	}
}

// rare adds what could hold the other end: the master's tuple, an expectation.
func rare(b *flow.Batch, e *flow.Event, other netip.AddrPort, r *rand.Rand) {
	x := b.ExtraFor(e)
	t := tupleOf(other, other)
	if r.IntN(2) == 0 {
		e.Has |= flow.HasMaster
		x.Master = t
	}
	if r.IntN(2) == 0 {
		e.Has |= flow.HasExpect
		x.Expect = flow.Expectation{Has: flow.HasExpectTuple | flow.HasExpectMask | flow.HasExpectMaster | flow.HasExpectNAT, Tuple: t, Mask: t, Master: t, NAT: t}
	}
}

func randomFields(r *rand.Rand) (fields, omit []string) {
	all := []string{"orig", "reply", "nat", "orig.dst", "orig.dport", "reply.src", "reply.sport", "nat.dst", "nat.dport", "nat.src", "orig.src", "master", "expect", "proto"}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	switch some := all[:1+r.IntN(6)]; r.IntN(3) {
	case 0:
		return some, nil
	case 1:
		return nil, some
	}
	return nil, nil
}

// TestCGNATIpfixEvent: RFC 8158, table of natEvent values.
func TestCGNATIpfixEvent(t *testing.T) {
	c := profileConfig(t, "file")
	for i, want := range []string{`"ipfix_event":4`, `"ipfix_event":5`, `"ipfix_event":5`, `"ipfix_event":5`, "", ""} {
		record := projected(t, c, "json", profileEvents()[i].fill(flow.NewBatch(1)))
		if want != "" && !bytes.Contains(record, []byte(want)) || want == "" && bytes.Contains(record, []byte("ipfix")) {
			t.Errorf("%s: %s, want %q", profileEvents()[i].name, record, want)
		}
	}
}

// TestCGNATDocument holds the sizes and the records in docs/cgnat.md to what the encoders write.
func TestCGNATDocument(t *testing.T) {
	const file, begin, end = "../docs/cgnat.md", "<!-- made by a test: -update writes it anew -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	want := head + begin + cgnatSizes(t) + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s is stale: run the test with -update", file)
	}
}

func cgnatSizes(t *testing.T) string {
	var b strings.Builder
	c := profileConfig(t, "file")
	asked := c
	asked.OmitDestination = false
	b.WriteString("| record | JSON | XML | protobuf | with destination: JSON | XML | protobuf |\n|---|---|---|---|---|---|---|\n")
	for _, s := range profileEvents() {
		fmt.Fprintf(&b, "| %s |", s.name)
		for _, k := range []Config{c, asked} {
			for _, format := range []string{"json", "xml", "protobuf"} {
				e := s.fill(flow.NewBatch(1))
				record := encode.AppendFramed(nil, encode.Formats()[format].Framing, projected(t, k, format, e))
				fmt.Fprintf(&b, " %d |", len(record))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("\nThe second of them, as JSON and as XML:\n\n```\n")
	for _, format := range []string{"json", "xml"} {
		fmt.Fprintf(&b, "%s\n", projected(t, c, format, profileEvents()[1].fill(flow.NewBatch(1))))
	}
	b.WriteString("```\n")
	return b.String()
}
