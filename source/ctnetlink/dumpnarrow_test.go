package ctnetlink

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// text is all that a DumpFilter asks for.
func (d *DumpFilter) text() (out string) {
	add := func(name string, v any) { out += fmt.Sprintf(" %s=%v", name, v) }
	if d.family != flow.FamilyUnspecified {
		add("family", d.family)
	}
	if d.mark != nil {
		add("mark", d.mark)
	}
	if d.status != nil {
		add("status", d.status)
	}
	if d.zone != nil {
		add("zone", *d.zone)
	}
	for _, one := range tupleFilterFlags() {
		if t := &d.orig; t.Got(one.has) {
			add(one.field.String(), map[flow.Field]any{
				flow.FieldOrigSrc: t.Src.In(flow.IPv4), flow.FieldOrigDst: t.Dst.In(flow.IPv4), flow.FieldProto: t.Proto,
				flow.FieldSrcPort: t.SrcPort, flow.FieldDstPort: t.DstPort,
				flow.FieldICMPType: t.ICMPType, flow.FieldICMPCode: t.ICMPCode, flow.FieldICMPID: t.ICMPID,
			}[one.field])
		}
	}
	return out
}

func parsed(t *testing.T, v map[string]any) *flow.Filter {
	t.Helper()
	f, err := flow.ParseFilter(v)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestCompileDump is what the kernel is trusted with: the passes of a dump.
func TestCompileDump(t *testing.T) {
	type l = []any
	type m = map[string]any
	for _, c := range []struct {
		filter m
		want   []string
	}{
		{m{}, l0("")},
		{m{"family": "ipv4"}, l0(" family=ipv4")},
		{m{"addr": "2001:db8::/32"}, l0(" family=ipv6")},
		{m{"addr": l{"2001:db8::/32", "10.0.0.0/8"}}, l0("")},
		{m{"include": l{m{"src": "10.0.0.1"}, m{"dst": "10.0.0.1/255.0.0.255"}}}, l0(" family=ipv4")},
		{m{"include": l{m{"src": "10.0.0.1"}, m{"proto": "tcp"}}}, l0("")},
		{m{"exclude": l{m{"family": "ipv6"}}}, l0(" family=ipv4")},
		{m{"exclude": l{m{"family": "ipv6", "proto": "tcp"}}}, l0("")},
		{m{"exclude": l{m{"addr": "10.0.0.0/8"}, m{"mark": 1}, m{"zone": 1}}}, l0("")},
		{m{"mark": 5}, l0(" mark=0x5/0xffffffff")},
		{m{"mark": "1/3"}, l0(" mark=0x1/0x3")},
		{m{"mark": l{1, 2}}, l0("")},
		{m{"mark": l{9, "1/3"}}, l0("")},
		{m{"mark": l{"0x1/0xf", "0x2/0xf"}}, l0("")},
		{m{"mark": "1-2"}, l0("")},
		{m{"mark": "0/0"}, l0("")},
		{m{"status": l{"ASSURED", "SEEN_REPLY"}}, l0(" status=0x6/0x6")},
		{m{"status": "UNREPLIED"}, l0(" status=0x0/0x2")},
		{m{"zone": 3}, l0(" zone=3")},
		{m{"zone": 0}, l0("")},
		{m{"zone": "1-2", "family": l{"ipv4", "ipv6"}}, l0("")},
		{m{"include": l{m{"zone": 3, "proto": "tcp"}, m{"zone": 3, "mark": 1}}}, l0(" zone=3")},
		{m{"include": l{m{"zone": 3}, m{"zone": 4}}}, l0("")},
		{m{"src": "10.0.0.1"}, l0(" family=ipv4 orig_src=10.0.0.1")},
		{m{"src": "10.0.0.1", "dst": "10.0.0.2", "mark": 1}, l0(" family=ipv4 mark=0x1/0xffffffff orig_src=10.0.0.1 orig_dst=10.0.0.2")},
		{m{"src": "10.0.0.0/24"}, l0(" family=ipv4")},
		{m{"src": l{"10.0.0.1", "10.0.0.9"}}, l0(" family=ipv4")},
		{m{"src": l{"10.0.0.1", "2001:db8::1"}}, l0("")},
		{m{"src": "2001:db8::1"}, l0(" family=ipv6")},
		{m{"reply_src": "10.0.0.1"}, l0(" family=ipv4")},
		{m{"include": l{m{"src": "10.0.0.1", "mark": 1}, m{"src": "10.0.0.1", "proto": "tcp"}}}, l0(" family=ipv4 orig_src=10.0.0.1")},
		{m{"include": l{m{"src": "10.0.0.1"}, m{"src": "10.0.0.2"}}}, l0(" family=ipv4")},
		{m{"proto": "tcp"}, l0("")},
		{m{"proto": "tcp", "family": "ipv6"}, l0(" family=ipv6 proto=6")},
		{m{"proto": 50, "family": "ipv4"}, l0(" family=ipv4 proto=50")},
		{m{"proto": l{"tcp", "udp"}, "dport": 53}, l0("")},
		{m{"proto": "udp", "dport": 53}, []string{" family=ipv4 proto=17 dport=53", " family=ipv6 proto=17 dport=53"}},
		{m{"proto": "udp", "dport": 53, "mark": 1}, []string{" family=ipv4 mark=0x1/0xffffffff proto=17 dport=53", " family=ipv6 mark=0x1/0xffffffff proto=17 dport=53"}},
		{m{"proto": "udp", "dport": "53-54"}, l0("")},
		{m{"proto": "tcp", "sport": 9, "dport": 53, "family": "ipv4"}, l0(" family=ipv4 proto=6 sport=9 dport=53")},
		{m{"proto": "sctp", "dport": 53, "family": "ipv4"}, l0(" family=ipv4 proto=132")},
		{m{"dport": 53, "family": "ipv4"}, l0(" family=ipv4")},
		{m{"proto": "icmp", "icmp_type": 8, "family": "ipv4"}, l0(" family=ipv4 proto=1 icmp_type=8")},
		{m{"proto": "icmp", "icmp_type": 8}, l0("")},
		{m{"proto": "icmpv6", "icmp_id": 2, "icmp_code": 0, "family": "ipv6"}, l0(" family=ipv6 proto=58 icmp_code=0 icmp_id=2")},
		{m{"proto": "icmpv6", "icmp_id": 2, "family": "ipv4"}, l0(" family=ipv4 proto=58")},
	} {
		var got []string
		for _, p := range CompileDump(parsed(t, c.filter)).passes() {
			got = append(got, p.text())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.filter, got, c.want)
		}
	}
	if d := CompileDump(nil); d.text() != "" || d.String() != "none" || len(d.passes()) != 1 {
		t.Errorf("no filter: %q, %s", d.text(), d)
	}
	for v, want := range map[string]string{"udp": "none", "udp 53": "proto, dport"} {
		f := m{"proto": "udp"}
		if v == "udp 53" {
			f["dport"] = 53
		}
		if got := CompileDump(parsed(t, f)).String(); got != want {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
	}
}

func l0(one string) []string { return []string{one} }

// TestNarrowing joins what a filter says with what the options say.
func TestNarrowing(t *testing.T) {
	f := parsed(t, map[string]any{"src": "10.0.0.1", "mark": 1, "zone": 2})
	dns := parsed(t, map[string]any{"proto": "udp", "dport": 53})
	const all = " family=ipv4 mark=0x1/0xffffffff zone=2 orig_src=10.0.0.1"
	for _, c := range []struct {
		table flow.Table
		o     dumpOptions
		want  []string
	}{
		{flow.TableConntrack, dumpOptions{Only: f}, l0(all)},
		{flow.TableConntrack, dumpOptions{Only: f, Family: flow.IPv4}, l0(all)},
		{flow.TableConntrack, dumpOptions{Only: f, Family: flow.IPv6}, l0(" family=ipv6 mark=0x1/0xffffffff zone=2")},
		{flow.TableConntrack, dumpOptions{Only: f, Zone: ptr(uint16(9))}, l0(" family=ipv4 mark=0x1/0xffffffff zone=9 orig_src=10.0.0.1")},
		{flow.TableConntrack, dumpOptions{Only: f, Zero: true, Family: flow.IPv6}, l0(" family=ipv6")},
		{flow.TableConntrack, dumpOptions{Only: f, Dying: true}, l0(" family=ipv4")},
		{flow.TableConntrack, dumpOptions{Only: f, Unconfirmed: true}, l0(" family=ipv4")},
		{flow.TableExpect, dumpOptions{Only: f}, l0(" family=ipv4")},
		{flow.TableConntrack, dumpOptions{Only: dns}, []string{" family=ipv4 proto=17 dport=53", " family=ipv6 proto=17 dport=53"}},
		{flow.TableConntrack, dumpOptions{Only: dns, Family: flow.IPv6}, l0(" family=ipv6 proto=17 dport=53")},
		{flow.TableExpect, dumpOptions{Only: dns}, l0("")},
	} {
		var got []string
		for _, p := range c.o.narrowing(c.table) {
			got = append(got, p.text())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v %+v: %q, want %q", c.table, c.o, got, c.want)
		}
		passes, err := c.o.requests(c.table)
		if err != nil || len(passes) != len(got) {
			t.Errorf("%+v: %d requests: %v", c.o, len(passes), err)
		}
	}
}

// entries makes random entries of few values in all that a dump can be narrowed
// by, with replies of another tuple at times, and gives how many the kernel took.
func entries(t *testing.T, c *Conn, r *rand.Rand, n int) (made int) {
	t.Helper()
	addr := func(f flow.Family) flow.Addr {
		text := fmt.Sprintf("10.0.0.%d", 1+r.IntN(4))
		if f == flow.IPv6 {
			text = fmt.Sprintf("2001:db8::%d", 1+r.IntN(4))
		}
		a, _ := flow.AddrFrom(netip.MustParseAddr(text))
		return a
	}
	var requests Batch
	one := flow.NewBatch(1)
	for range n {
		one.Reset()
		e := one.Next()
		e.Table, e.Family = flow.TableConntrack, pick(r, []flow.Family{flow.IPv4, flow.IPv6})
		proto, has := pick(r, []uint8{flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDP, flow.ProtoSCTP, flow.ProtoGRE}), flow.HasPorts
		switch r.IntN(6) {
		case 0:
			proto, has = flow.ProtoICMP, flow.HasICMP
			if e.Family == flow.IPv6 {
				proto = flow.ProtoICMPv6
			}
		case 1:
			proto, has = 50, 0
		}
		for _, side := range []*flow.Tuple{&e.Orig, &e.Reply} {
			*side = flow.Tuple{Has: flow.HasAddrs | flow.HasProto | has, Family: e.Family, Proto: proto, Src: addr(e.Family), Dst: addr(e.Family),
				SrcPort: uint16(1 + r.IntN(20)), DstPort: uint16(1 + r.IntN(3)), ICMPID: uint16(r.IntN(20))}
		}
		asks, answers := uint8(8), uint8(0)
		if proto == flow.ProtoICMPv6 {
			asks, answers = 128, 129
		}
		e.Orig.ICMPType, e.Reply.ICMPType = asks, answers
		e.Has = flow.HasOrig | flow.HasReply | flow.HasTimeout | flow.HasMark | flow.HasStatus
		e.Proto, e.Timeout, e.Mark = proto, 3000, uint32(r.IntN(4))
		e.Status = pick(r, []uint32{0, flow.StatusSeenReply, flow.StatusSeenReply | flow.StatusAssured})
		switch r.IntN(4) {
		case 0:
			e.Zone, e.Has = uint16(1+r.IntN(2)), e.Has|flow.HasZone
		case 1:
			e.Orig.Zone, e.Orig.Has = 2, e.Orig.Has|flow.HasTupleZone
		}
		if err := requests.Create(flow.Creation{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range c.Do(t.Context(), &requests) {
		if err == nil { // else the tuple is taken, as a rule
			made++
		}
	}
	return made
}

// dumpPool are values of which one that is alone narrows a dump; some icmp_type
// the kernel refuses (EINVAL), and some fields it does not know in dumps.
func dumpPool() map[string][]any {
	ports := []any{1, 2, 3, "1-2"}
	v4, v6 := []any{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0/30"}, []any{"2001:db8::1", "2001:db8::2"}
	addrs := append(slices.Clone(v4), v6...)
	return map[string][]any{
		"family": {"ipv4", "ipv6"}, "mark": {0, 1, 2, "1/1", "0/2"}, "zone": {0, 1, 2, 3}, "status": {"ASSURED", "UNREPLIED", "CONFIRMED", "SEEN_REPLY"},
		"proto": {"tcp", "udp", "sctp", "gre", "icmp", "icmpv6", 50}, "sport": ports, "dport": ports,
		"src": addrs, "dst": addrs, "reply_src": addrs, "addr": v4, "reply_dst": v6, "srckey": ports, "reply_port_src": ports,
		"icmp_type": {8, 128, 0, 200}, "icmp_code": {0, 1}, "icmp_id": {1, 2}, "nat": {"none"}, "orig_zone": {2},
	}
}

// likely makes terms as people write them: a protocol with what it has, and a
// family, often; single values, mostly.
func likely(r *rand.Rand, pool map[string][]any, names []string) map[string]any {
	terms := func(n int) (out []any) {
		for range n {
			term := map[string]any{}
			for range r.IntN(3) {
				name := pick(r, names)
				term[name] = []any{pick(r, pool[name])}
				if r.IntN(5) == 0 {
					term[name] = []any{pick(r, pool[name]), pick(r, pool[name])}
				}
			}
			switch r.IntN(5) {
			case 0:
				maps.Copy(term, map[string]any{"proto": pick(r, []any{"udp", "tcp"}), pick(r, []string{"sport", "dport"}): pick(r, pool["dport"])})
			case 1:
				maps.Copy(term, map[string]any{"family": "ipv4", "proto": "icmp", "icmp_type": pick(r, pool["icmp_type"])})
			case 2:
				maps.Copy(term, map[string]any{"family": "ipv6", "proto": "icmpv6", "icmp_id": pick(r, pool["icmp_id"])})
			default:
				name := pick(r, names)
				term[name] = pick(r, pool[name])
			}
			out = append(out, term)
		}
		return out
	}
	v := map[string]any{"include": terms(1 + r.IntN(6)/5)}
	if r.IntN(4) == 0 {
		v["exclude"] = terms(1)
	}
	return v
}

// fits is the kernel's verdict on a row, as a pass asks for it.
func (d *DumpFilter) fits(e *flow.Event) bool {
	t, o := &d.orig, &e.Orig
	same := func(has flow.TupleHas, equal bool) bool { return !t.Got(has) || equal }
	zone := e.Zone // of an entry's zone the kernel compares the number, whatever direction it holds in
	if !e.Got(flow.HasZone) {
		zone = max(e.Orig.Zone, e.Reply.Zone)
	}
	return (d.family == flow.FamilyUnspecified || d.family == e.Family) &&
		(d.mark == nil || d.mark.Has(e.Mark)) && (d.status == nil || d.status.Has(e.Status)) && (d.zone == nil || *d.zone == zone) &&
		same(flow.HasSrc, t.Src == o.Src) && same(flow.HasDst, t.Dst == o.Dst) && same(flow.HasProto, t.Proto == o.Proto) &&
		same(flow.HasSrcPort, t.SrcPort == o.SrcPort) && same(flow.HasDstPort, t.DstPort == o.DstPort) &&
		same(flow.HasICMPType, t.ICMPType == o.ICMPType) && same(flow.HasICMPCode, t.ICMPCode == o.ICMPCode) && same(flow.HasICMPID, t.ICMPID == o.ICMPID)
}

// TestNarrowedDumpLosesNothing dumps random tables by random filters: what a
// narrowed dump gives and the filter passes is what a whole dump gives and it passes.
// And the kernel did compare what it was asked to.
func TestNarrowedDumpLosesNothing(t *testing.T) {
	t.Parallel() // closing a socket takes the kernel longer than all else here
	ns := quiet(t)
	c := dialNS(t, ns)
	r := rand.New(rand.NewPCG(4, 5))
	if made := entries(t, c, r, 1500); made < 700 {
		t.Fatalf("%d entries were made", made)
	}
	var whole []*flow.Event
	dump := func(o flow.DumpOptions, fn func(*flow.Event)) (count int) {
		n, err := c.Dump(t.Context(), flow.TableConntrack, o, func(b *flow.Batch) error {
			for i := range b.Events() {
				b.Events()[i].Timeout = 0 // a second may pass
				fn(&b.Events()[i])
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", o.Only, err)
		}
		return int(n)
	}
	dump(flow.DumpOptions{}, func(e *flow.Event) {
		one := *e
		if e.Extra != nil {
			one.Extra = new(*e.Extra)
		}
		whole = append(whole, &one)
	})
	pool := dumpPool()
	names := slices.Sorted(maps.Keys(pool))
	tried, narrowed, found := 0, 0, 0
	seen := map[flow.Field]int{}
	rounds := 240
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		f, err := flow.ParseFilter(likely(r, pool, names))
		if err != nil {
			continue
		}
		var all, some []string
		for _, e := range whole {
			if f.Match(e) {
				all = append(all, describe(e))
			}
		}
		count := dump(flow.DumpOptions{Only: f}, func(e *flow.Event) {
			if f.Match(e) {
				some = append(some, describe(e))
			}
		})
		slices.Sort(all)
		slices.Sort(some)
		if !slices.Equal(all, some) || count > len(whole) {
			t.Fatalf("%s: %d rows pass of a whole dump, %d of one narrowed by %s", f, len(all), len(some), CompileDump(f))
		}
		tried++
		compared := 0
		for _, d := range CompileDump(f).passes() {
			for _, e := range whole {
				if d.fits(e) {
					compared++
				}
			}
		}
		if refusable := CompileDump(f).orig.Got(flow.HasICMPType); !refusable && count != compared {
			t.Fatalf("%s: %d rows, want %d of a dump narrowed by %s", f, count, compared, CompileDump(f))
		}
		if count < len(whole) {
			narrowed++
			found += min(1, len(all))
			for _, field := range CompileDump(f).Fields() {
				seen[field]++
			}
		}
	}
	t.Logf("%d filters, %d narrowed, of which %d found rows; by %v", tried, narrowed, found, seen)
	if narrowed < tried/3 || found < tried/8 || len(seen) < 10 && !testing.Short() {
		t.Errorf("%d dumps of %d were narrowed, %d found rows, by %v", narrowed, tried, found, seen)
	}
}

// TestRefusedNarrowing asks for an ICMP type that the kernel refuses (EINVAL): it is
// asked again without. What the caller asks for himself is refused.
func TestRefusedNarrowing(t *testing.T) {
	ns := quiet(t)
	c := dialNS(t, ns)
	entries(t, c, rand.New(rand.NewPCG(1, 1)), 300)
	pass := func(*flow.Batch) error { return nil }
	whole, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{Family: flow.IPv4}, pass)
	if err != nil {
		t.Fatal(err)
	}
	f := parsed(t, map[string]any{"family": "ipv4", "proto": "icmp", "icmp_type": 200})
	if d := CompileDump(f); d.String() != "family, proto, icmp_type" {
		t.Fatal(d)
	}
	n, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{Only: f}, pass)
	if err != nil || n != whole || n == 0 {
		t.Errorf("%d rows of %d: %v", n, whole, err)
	}
	_, err = c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{Status: &flow.Masked{}}, pass)
	if err == nil {
		t.Error("a mask of 0 of the caller's own was passed over")
	}
}

// TestScriptedRefusal has a kernel refuse: before the first row it is asked again, after
// it never, and an error of the caller's function is no refusal.
func TestScriptedRefusal(t *testing.T) {
	entry := row(unix.NFNL_SUBSYS_CTNETLINK<<8, 0, written(func(w *writer) { w.put32(ctaID, 1) })...)
	told := func(kind uint16, errno unix.Errno) []byte {
		p := row(kind, 0)
		native32(p[headerLen:], uint32(-int32(errno)))
		return p
	}
	for _, c := range []struct {
		name  string
		first []byte
		fn    error
		want  bool
	}{
		{"not known", told(unix.NLMSG_ERROR, unix.EOPNOTSUPP), nil, true},
		{"a value", told(unix.NLMSG_ERROR, unix.EINVAL), nil, true},
		{"by a function of the kernel's", told(unix.NLMSG_ERROR, errNoSupport), nil, true},
		{"at the end", told(unix.NLMSG_DONE, unix.EINVAL), nil, true},
		{"no right", told(unix.NLMSG_ERROR, unix.EPERM), nil, false},
		{"after a row", append(slices.Clone(entry), told(unix.NLMSG_DONE, unix.EINVAL)...), nil, false},
		{"the caller", append(slices.Clone(entry), told(unix.NLMSG_DONE, 0)...), unix.EINVAL, false},
		{"none", told(unix.NLMSG_DONE, 0), nil, false},
	} {
		d := dump{table: flow.TableConntrack, batch: flow.NewBatch(2), fn: func(*flow.Batch) error { return c.fn }}
		q, err := (&dumpOptions{}).request(flow.TableConntrack, DumpFilter{})
		if err != nil {
			t.Fatal(err)
		}
		script := &scripted{give: [][]datagram{{{data: c.first}}}}
		_ = d.run(context.Background(), &requester{portID: 9, seq: 7}, q, []receiver{script})
		if d.refused != c.want {
			t.Errorf("%s: refused %v", c.name, d.refused)
		}
	}
}

// TestTwoPasses asks for a port of both families: IPv4 comes first, and who wants no
// more is not asked in the second pass.
func TestTwoPasses(t *testing.T) {
	ns := quiet(t)
	c := dialNS(t, ns)
	entries(t, c, rand.New(rand.NewPCG(2, 2)), 400)
	o := flow.DumpOptions{Only: parsed(t, map[string]any{"proto": "udp", "dport": 1})}
	var families []flow.Family
	n, err := c.Dump(t.Context(), flow.TableConntrack, o, func(b *flow.Batch) error {
		families = append(families, b.Events()[0].Family)
		return nil
	})
	if err != nil || n == 0 || !slices.Equal(families, []flow.Family{flow.IPv4, flow.IPv6}) {
		t.Errorf("%d rows, batches of %v: %v", n, families, err)
	}
	calls := 0
	n, err = c.Dump(t.Context(), flow.TableConntrack, o, func(*flow.Batch) error { calls++; return errEnough })
	if n != 0 || err == nil || calls != 1 {
		t.Errorf("%d rows, %d calls: %v", n, calls, err)
	}
}
