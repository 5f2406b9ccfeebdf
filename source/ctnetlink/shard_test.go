package ctnetlink

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// verdict is what became of a datagram at one shard.
type verdict uint8

const (
	notOurs verdict = iota // or refused, where nobody counts
	refused
	passed
)

// ringShard has the kernel run the ring's program of one shard, which tells what
// the filter refuses from what is another shard's.
func ringShard(tb testing.TB, r *ring, k *KernelFilter) func(p []byte) verdict {
	from, to := pair(tb)
	prog, err := ebpf.NewProgram(ringProgram(r.rings, r.count.m, false, k))
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	tb.Cleanup(func() {
		prog.Close()
		unix.Close(to)
	})
	if err := unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, prog.FD()); err != nil {
		tb.Fatal(err)
	}
	return func(p []byte) verdict {
		before, lost := r.count.load(countRefused), r.count.load(countLost)
		if _, err := unix.Write(from, p); err != nil {
			tb.Fatal(err)
		}
		got, err := r.next()
		now := r.count.load(countRefused) - before
		if err != nil || uint64(len(got))+now > 1 || len(got) == 1 && string(got[0].data) != string(p) || r.count.load(countLost) != lost {
			tb.Fatalf("%d datagrams, %d refused: %v", len(got), now, err)
		}
		return verdict(2*len(got)) + verdict(now)
	}
}

// sharded are the programs of all shards, each run in every way that there is.
type sharded struct {
	classic, machine []judge
	ring             []func(p []byte) verdict
}

func shardsOf(tb testing.TB, r *ring, f *flow.Filter, n int) (s sharded) {
	for i := range n {
		k := CompileShard(f, false, Shard{i, n})
		s.classic = append(s.classic, classicJudge(tb, k))
		if vm := machineJudge(tb, k); vm != nil {
			s.machine = append(s.machine, vm)
		}
		if r != nil {
			s.ring = append(s.ring, ringShard(tb, r, k))
		}
	}
	return s
}

// owners are the shards whose judges pass a datagram.
func owners(by []judge, p []byte) (all []int) {
	for i, judge := range by {
		if judge(p) {
			all = append(all, i)
		}
	}
	return all
}

// one gives the shard of a datagram that some shard must have, on which all ways
// agree.
func (s *sharded) one(t *testing.T, p []byte) int {
	t.Helper()
	all := owners(s.classic, p)
	if len(all) != 1 {
		t.Fatalf("shards %v have it:\n%x", all, p)
	}
	if vm := owners(s.machine, p); s.machine != nil && !slices.Equal(vm, all) {
		t.Fatalf("the kernel says %v, the other machine %v:\n%x", all, vm, p)
	}
	for i, judge := range s.ring {
		if got, want := judge(p), all[0] == i; (got == passed) != want || got == refused {
			t.Fatalf("the queue's shard is %d; the ring's %d says %d:\n%x", all[0], i, got, p)
		}
	}
	return all[0]
}

// shardByHand is the shard of an event, from what the decoder makes of it.
func shardByHand(e *flow.Event, of int) int {
	var h uint32
	mix := func(word uint32) { h = (h + word) * 0x9e3779b1 }
	o := &e.Orig
	for _, a := range []*flow.Addr{&o.Src, &o.Dst} {
		for n := range e.Family.AddrLen() / 4 {
			mix(word(a, n))
		}
	}
	switch {
	case o.Has&flow.HasPorts != 0:
		mix(uint32(o.SrcPort))
		mix(uint32(o.DstPort))
	case o.Has&flow.HasICMP != 0:
		mix(uint32(o.ICMPID))
		mix(uint32(o.ICMPType) << 8)
	}
	h ^= h >> 15
	h *= 0x85ebca6b
	return int(h >> 16 * uint32(of) >> 16)
}

// TestOneShardOfEach wants each datagram to pass exactly one shard, by every way
// alike: events as the kernel makes them where the tuple says, and all else,
// damaged ones too, wherever.
func TestOneShardOfEach(t *testing.T) {
	ring := loading(t)
	golden := captured(t, "")
	for _, n := range []int{2, 3, 4, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := shardsOf(t, ring, nil, n)
			r := rand.New(rand.NewPCG(4, uint64(n)))
			b := flow.NewBatch(8)
			had := map[int]int{}
			for range 300 {
				e := kernelEvent(r, b)
				got, want := s.one(t, eventMessage(e)), shardByHand(e, n)
				if got != want {
					t.Fatalf("shard %d, want %d: %s", got, want, describe(e))
				}
				had[got]++
			}
			if len(had) != n {
				t.Errorf("shards have %v", had)
			}
			for range 100 {
				b.Reset()
				s.one(t, eventMessage(randomEvent(r, b)))
			}
			for _, p := range golden {
				s.one(t, p)
				s.one(t, damage(r, p))
			}
		})
	}
}

// TestShardOfALife wants all events of a flow in one shard, whatever else they
// tell, and the replies of another direction too.
func TestShardOfALife(t *testing.T) {
	s := shardsOf(t, nil, nil, 4)
	r := rand.New(rand.NewPCG(5, 5))
	b := flow.NewBatch(1)
	for range 300 {
		e := kernelEvent(r, b)
		family, orig, proto := e.Family, e.Orig, e.Proto
		home := s.one(t, eventMessage(e))
		for range 6 {
			for e = kernelEvent(r, b); e.Family != family; {
				e = kernelEvent(r, b)
			}
			reply := e.Reply
			e.Orig, e.Proto = orig, proto
			e.Reply = orig
			e.Reply.Src, e.Reply.Dst, e.Reply.SrcPort = reply.Src, reply.Dst, reply.SrcPort
			if got := s.one(t, eventMessage(e)); got != home {
				t.Fatalf("shard %d, then %d: %s", home, got, describe(e))
			}
		}
	}
}

// TestShardsAreEven spreads flows as they come, of which one word differs.
func TestShardsAreEven(t *testing.T) {
	b := flow.NewBatch(1)
	for name, vary := range map[string]func(e *flow.Event, i int){
		"source port":      func(e *flow.Event, i int) { e.Orig.SrcPort = uint16(1024 + i) },
		"destination port": func(e *flow.Event, i int) { e.Orig.DstPort = uint16(1 + i) },
		"client":           func(e *flow.Event, i int) { e.Orig.Src[2], e.Orig.Src[3] = byte(i>>8), byte(i) },
		"server":           func(e *flow.Event, i int) { e.Orig.Dst[2], e.Orig.Dst[3] = byte(i>>8), byte(i) },
		"client and port": func(e *flow.Event, i int) {
			e.Orig.Src[3], e.Orig.SrcPort = byte(i), uint16(40000+i)
		},
		"both addresses": func(e *flow.Event, i int) { e.Orig.Src[3], e.Orig.Dst[3] = byte(i), byte(255-i) },
		"last of IPv6": func(e *flow.Event, i int) {
			e.Family = flow.IPv6
			e.Orig.Src[14], e.Orig.Src[15] = byte(i>>8), byte(i)
		},
	} {
		for _, n := range []int{2, 3, 4, 8, 16} {
			const flows = 8000
			had := make([]int, n)
			for i := range flows {
				b.Reset()
				e := b.Next()
				e.Family, e.Proto = flow.IPv4, flow.ProtoTCP
				e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Src: flow.Addr{10, 1, 2, 3}, Dst: flow.Addr{192, 0, 2, 80}, SrcPort: 50000, DstPort: 443}
				vary(e, i)
				had[shardByHand(e, n)]++
			}
			if least, most := slices.Min(had), slices.Max(had); name != "client and port" && name != "both addresses" && (least*n < flows*8/10 || most*n > flows*12/10) || least*n < flows*5/10 {
				t.Errorf("%s over %d: %v", name, n, had)
			}
		}
	}
}

// TestShardedFilter has shards run filters: together they pass what one socket
// with the filter would, each event once, and what is refused is counted once, at
// its own shard.
func TestShardedFilter(t *testing.T) {
	ring := loading(t)
	pool := filterPool()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(pool)), func(name string) bool { return slices.Contains(userFields(), name) })
	golden := captured(t, "")
	b := flow.NewBatch(1)
	ran, had := 0, [3]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(11, seed))
		f := randomFilter(t, r, pool, names)
		n := 2 + r.IntN(4)
		whole := CompileFilter(f, false)
		if !whole.Runs() {
			continue
		}
		ran++
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			all, s, own := classicJudge(t, whole), shardsOf(t, ring, f, n), shardsOf(t, nil, nil, n)
			try := func(p []byte, exact bool) { // of what is damaged the ring's walk passes more
				home := own.one(t, p)
				want := passed
				if !all(p) {
					want = refused
				}
				had[want]++
				if got := owners(s.classic, p); len(got) > 1 || (len(got) == 1) != (want == passed) || len(got) == 1 && got[0] != home {
					t.Fatalf("shards %v pass it, want %d to say %d, %s:\n%x", got, home, want, f, p)
				}
				for i, judge := range s.ring {
					if got := judge(p); i == home && got != want && (exact || got == notOurs) || i != home && got != notOurs {
						t.Fatalf("the ring's shard %d says %d; %d was to say %d, %s:\n%x", i, got, home, want, f, p)
					}
				}
			}
			for range 60 {
				try(eventMessage(kernelEvent(r, b)), true)
			}
			for _, p := range golden {
				try(p, true)
				try(damage(r, p), false)
			}
		})
	}
	if ran < 20 || had[passed] < had[refused]/10 || had[refused] < had[passed]/10 {
		t.Errorf("%d filters, verdicts %v", ran, had)
	}
}

// TestTheRestIsTheFirstShards leaves what is no event of a known form to shard 0,
// whatever a filter says.
func TestTheRestIsTheFirstShards(t *testing.T) {
	event := eventMessage(kernelEvent(rand.New(rand.NewPCG(2, 2)), flow.NewBatch(1)))
	change := func(at int, to byte) []byte {
		p := append([]byte(nil), event...)
		p[at] = to
		return p
	}
	low, high := bytesOf(attrsAt + 2)
	length, _ := bytesOf(attrsAt)
	for _, f := range []*flow.Filter{nil, parseFilter(t, m{"exclude": l{m{"family": l{"ipv4", "ipv6"}, "table": "conntrack"}}})} {
		s := shardsOf(t, loading(t), f, 4)
		for name, p := range map[string][]byte{
			"one byte": {1}, "a header": event[:16], "cut": event[:len(event)-4], "two messages": append(append([]byte(nil), event...), event...),
			"other subsystem": change(5, 9), "other operation": change(4, 1), "other family": change(16, 7), "an expectation": change(5, 2),
			"another attribute first": change(int(low), 2), "not nested": change(int(high), 0), "a short tuple": change(int(length), 20),
		} {
			if got := s.one(t, p); got != 0 {
				t.Errorf("%s is shard %d's", name, got)
			}
		}
	}
}

// TestShardWithoutItsFilter has a kernel refuse the program with the filter: the
// shard's test stays. It has one refuse the shard's test: then there is no socket.
func TestShardWithoutItsFilter(t *testing.T) {
	f := parseFilter(t, m{"exclude": l{m{"proto": "udp"}}})
	odd := &Error{Op: "attach", Subject: "socket filter", Err: unix.ENOMEM}
	for _, c := range []struct {
		k            *KernelFilter
		takes        int // programs that the kernel refuses
		runs, why, e bool
		tried        []bool // whether what was tried loads a program
	}{
		{CompileShard(f, false, Shard{1, 2}), 0, true, false, false, []bool{true}},
		{CompileShard(f, false, Shard{1, 2}), 1, false, true, false, []bool{true, true}},
		{CompileShard(f, false, Shard{1, 2}), 2, false, true, true, []bool{true, true}},
		{CompileShard(nil, false, Shard{1, 2}), 1, false, false, true, []bool{true}},
		{CompileFilter(f, false), 1, false, true, false, []bool{true, false}},
		{nil, 0, false, false, false, []bool{false}},
		{nil, 1, false, false, true, []bool{false}},
	} {
		var tried []bool
		left := c.takes
		runs, why, err := c.k.install(func(k *KernelFilter) error {
			tried = append(tried, k.loads())
			if left--; left >= 0 {
				return odd
			}
			return nil
		})
		if runs != c.runs || (why != nil) != c.why || (err != nil) != c.e || !slices.Equal(tried, c.tried) {
			t.Errorf("%+v: runs %v, why %v, err %v, tried %v", c, runs, why, err, tried)
		}
	}
}

// FuzzShards looks for a datagram that no shard has, or two.
func FuzzShards(f *testing.F) {
	for i, p := range captured(f, "") {
		f.Add(uint8(i), p)
	}
	of := map[int][]judge{}
	for n := 2; n <= 16; n++ {
		for i := range n {
			of[n] = append(of[n], machineJudge(f, CompileShard(nil, false, Shard{i, n})))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, p []byte) {
		if len(p) == 0 || len(p) > 4096 {
			return
		}
		if had := owners(of[2+int(n)%15], p); len(had) != 1 {
			t.Fatalf("shards %v of %d have it:\n%x", had, 2+int(n)%15, p)
		}
	})
}
