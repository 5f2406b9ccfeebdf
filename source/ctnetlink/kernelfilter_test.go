package ctnetlink

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// m and l spell filters.
type (
	m = map[string]any
	l = []any
)

// TestWhereTermsRun names each term's place.
func TestWhereTermsRun(t *testing.T) {
	for _, c := range []struct {
		filter  any
		lasting bool
		want    string
	}{
		{m{}, false, ""},
		{m{"proto": "tcp"}, false, "kernel"},
		{m{"label": 1}, false, "user"},
		{m{"proto": "tcp", "label": 1}, false, "kernel (proto), user (label)"},
		{m{"include": l{m{"proto": "tcp"}, m{"nat": "any"}}}, false, "user; user"},
		{m{"include": l{m{"proto": "tcp"}, m{"nat": "any", "dport": 1}}}, false, "kernel (dport), user (nat); kernel"},
		{m{"exclude": l{m{"proto": "tcp"}, m{"nat": "any", "dport": 1}}}, false, "user; kernel"},
		{m{"exclude": l{m{"addr": "10.0.0.0/8", "mark": "1/3", "status": "ASSURED", "zone": 1, "event_type": "new", "family": "ipv4", "port": 1}}}, false, "kernel"},
		{m{"exclude": l{m{"table": "expect"}, m{"table": "expect", "tuple_src": "10.0.0.1"}}}, false, "user; kernel"},
		{m{"mark": 1}, true, "user"},
		{m{"event_type": "new", "proto": "tcp"}, true, "kernel (proto), user (event_type)"},
		{m{"exclude": l{m{"status": "ASSURED", "proto": "udp"}, m{"addr": "10.0.0.0/8"}}}, true, "kernel; user"},
	} {
		k := CompileFilter(parseFilter(t, c.filter), c.lasting)
		var got []string
		for _, at := range k.Terms() {
			got = append(got, at.String())
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%v: %s, want %s", c.filter, text, c.want)
		}
		if k.Runs() != strings.Contains(c.want, "kernel") {
			t.Errorf("%v: the kernel runs something: %v", c.filter, k.Runs())
		}
	}
	var nothing *KernelFilter
	if nothing.Runs() || CompileFilter(nil, false).Runs() {
		t.Error("nothing runs")
	}
}

// TestLasting wants a filter for tracked flows to judge by what a flow keeps.
func TestLasting(t *testing.T) {
	f := parseFilter(t, m{"include": l{m{"event_type": "new"}, m{"proto": "udp", "mark": 1}}, "exclude": l{m{"zone": 2}}})
	k := CompileFilter(f, true)
	run := classicJudge(t, k)
	for _, c := range []struct {
		zone   uint16
		passes bool
	}{{0, true}, {2, false}} {
		b := flow.NewBatch(1)
		e := kernelEvent(rand.New(rand.NewPCG(1, 1)), b)
		e.Type, e.Has, e.Zone = flow.TypeUpdate, e.Has|flow.HasZone, c.zone
		if got := run(eventMessage(e)); got != c.passes {
			t.Errorf("zone %d: %v", c.zone, got)
		}
	}
}

// manyOf is a filter with so many values.
func manyOf(field string, n int) any {
	var values l
	for i := range n {
		switch field {
		case "dport":
			values = append(values, 2*i)
		default:
			values = append(values, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255|1))
		}
	}
	return m{"include": l{m{field: values}}, "exclude": l{m{"proto": "udp"}}}
}

// TestLongLists takes jumps that are too far for one instruction, and lists that
// are too long for a program: those stay in user space, and nothing else does.
func TestLongLists(t *testing.T) {
	ring := loading(t)
	for _, c := range []struct {
		field string
		n     int
		want  string
	}{
		{"dport", 200, "kernel; kernel"}, {"dport", 400, "kernel; kernel"}, {"dport", 20000, "user; kernel"},
		{"orig_src", 300, "kernel; kernel"}, {"addr", 100, "kernel; kernel"}, {"addr", 3000, "user; kernel"},
	} {
		f := parseFilter(t, manyOf(c.field, c.n))
		k := CompileFilter(f, false)
		var got []string
		for _, at := range k.Terms() {
			got = append(got, at.String())
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%d values of %s: %s, want %s", c.n, c.field, text, c.want)
		}
		run := judges(t, ring, k)
		r := rand.New(rand.NewPCG(1, uint64(c.n)))
		d, b, scratch := decoder{}, flow.NewBatch(1), flow.NewBatch(1)
		for i := range 300 {
			e := kernelEvent(r, scratch)
			e.Orig.DstPort = uint16(r.IntN(3 * c.n))
			e.Orig.Src = flow.Addr{10, 0, byte(r.IntN(3)), byte(i)}
			p := eventMessage(e)
			want := passes(f, &d, b, p)
			for by, judge := range run {
				if got := judge(p); got != want && (want || !strings.Contains(c.want, "user")) {
					t.Fatalf("%d values of %s: %s: %v, want %v: %s", c.n, c.field, by, got, want, describe(e))
				}
			}
		}
	}
}

// TestFilterNeedsLittle loads the largest programs with CAP_BPF alone.
func TestFilterNeedsLittle(t *testing.T) {
	ring := loading(t)
	var terms l
	for i := range 8 {
		terms = append(terms, m{"dport": i, "zone": l{1, 5}, "mark": l{"0x1/0xf", "0x2/0x3"}, "status": "ASSURED",
			"addr": l{"10.0.0.0/8", "2001:db8::1-2001:db9::2"}, "port": l{53, "1000-2000"}})
	}
	k := CompileFilter(parseFilter(t, m{"include": l{m{"proto": "tcp", "mark": 3}, m{"status": "SEEN_REPLY"}}, "exclude": terms}), false)
	withOnly(t, func() {
		spec := ringProgram(ring.rings, ring.count.m, true, k)
		p, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d instructions, %d classic", len(spec.Instructions), len(k.classic))
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}, unix.CAP_BPF)
}

// TestTooMuchForTheKernel lets the kernel refuse the filter: events come all the
// same, and the reason is told.
func TestTooMuchForTheKernel(t *testing.T) { both(t, testTooMuch) }

func testTooMuch(t *testing.T, via Receive) {
	ns := quiet(t)
	k := CompileFilter(parseFilter(t, m{"exclude": l{m{"proto": "udp"}}}), false)
	k.classic[0].Op = 0xffff // no instruction
	broken := *k.ring
	broken.steps = append(broken.steps, broken.steps[0]) // nothing leads there
	k.ring = &broken
	l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew, Buffer: 1 << 20, Filter: k})
	if runs, counts, why := l.Filters(); runs || counts || why == nil {
		t.Errorf("runs %v, counts %v: %v", runs, counts, why)
	}
	if way, _ := l.Receives(); way != via {
		t.Errorf("by %s", way)
	}
	done := churn(t, churnOf(ns, 20))
	if n := drain(t, l, none); n != done.Created {
		t.Errorf("%d of %d events", n, done.Created)
	}
}
