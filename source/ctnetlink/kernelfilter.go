package ctnetlink

import (
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// KernelFilter is the part of a [flow.Filter] that the kernel can run, before an
// event is queued or copied: on a socket as a classic BPF program, with the ring
// inside its own. It refuses only what the whole filter would refuse; whoever
// reads the rest matches it again. It is read-only.
//
// What it knows of an event is what nf_conntrack_netlink.c has put at the same
// place since Linux 2.6.14, and mark, zone and status, which it looks for. A
// message of another form passes. Of expectations it knows the table, the family
// and the event type alone.
type KernelFilter struct {
	terms   []TermPlace
	drops   bool                 // it refuses something
	classic []bpf.RawInstruction // nil: there is nothing for the kernel to do
	ring    *script
	bare    *KernelFilter // the shard's test alone; nil: there is only one
}

// CompileFilter finds what of a filter the kernel can run. Where lasting is set,
// only fields count that no flow changes in its life: then a flow's events are
// refused all or none.
//
// Fields with lists so long that the program would be too long stay in user
// space, the longest first.
func CompileFilter(f *flow.Filter, lasting bool) *KernelFilter {
	return CompileShard(f, lasting, Shard{})
}

// CompileShard is CompileFilter for one of several sockets, before whose filter
// stands the test whether an event is its own. What is not is refused, and is
// neither lost nor counted as refused.
func CompileShard(f *flow.Filter, lasting bool, shard Shard) *KernelFilter {
	k := &KernelFilter{}
	if f.IsAll() {
		f = &flow.Filter{}
	} else if shard.divides() {
		k.bare = CompileShard(nil, lasting, shard)
	}
	for values := maxClassic; ; values /= 2 {
		c := compiler{filter: f, lasting: lasting, values: values, shard: shard}
		if c.total() > maxClassic { // each takes an instruction at least
			continue
		}
		var classic *script
		k.terms = c.places()
		if classic, k.drops = c.write(false); !k.drops && !shard.divides() {
			return k
		}
		raw, err := classic.classic()
		if err == nil {
			k.classic = raw
			k.ring, _ = c.write(true)
			return k
		}
	}
}

// Runs reports whether there is something of the filter for the kernel to do.
func (k *KernelFilter) Runs() bool { return k != nil && k.drops }

// loads reports whether there is a program to load: for the filter, or for the shard.
func (k *KernelFilter) loads() bool { return k != nil && k.classic != nil }

// install has the kernel take the program, or else, where a filter is in it, the
// one without: then why tells. A shard's test cannot be left out, or its socket
// would be given what the others have.
func (k *KernelFilter) install(take func(*KernelFilter) error) (runs bool, why, err error) {
	if err = take(k); err == nil || !k.Runs() {
		return k.Runs(), nil, err
	}
	return false, err, take(k.bare)
}

// Terms says of each term where it runs, the includes first.
func (k *KernelFilter) Terms() []TermPlace { return k.terms }

// attach has the kernel run the classic program, if there is one, on what is sent
// to the socket.
func (k *KernelFilter) attach(fd int) error {
	if !k.loads() {
		return nil
	}
	program := make([]unix.SockFilter, len(k.classic))
	for i, r := range k.classic {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		return &Error{Op: "attach", Subject: "socket filter", Err: os.NewSyscallError("setsockopt", err)}
	}
	return nil
}

// compiler writes a filter's programs.
type compiler struct {
	filter  *flow.Filter
	lasting bool
	values  int // most values of a field
	shard   Shard
}

// part is the events that one part of a program is for.
type part struct {
	table  flow.Table
	family flow.Family
}

func parts() []part {
	return []part{
		{flow.TableConntrack, flow.IPv4}, {flow.TableConntrack, flow.IPv6},
		{flow.TableExpect, flow.IPv4}, {flow.TableExpect, flow.IPv6},
	}
}

// write writes a program, and tells whether it refuses anything.
func (c *compiler) write(ring bool) (s *script, drops bool) {
	w := newWriting(ring)
	plans := map[part]plan{}
	labels := map[part]label{}
	for _, p := range parts() {
		plans[p] = c.plan(p)
		labels[p] = w.pass
		if plans[p].drops() {
			drops = true
			labels[p] = w.label()
		}
	}
	w.divide(c.shard, labels)
	for _, p := range parts() {
		if plan := plans[p]; plan.drops() {
			w.mark(labels[p])
			w.part(p, &plan)
		}
	}
	w.finish()
	return &w.script, drops
}

// part reads a message as far as the plan asks, then compares.
func (w *writing) part(p part, plan *plan) {
	w.family = p.family
	tuples := w.ask(plan)
	if tuples {
		w.tuples()
	}
	w.attributes()
	for _, t := range plan.exclude {
		after := w.label()
		w.term(t, w.drop, after)
		w.mark(after)
	}
	if !plan.mustInclude {
		w.jump(w.pass)
		return
	}
	for _, t := range plan.include {
		after := w.label()
		w.term(t, w.pass, after)
		w.mark(after)
	}
	w.jump(w.drop)
}

// ask notes which slots the plan needs, and tells whether any comes of a tuple.
func (w *writing) ask(plan *plan) (tuples bool) {
	w.asked, w.replies = 0, false
	for _, terms := range [][]flow.Term{plan.exclude, plan.include} {
		for _, t := range terms {
			for i := range t {
				tuples = w.askFor(t[i].Field) || tuples
			}
		}
	}
	return tuples
}

func (w *writing) askFor(f flow.Field) (tuples bool) {
	if slot, ok := numberSlot(f); ok {
		w.asked |= 1 << slot
		return slot != slotType && slot != slotZone && slot != slotMark && slot != slotStatus
	}
	slots, _ := portSlots(f)
	for _, slot := range slots {
		w.asked |= 1 << slot
		w.replies = w.replies || slot == slotReplySrcPort || slot == slotReplyDstPort
	}
	for _, at := range w.addrSpots(f) {
		w.replies = w.replies || at.reply
	}
	return true
}
