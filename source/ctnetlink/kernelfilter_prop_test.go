package ctnetlink

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// filterPool has, for every field that the kernel can compare, values that
// random events meet often, and some fields that it cannot.
func filterPool() map[string][]any {
	addrs := []any{"10.0.0.1", "10.0.0.0/30", "10.0.0.2-10.0.0.9", "0.0.0.0/0", "192.0.2.0/24", "0.0.0.1/0.0.0.255", "10.0.0.0/255.0.255.254",
		"2001:db8::1", "2001:db8::/64", "2001:db8::1-2001:db8::2", "2001:db8::1-2001:db9::", "2001:db8::ffff:0:0-2001:db8::1:0:0:5", "::/0", "2001:db8::1/ffff:ffff::ffff", "::1/::ffff", "::-2001:db8::1"}
	ports := []any{0, 1, 2, "1-2", "2-65535", "0-1", "0-65535", "1000-2000"}
	keys := []any{1, 2, "2-3"}
	return map[string][]any{
		"event_type": {"new", "update", "destroy", "dump"},
		"table":      {"conntrack", "expect"},
		"family":     {"ipv4", "ipv6"},
		"proto":      {"tcp", "udp", "gre", "icmp", "icmpv6", 50, "0-20", "6-47"},
		"zone":       {0, 1, 2, "1-3"},
		"mark":       {0, 1, "0x2", "0x1/0x1", "0x0/0x3", "1-2", "0/0", "0x80000000-0xffffffff", "0xff000001"},
		"status":     {"ASSURED", "SEEN_REPLY", "UNREPLIED", "UNSET", "CONFIRMED", "0x0/0x4", "0x8/0xc"},
		"orig_src":   addrs, "orig_dst": addrs, "reply_src": addrs, "reply_dst": addrs, "addr": addrs,
		"sport": ports, "dport": ports, "reply_port_src": ports, "reply_port_dst": ports, "port": ports,
		"srckey": keys, "dstkey": keys, "reply_key_src": keys, "reply_key_dst": keys,
		"icmp_type": {0, 1, 8, "2-255"}, "icmp_code": {0, 1, "1-9"}, "icmp_id": {1, 2, "0-1"},
		"timeout": {1, "0-2"}, "label": {0, 3}, "nat": {"any", "none"}, "state": {"ESTABLISHED"}, "helper": {"ftp"}, "orig_zone": {0, 1}, "netns": {"", "a"},
	}
}

// userFields are those of the pool that stay in user space.
func userFields() []string {
	return []string{"timeout", "label", "nat", "state", "helper", "orig_zone", "netns"}
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// randomFilter makes one of fields of the given names; nil where the language
// finds a contradiction in it.
func randomFilter(tb testing.TB, r *rand.Rand, pool map[string][]any, names []string) *flow.Filter {
	term := func() any {
		t := map[string]any{}
		for range 1 + r.IntN(3) {
			name := pick(r, names)
			var values []any
			for range 1 + r.IntN(4) {
				values = append(values, pick(r, pool[name]))
			}
			t[name] = values
		}
		return t
	}
	terms := func(n int) (ts []any) {
		for range n {
			ts = append(ts, term())
		}
		return ts
	}
	f, err := flow.ParseFilter(map[string]any{"include": terms(r.IntN(4)), "exclude": terms(r.IntN(3))})
	var faults flow.Faults
	if err != nil && !errors.As(err, &faults) {
		tb.Fatal(err)
	}
	return f
}

// kernelEvent makes an event as the kernel makes them, of small numbers: all that
// every event has, and the rest at times.
func kernelEvent(r *rand.Rand, b *flow.Batch) *flow.Event {
	b.Reset()
	e := b.Next()
	e.Table, e.Family = flow.TableConntrack, pick(r, []flow.Family{flow.IPv4, flow.IPv6})
	e.Type = pick(r, []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy})
	small := func() uint32 { return r.Uint32N(4) }
	e.Has = flow.HasOrig | flow.HasReply | flow.HasID | flow.HasStatus
	for _, has := range []flow.Has{flow.HasMark, flow.HasZone, flow.HasTimeout, flow.HasTCPState, flow.HasLabels, flow.HasOrigCounters | flow.HasReplyCounters, flow.HasHelper} {
		if r.IntN(2) == 0 {
			e.Has |= has
		}
	}
	e.ID, e.Timeout, e.Mark, e.Zone = small(), small(), pick(r, []uint32{0, 1, 2, 3, 1 << 31, 0xff000001}), uint16(small())
	e.Status = small() | small()<<2 | small()<<10
	b.ExtraFor(e).Helper = pick(r, []string{"ftp", "sip"})
	kernelTuples(r, e)
	return e
}

// kernelTuples makes both tuples of one protocol.
func kernelTuples(r *rand.Rand, e *flow.Event) {
	proto, has := uint8(flow.ProtoICMP), flow.HasICMP
	if e.Family == flow.IPv6 {
		proto = flow.ProtoICMPv6
	}
	switch r.IntN(4) {
	case 0:
		proto, has = 50, 0
	case 1, 2:
		proto, has = pick(r, []uint8{flow.ProtoTCP, flow.ProtoUDP, flow.ProtoGRE}), flow.HasPorts
	}
	addr := func() flow.Addr {
		texts := []string{"10.0.0.1", "10.0.0.2", "10.1.0.1", "192.0.2.1"}
		if e.Family == flow.IPv6 {
			texts = []string{"2001:db8::1", "2001:db8::2", "2001:db8::1:0:0:4", "2001:db9::", "2001:db8:0:1::1", "::1"}
		}
		a, _ := flow.AddrFrom(netip.MustParseAddr(pick(r, texts)))
		return a
	}
	for _, t := range []*flow.Tuple{&e.Orig, &e.Reply} {
		*t = flow.Tuple{Has: flow.HasAddrs | flow.HasProto | has, Family: e.Family, Proto: proto, Src: addr(), Dst: addr(),
			SrcPort: uint16(r.IntN(4)), DstPort: pick(r, []uint16{1, 2, 1500, 65535}), ICMPID: uint16(r.IntN(4)), ICMPType: pick(r, []uint8{0, 8}), ICMPCode: uint8(r.IntN(3))}
		if r.IntN(5) == 0 {
			t.Has |= flow.HasTupleZone
			t.Zone = uint16(1 + r.IntN(2))
		}
	}
	e.Proto = proto
}

// trial has the kernel judge datagrams by one filter.
type trial struct {
	f               *flow.Filter
	by              map[string]judge
	whole           bool // all of the filter runs in the kernel
	dec             decoder
	batch           *flow.Batch
	passed, refused int
}

// try wants the kernel to refuse nothing that passes, and with exact to pass
// nothing that does not.
func (c *trial) try(t *testing.T, p []byte, exact bool) {
	t.Helper()
	want := passes(c.f, &c.dec, c.batch, p)
	for by, judge := range c.by {
		got := judge(p)
		if got != want && (want || exact) {
			t.Fatalf("%s passes %v, want %v, %s:\n%x\n%s", by, got, want, c.f, p, describe(&c.batch.Events()[0]))
		}
		if got {
			c.passed++
		} else {
			c.refused++
		}
	}
}

// TestKernelEqualsUser has the kernel judge random events by random filters: what
// it refuses user space refuses too, and where the whole filter runs in the
// kernel the verdicts are equal.
func TestKernelEqualsUser(t *testing.T) {
	ring := loading(t)
	pool := filterPool()
	all := slices.Sorted(maps.Keys(pool))
	exact := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(userFields(), name) })
	golden := captured(t, "")
	rounds := 600
	if testing.Short() {
		rounds = 150
	}
	var passed, refused, ran int
	for seed := range rounds {
		r := rand.New(rand.NewPCG(9, uint64(seed)))
		names := exact
		switch {
		case seed < 3*len(exact):
			names = exact[seed%len(exact):][:1] // each by itself first
		case seed%3 == 0:
			names = all
		}
		f := randomFilter(t, r, pool, names)
		k := CompileFilter(f, false)
		if f == nil || !k.Runs() {
			continue
		}
		ran++
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := trial{f: f, by: judges(t, ring, k), whole: true, batch: flow.NewBatch(8)}
			for _, at := range k.Terms() {
				c.whole = c.whole && len(at.User) == 0
			}
			c.run(t, r, golden)
			passed, refused = passed+c.passed, refused+c.refused
		})
	}
	t.Logf("%d filters; %d verdicts passed, %d refused", ran, passed, refused)
	if ran < rounds/3 || refused < passed/10 || passed < refused/10 {
		t.Error("the filters or the events are of one kind only")
	}
}

// run tries events as the kernel makes them, events of any shape, the kernel's
// own, and damaged ones.
func (c *trial) run(t *testing.T, r *rand.Rand, golden [][]byte) {
	scratch := flow.NewBatch(1)
	for range 40 {
		c.try(t, eventMessage(kernelEvent(r, scratch)), c.whole)
	}
	for range 10 {
		scratch.Reset()
		c.try(t, eventMessage(randomEvent(r, scratch)), false)
	}
	for _, p := range golden {
		_, high := bytesOf(4)
		c.try(t, p, c.whole && p[high] == unix.NFNL_SUBSYS_CTNETLINK)
	}
	for range 20 {
		if p := damage(r, pick(r, golden)); !repeats(p) {
			c.try(t, p, false)
		}
	}
}

// damage changes some bytes, or the length.
func damage(r *rand.Rand, p []byte) []byte {
	p = append([]byte(nil), p...)
	for range 1 + r.IntN(3) {
		p[r.IntN(len(p))] = byte(r.Uint32())
	}
	switch r.IntN(4) {
	case 0:
		p = p[:1+r.IntN(len(p)-1)]
	case 1:
		p = append(p, p...)
	}
	return p
}

// repeats tells whether a message has an attribute twice, which no kernel sends:
// of those the filter on a socket reads the first and the decoder the last.
func repeats(p []byte) bool {
	if len(p) < attrsAt {
		return false
	}
	seen := map[uint16]bool{}
	for rest := p[attrsAt:]; len(rest) > 0; {
		kind, _, after, ok := cutAttr(rest)
		if !ok {
			return false
		}
		if seen[kind] {
			return true
		}
		seen[kind], rest = true, after
	}
	return false
}

// FuzzKernelFilter looks for a datagram that the kernel would refuse and user
// space would pass.
func FuzzKernelFilter(f *testing.F) {
	for i, p := range captured(f, "") {
		f.Add(uint64(i), p)
	}
	pool := filterPool()
	names := slices.Sorted(maps.Keys(pool))
	f.Fuzz(func(t *testing.T, seed uint64, p []byte) {
		flt := randomFilter(t, rand.New(rand.NewPCG(seed%5000, 3)), pool, names)
		if flt == nil || len(p) == 0 || len(p) > 4096 || repeats(p) {
			return
		}
		k := CompileFilter(flt, seed&1 == 0)
		if !k.Runs() {
			return
		}
		judge := machineJudge(t, k)
		if judge == nil {
			judge = classicJudge(t, k)
		}
		if d, b := (decoder{}), flow.NewBatch(64); !judge(p) && passes(flt, &d, b, p) {
			t.Fatalf("the kernel refuses what passes %s:\n%x", flt, p)
		}
	})
}
