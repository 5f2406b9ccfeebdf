package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// write appends what narrows the dump but for the family, which stands in the
// message's header.
func (d *DumpFilter) write(w *writer) {
	if d.mark != nil {
		w.put32(ctaMark, d.mark.Value)
		w.put32(ctaMarkMask, d.mark.Mask)
	}
	if d.status != nil {
		w.put32(ctaStatus, d.status.Value)
		w.put32(ctaStatusMask, d.status.Mask)
	}
	if d.zone != nil {
		w.put16(ctaZone, *d.zone)
	}
	if d.orig.Has == 0 {
		return
	}
	w.putTuple(ctaTupleOrig, &d.orig)
	var flags uint32
	for _, one := range tupleFilterFlags() {
		if d.orig.Got(one.has) {
			flags |= one.flag(d.orig.Proto)
		}
	}
	at := w.nest(ctaFilter)
	w.putHost32(ctaFilterOrigFlags, flags)
	w.close(at)
}

// tupleFilterFlag is a value of a tuple with its flag (CTA_FILTER_F_CTA_*, net/netfilter/nf_internals.h).
type tupleFilterFlag struct {
	has    flow.TupleHas
	field  flow.Field
	bit    uint
	bitOf6 uint // of ICMPv6
}

func (t *tupleFilterFlag) flag(proto uint8) uint32 {
	if proto == flow.ProtoICMPv6 {
		return 1 << t.bitOf6
	}
	return 1 << t.bit
}

func tupleFilterFlags() [8]tupleFilterFlag {
	return [...]tupleFilterFlag{
		{flow.HasSrc, flow.FieldOrigSrc, 0, 0}, {flow.HasDst, flow.FieldOrigDst, 1, 1}, // 2 is CTA_TUPLE_ZONE
		{flow.HasProto, flow.FieldProto, 3, 3},
		{flow.HasSrcPort, flow.FieldSrcPort, 4, 4}, {flow.HasDstPort, flow.FieldDstPort, 5, 5},
		{flow.HasICMPType, flow.FieldICMPType, 6, 9}, {flow.HasICMPCode, flow.FieldICMPCode, 7, 10}, {flow.HasICMPID, flow.FieldICMPID, 8, 11},
	}
}
