package encode

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

func project(t *testing.T, fields, omit string, community bool) Projection {
	t.Helper()
	p, err := NewProjection(strings.Fields(fields), strings.Fields(omit), community, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func projected(t *testing.T, p Projection, event string) map[string]any {
	t.Helper()
	return parse(t, Formats()["json"].NewEncoder(p).Append(nil, oneOf(t, event))).(map[string]any)
}

const identity = "schema event_type table time node run seq"

func TestProjectionKeepsWhatItNames(t *testing.T) {
	for _, c := range []struct{ event, fields, want string }{
		{"tcp_destroy", "mark", "mark"},
		{"tcp_destroy", "schema seq", ""},
		{"tcp_destroy", "orig.src orig.packets", "orig.src orig.packets"},
		{"tcp_destroy", "orig", "orig.src orig.dst orig.sport orig.dport orig.packets orig.bytes"},
		{"tcp_destroy", "tcp.state status", "tcp.state status"},
		{"tcp_destroy", "duration_ns start", "duration_ns start"},
		{"tcp_destroy", "close_reason", "close_reason"},
		{"tcp_destroy", "orig.srckey", ""},
		{"gre", "orig.srckey orig.sport", "orig.srckey"},
		{"tcp_snat", "nat.src nat.sport", "nat.src nat.sport"},
		{"tcp_snat", "nat.community_id", "nat.community_id"},
		{"tcp_snat", "mark", "community_id nat.community_id"},
		{"expect", "expect.flags", "expect.flags"},
		{"expect", "expect.tuple", "expect.tuple"},
		{"expect", "mark", ""},
		{"everything", "master.src synproxy.its seqadj.reply", "master.src synproxy.its seqadj.reply gap agent"},
		{"everything", "since", "since gap agent"},
		{"gap_kernel", "mark", "gap"},
		{"status", "mark", "agent"},
		{"dump_end", "dump_complete", "dump_complete"},
	} {
		withID := strings.Contains(c.want, "community_id")
		got := names(projected(t, project(t, c.fields, "", withID), c.event), strings.Fields(c.want))
		want := append(strings.Fields(identity), strings.Fields(c.want)...)
		slices.Sort(want)
		if c.event == "status" || c.event == "gap_kernel" || c.event == "everything" {
			got = slices.DeleteFunc(got, func(s string) bool { return s == "table" })
			want = slices.DeleteFunc(want, func(s string) bool { return s == "table" })
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, fields %s: got %v, want %v", c.event, c.fields, got, want)
		}
	}
}

// names lists what an object holds, at the second level where a wanted name has one.
func names(o map[string]any, want []string) []string {
	var list []string
	for name, v := range o {
		inner, ok := v.(map[string]any)
		deep := slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(w, name+".") })
		if !ok || !deep && slices.Contains(want, name) {
			list = append(list, name)
			continue
		}
		for second := range inner {
			list = append(list, name+"."+second)
		}
	}
	slices.Sort(list)
	return list
}

// TestProjectionOmitsEachName leaves out every name there is, one at a time,
// from the event that holds all; nothing else may go with it.
func TestProjectionOmitsEachName(t *testing.T) {
	full := projected(t, project(t, "", "", true), "everything")
	for name := range projectable() {
		got := projected(t, project(t, "", name, true), "everything")
		want := maps.Clone(full)
		top, inner, deep := strings.Cut(name, ".")
		if !deep {
			delete(want, top)
		} else if object, ok := want[top].(map[string]any); ok {
			object = maps.Clone(object)
			delete(object, inner)
			want[top] = object
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("without %s\n got %v\nwant %v", name, got, want)
		}
	}
}

// TestProjectionIsTheSameInEveryFormat compares what is left over after
// decoding it, for each name left out and for each kept alone.
func TestProjectionIsTheSameInEveryFormat(t *testing.T) {
	for _, event := range []string{"everything", "tcp_destroy", "expect", "gre"} {
		for name := range projectable() {
			if name == "community_id" || name == "nat.community_id" {
				continue
			}
			for _, p := range []Projection{project(t, "", name, false), project(t, name, "", false)} {
				var want []byte
				for _, format := range []string{"json", "xml", "protobuf"} {
					record := Formats()[format].NewEncoder(p).Append(nil, oneOf(t, event))
					got := pass(t, format, "json", record)
					if want == nil {
						want = got
					} else if string(got) != string(want) {
						t.Errorf("%s, %s, %s:\n got %s\nwant %s", event, name, format, got, want)
					}
				}
			}
		}
	}
}

func TestProjectionErrors(t *testing.T) {
	for _, c := range []struct {
		fields, omit string
		want         string
	}{
		{"orig.packet", "", `fields[0]: unknown field "orig.packet", did you mean "orig.packets"?`},
		{"mark tiemout", "", `fields[1]: unknown field "tiemout", did you mean "timeout"?`},
		{"", "ct_label", `omit[0]: unknown field "ct_label", did you mean "ct_labels"?`},
		{"", "seq", `omit[0]: seq is never left out`},
		{"", "mark gap", `omit[1]: gap is never left out`},
		{"mark", "zone", `fields and omit are both given: use one of them`},
		{"community_id", "", `fields[0]: community_id is only made where community_id is on`},
		{"src", "", `fields[0]: unknown field "src", did you mean "orig.src"?`},
		{"dport", "", `fields[0]: unknown field "dport", did you mean "orig.dport"?`},
		{"gap.scope", "", `fields[0]: unknown field "gap.scope", did you mean`},
		{strings.Repeat("x", 100000), "", `did you mean`},
	} {
		p, err := NewProjection(strings.Fields(c.fields), strings.Fields(c.omit), false, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q %q: got %.200v, want %s", c.fields, c.omit, err, c.want)
		}
		if p != (Projection{}) {
			t.Errorf("%.40q %q: a projection came with the error", c.fields, c.omit)
		}
	}
}

// TestProjectionIsAKey shows that projections which write the same are equal.
func TestProjectionIsAKey(t *testing.T) {
	one, _ := NewProjection([]string{"mark", "orig"}, nil, false, 7)
	two, _ := NewProjection([]string{"orig", "mark", "orig.src", "seq"}, nil, false, 8)
	if one != two {
		t.Error("the order of names, and a seed without use, make a difference")
	}
	all, _ := NewProjection(nil, nil, false, 3)
	if all != (Projection{}) {
		t.Error("nothing asked for is not the zero Projection")
	}
	m := map[Projection]int{one: 1}
	if m[two] != 1 {
		t.Error("no key of a map")
	}
	a, _ := NewProjection(nil, nil, true, 0)
	b, _ := NewProjection(nil, nil, true, 1)
	if a == b || a == (Projection{}) {
		t.Error("the seed makes no difference")
	}
}

// TestProjectableNamesAreTheRecords holds the names to the record's members.
func TestProjectableNamesAreTheRecords(t *testing.T) {
	known := projectable()
	for i := range recordMembers {
		m := &recordMembers[i]
		if _, ok := known[m.name]; ok == isIdentity(m.name) {
			t.Errorf("%s: projectable %v, identity %v", m.name, ok, isIdentity(m.name))
		}
		if isIdentity(m.name) {
			continue
		}
		for j := range m.inner {
			name := m.name + "." + m.inner[j].name
			_, ok := known[name]
			masterHasNone := m.name == "master" && slices.Contains([]string{"packets", "bytes", "packets_delta", "bytes_delta"}, m.inner[j].name)
			if ok == masterHasNone {
				t.Errorf("%s: projectable %v", name, ok)
			}
		}
	}
	for name := range known {
		top, inner, deep := strings.Cut(name, ".")
		m := byName(recordMembers, top)
		if m == nil || deep && byName(m.inner, inner) == nil {
			t.Errorf("%s is no name of the record", name)
		}
	}
}

func TestCommunityID(t *testing.T) {
	// A vector of the specification's baseline, seed 0: udp 192.168.1.52:54585 to 8.8.8.8:53.
	b := flow.NewBatch(1)
	soil(b)
	e := newEvent(b, func(_ *flow.Batch, e *flow.Event) {
		tuples(e, flow.ProtoUDP, "192.168.1.52", "8.8.8.8", "8.8.8.8", "192.168.1.52")
		ports(e, 54585, 53, 53, 54585)
	})
	got := parse(t, Formats()["json"].NewEncoder(project(t, "", "", true)).Append(nil, e)).(map[string]any)
	if got["community_id"] != "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" {
		t.Errorf("got %v", got["community_id"])
	}
	// Both sides of a translation have their own.
	got = projected(t, project(t, "", "", true), "tcp_snat")
	behind, _ := flow.AppendCommunityID(nil, 0, &flow.Tuple{
		Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Family: flow.IPv4, Proto: 6,
		Src: flow.Addr{203, 0, 113, 9}, Dst: flow.Addr{192, 0, 2, 80}, SrcPort: 61001, DstPort: 443,
	})
	if nat := got["nat"].(map[string]any)["community_id"]; nat != string(behind) || nat == got["community_id"] {
		t.Errorf("got %v, want %s", nat, behind)
	}
}

// TestDestinationCannotBeTried has somebody who knows a record without its
// destination try all of a network for it: whose flow id is the record's is found.
func TestDestinationCannotBeTried(t *testing.T) {
	for name, format := range Formats() {
		b := flow.NewBatch(2)
		e := b.Next()
		e.Type, e.Table, e.Family, e.Proto, e.ID = flow.TypeNew, flow.TableConntrack, flow.IPv4, flow.ProtoTCP, 857037765
		e.Origin = &flow.Origin{Node: "a", BootID: [16]byte{1, 2, 3}, Cookie: 1} // that of the first namespace
		e.Has = flow.HasID | flow.HasOrig | flow.HasReply | flow.HasFlowID
		e.Orig = flow.Tuple{Family: flow.IPv4, Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Proto: flow.ProtoTCP,
			Src: flow.Addr{100, 64, 12, 34}, Dst: flow.Addr{198, 51, 100, 77}, SrcPort: 51234, DstPort: 443}
		e.Reply = e.Orig
		e.Reply.Src, e.Reply.Dst, e.Reply.SrcPort, e.Reply.DstPort = e.Orig.Dst, e.Orig.Src, e.Orig.DstPort, e.Orig.SrcPort
		e.FlowID, _ = e.ComputeFlowID()
		if err := format.NewDecoder().Decode(b, format.NewEncoder(Projection{}.WithoutDestination()).Append(nil, e)); err != nil {
			t.Fatal(err)
		}
		try := b.Events()[1]
		told := try.FlowID
		origin := *try.Origin
		origin.Cookie = 1
		try.Origin = &origin
		try.Orig.Dst, try.Orig.DstPort = flow.Addr{198, 51, 100}, 443
		try.Orig.Has |= flow.HasAddrs | flow.HasPorts
		for i := range 256 {
			try.Orig.Dst[3] = byte(i)
			if id, ok := try.ComputeFlowID(); ok && id == told {
				t.Errorf("%s: found %v", name, try.Orig.Dst.In(flow.IPv4))
			}
		}
		if told != e.FlowID || try.ID != e.ID {
			t.Errorf("%s: flow id %x, id %d", name, told, try.ID)
		}
	}
}
