package ctnetlink

import (
	"errors"
	"net/netip"

	"github.com/ctferry/ctferry/source/flow"
)

var (
	errNATFamily = errors.New("NAT: expected addresses of the entry's family")
	errNATRange  = errors.New("NAT: expected the end of a range at or after its beginning")
	errNATEmpty  = errors.New("NAT: expected an address or a port")
)

// natRange checks a range.
type natRange flow.NATRange

// check refuses what the kernel would take for something else: it reads no
// attribute of the other family.
func (n *natRange) check(family flow.Family) error {
	if n == nil {
		return nil
	}
	if !n.Min.IsValid() && n.MinPort == 0 {
		return errNATEmpty
	}
	for _, a := range []netip.Addr{n.Min, n.Max} {
		if _, f := flow.AddrFrom(a.Unmap()); a.IsValid() && (f != family || a.Is4In6() || a.Zone() != "") {
			return errNATFamily
		}
	}
	if n.Max.IsValid() && (!n.Min.IsValid() || n.Max.Less(n.Min)) || n.MaxPort != 0 && n.MaxPort < n.MinPort || n.MaxPort != 0 && n.MinPort == 0 {
		return errNATRange
	}
	return nil
}

// putNAT appends a CTA_NAT_* (enum ctattr_nat); nil is none.
func (w *writer) putNAT(kind uint16, n *flow.NATRange) {
	if n == nil {
		return
	}
	at := w.nest(kind)
	w.putNATAddr(ctaNATV4MinIP, ctaNATV6MinIP, n.Min)
	w.putNATAddr(ctaNATV4MaxIP, ctaNATV6MaxIP, n.Max)
	if n.MinPort != 0 {
		ports := w.nest(ctaNATProto)
		w.put16(ctaProtoNATPortMin, n.MinPort)
		w.put16(ctaProtoNATPortMax, max(n.MinPort, n.MaxPort))
		w.close(ports)
	}
	w.close(at)
}

func (w *writer) putNATAddr(v4, v6 uint16, a netip.Addr) {
	switch {
	case !a.IsValid():
	case a.Is4():
		w.putBytes(v4, a.AsSlice())
	default:
		w.putBytes(v6, a.AsSlice())
	}
}
