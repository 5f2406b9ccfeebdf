package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// DumpFilter is the part of a [flow.Filter] by which the kernel narrows a dump: it
// leaves out only rows that the whole filter refuses, and whoever reads the rest
// matches it again. A kernel that is too old for a part passes it over, or refuses
// it, and then the dump is read whole. It is read-only.
//
// The kernel compares single values only, so each is one that every include term
// asks for. Of zones it cannot take 0: it keeps back the flows whose zone holds in
// one direction, and here those have none.
//
// A tuple is compared (CTA_FILTER, Linux 5.8) only in one family, which a dump asks
// for one after the other. IPv6 addresses are not: the comparison is inverted
// (ctnetlink_filter_match_tuple, as of 6.18). Neither is the reply's tuple: kernels
// from 5.8 until some of the 6.x series read it by the original's flags, and leave
// out all.
type DumpFilter struct {
	family       flow.Family
	mark, status *flow.Masked
	zone         *uint16
	orig         flow.Tuple // what of it is compared, by its presence bits
}

// CompileDump finds by what of a filter the kernel can narrow a dump.
func CompileDump(f *flow.Filter) *DumpFilter {
	d := &DumpFilter{}
	if f.IsAll() {
		return d
	}
	d.family = onlyFamily(f)
	if len(f.Include) == 0 {
		return d
	}
	d.mark = shared(f, flow.FieldMark)
	d.status = shared(f, flow.FieldStatus)
	if zone := shared(f, flow.FieldZone); zone != nil && zone.Value != 0 {
		d.zone = new(uint16(zone.Value))
	}
	d.tuple(f)
	return d
}

// tuple finds what of the original direction every include term asks for.
func (d *DumpFilter) tuple(f *flow.Filter) {
	t := &d.orig
	if d.family == flow.IPv4 {
		t.Family = flow.IPv4
		t.Src = d.address(f, flow.FieldOrigSrc, flow.HasSrc)
		t.Dst = d.address(f, flow.FieldOrigDst, flow.HasDst)
	}
	t.Proto = uint8(d.number(f, flow.FieldProto, flow.HasProto))
	switch {
	case !t.Got(flow.HasProto): // the kernel wants it for all that follows
	case t.Proto == flow.ProtoTCP || t.Proto == flow.ProtoUDP: // of others it does not look at ports
		t.SrcPort = d.number(f, flow.FieldSrcPort, flow.HasSrcPort)
		t.DstPort = d.number(f, flow.FieldDstPort, flow.HasDstPort)
	case t.Proto == flow.ProtoICMP && d.family == flow.IPv4, t.Proto == flow.ProtoICMPv6 && d.family == flow.IPv6:
		t.ICMPID = d.number(f, flow.FieldICMPID, flow.HasICMPID)
		t.ICMPType = uint8(d.number(f, flow.FieldICMPType, flow.HasICMPType))
		t.ICMPCode = uint8(d.number(f, flow.FieldICMPCode, flow.HasICMPCode))
	}
}

// number is a value of the tuple that every term asks for; has is set if there is one.
func (d *DumpFilter) number(f *flow.Filter, field flow.Field, has flow.TupleHas) uint16 {
	all := shared(f, field)
	if all == nil {
		return 0
	}
	d.orig.Has |= has
	return uint16(all.Value)
}

// address is an IPv4 address that every term asks for; has is set if there is one.
func (d *DumpFilter) address(f *flow.Filter, field flow.Field, has flow.TupleHas) (all flow.Addr) {
	for i, t := range f.Include {
		a, ok := host(t, field)
		if !ok || i > 0 && a != all {
			return flow.Addr{}
		}
		all = a
	}
	d.orig.Has |= has
	return all
}

// host is the only address that a term's field may have.
func host(t flow.Term, field flow.Field) (flow.Addr, bool) {
	for i := range t {
		p := &t[i]
		if p.Field == field && len(p.Within) == 0 && len(p.Addrs) == 1 && p.Addrs[0].Family == flow.IPv4 && p.Addrs[0].Lo == p.Addrs[0].Hi {
			return p.Addrs[0].Lo, true
		}
	}
	return flow.Addr{}, false
}

// Fields are those of the filter that the kernel compares, family first.
func (d *DumpFilter) Fields() (out []flow.Field) {
	add := func(field flow.Field, yes bool) {
		if yes {
			out = append(out, field)
		}
	}
	add(flow.FieldFamily, d.family != flow.FamilyUnspecified)
	add(flow.FieldMark, d.mark != nil)
	add(flow.FieldStatus, d.status != nil)
	add(flow.FieldZone, d.zone != nil)
	if !d.byTuple() {
		return out
	}
	for _, one := range tupleFilterFlags() {
		add(one.field, d.orig.Got(one.has))
	}
	return out
}

// String is the fields' names, or none.
func (d *DumpFilter) String() string {
	if text := names(d.Fields()); text != "" {
		return text
	}
	return "none"
}

// byTuple tells whether the tuple is worth comparing. Without a family that means
// two passes over the table, for which a protocol alone is too little: it may be
// that of most flows.
func (d *DumpFilter) byTuple() bool {
	return d.orig.Has != 0 && (d.family != flow.FamilyUnspecified || d.orig.Has != flow.HasProto)
}

// passes are the dumps that together have all rows which the filter passes, each
// of some of them.
func (d *DumpFilter) passes() []DumpFilter {
	one := *d
	switch {
	case !d.byTuple():
		one.orig = flow.Tuple{}
	case d.family == flow.FamilyUnspecified:
		four, six := one, one
		four.family, six.family = flow.IPv4, flow.IPv6
		return []DumpFilter{four, six}
	}
	return []DumpFilter{one}
}
