package ctnetlink

import (
	"golang.org/x/net/bpf"

	"github.com/ctferry/ctferry/source/flow"
)

// Shard is one of several event sockets of one namespace that share its events:
// each event passes the filter of exactly one of them. Of is how many there are,
// 0 or 1 that there is only one, which then has all; Index counts from 0.
//
// A flow's shard is a function of the bytes of its original tuple
// (CTA_TUPLE_ORIG: addresses, and ports, keys or ICMP id), which the kernel puts
// first in every event and never changes in a flow's life. So a shard has all
// events of its flows, in their order, and those of a later flow of the same
// tuple too. Shard 0 has besides all that is no such event: expectations, other
// families, and messages of a form that is not known.
//
// An event of which the kernel can make no copy, for want of memory, it counts as
// dropped at every socket, before any filter: of such a loss the sum is too high.
type Shard struct{ Index, Of int }

// divides tells whether there are others.
func (s Shard) divides() bool { return s.Of > 1 }

// The factors by which a tuple's words are mixed: odd, with bits all over.
const (
	mixWord = 0x9e3779b1
	mixLast = 0x85ebca6b
)

// divide writes the head, then the test that leads the shard's own events to the
// parts and all others to elsewhere. What is passed before the test is done is
// shard 0's alone.
func (w *writing) divide(s Shard, to map[part]label) {
	if !s.divides() {
		w.head(to)
		return
	}
	pass := w.pass
	if s.Index != 0 {
		w.pass = w.elsewhere
	}
	tests := map[part]label{}
	for p, l := range to {
		switch {
		case p.table == flow.TableConntrack:
			tests[p] = w.label()
		case s.Index == 0:
			tests[p] = l
		default:
			tests[p] = w.elsewhere
		}
	}
	w.head(tests)
	for _, p := range parts() {
		if p.table == flow.TableConntrack {
			w.mark(tests[p])
			w.family = p.family
			w.own(s, to[p])
		}
	}
	w.pass = pass
}

// own goes to mine if the event's flow is the shard's, else to elsewhere. That the
// attribute is the original tuple, and so long, is all that it must know of it:
// whatever stands in it stands there in every event of the flow.
func (w *writing) own(s Shard, mine label) {
	short, mixed := w.tupleLen(shapeBare), w.label()
	w.atLeast(attrsAt + short)
	w.do(bpf.LoadAbsolute{Off: attrsAt, Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: asLoaded(0xff00, 0xffff)})
	w.when(bpf.JumpEqual, asLoaded(0, ctaTupleOrig|nlaNested), next, w.pass)
	low, _ := bytesOf(attrsAt)
	w.do(bpf.LoadAbsolute{Off: low, Size: 1})
	w.when(bpf.JumpGreaterOrEqual, short, next, w.pass)
	for i, at := range []spot{w.src(false), w.dst(false)} {
		for n := range w.width() / 4 {
			w.mix(spot{off: at.off + 4*n}, 4, i == 0 && n == 0)
		}
	}
	w.do(bpf.LoadAbsolute{Off: low, Size: 1})
	w.when(bpf.JumpGreaterOrEqual, w.tupleLen(shapePorts), next, mixed)
	w.atLeast(attrsAt + w.tupleLen(shapePorts))
	w.mix(w.value(false, 0), 2, false)
	w.mix(w.value(false, 1), 2, false)
	w.mark(mixed)
	w.do(
		bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 15}, bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: mixLast}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: uint32(s.Of)}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
	)
	w.when(bpf.JumpEqual, uint32(s.Index), mine, w.elsewhere)
}

// mix takes a word of the original tuple into X.
func (w *writing) mix(at spot, size int, first bool) {
	w.load(at, size)
	if !first {
		w.do(bpf.ALUOpX{Op: bpf.ALUOpAdd})
	}
	w.do(bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: mixWord}, bpf.TAX{})
}
