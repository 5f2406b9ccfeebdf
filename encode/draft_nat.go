package encode

import (
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

// natHas notes that values of the translation are told.
func (d *draft) natHas(bits flow.NATHas) *flow.ToldNAT {
	d.nat.Has |= bits
	return &d.nat
}

func (d *draft) natPort(bit flow.NATHas) *flow.ToldNAT {
	d.nat.Ports = true
	return d.natHas(bit)
}

func (d *draft) natAddr(bit flow.NATHas, a *flow.Addr, v *value) {
	if d.nat.Has&(flow.HasNATSrc|flow.HasNATDst) != 0 && d.nat.Family != v.family {
		d.fault = errors.New("is of another family than the translation's other address")
	}
	d.nat.Family = v.family
	d.natHas(bit)
	*a = v.bytes
}

// finishNAT keeps what is told of a translation, if the tuples do not tell it
// all themselves: a projection has cut them down.
func (d *draft) finishNAT() {
	e := d.e
	derived, ok := e.NAT()
	switch {
	case d.nat.Has == 0 && (ok || d.told.Has&flow.HasToldNATCommunity == 0):
		return
	case d.trust == trustTuples && e.Orig.Got(flow.HasAddrs) && e.Reply.Got(flow.HasAddrs):
		return
	case d.trust == trustWhole && ok && saysNAT(&derived, &d.nat):
		return
	}
	if d.nat.Has&flow.HasNATKind == 0 {
		d.nat.Kind = derived.Kind
	}
	d.extra(flow.HasNAT).NAT = d.nat
}

// saysNAT reports whether a derived translation says all that is told of one.
func saysNAT(n *flow.NAT, told *flow.ToldNAT) bool {
	without := func(bits flow.NATHas) bool { return told.Has&bits == 0 }
	return (without(flow.HasNATKind) || n.Kind == told.Kind) &&
		(without(flow.HasNATSrc) || n.Src == told.Src) &&
		(without(flow.HasNATDst) || n.Dst == told.Dst) &&
		(without(flow.HasNATSrcPort|flow.HasNATDstPort) || n.Ports) &&
		(without(flow.HasNATSrcPort) || n.SrcPort == told.SrcPort) &&
		(without(flow.HasNATDstPort) || n.DstPort == told.DstPort) &&
		(without(flow.HasNATEvent) || n.IPFIXEvent == told.IPFIXEvent)
}
