package encode

import "github.com/ctferry/ctferry/source/flow"

// expectPart is one of the tuples of an expectation under conntrack's name.
type expectPart struct {
	name string
	bit  flow.ExpectHas
	of   func(*flow.Expectation) *flow.Tuple
}

// expectParts are an expectation's tuples in conntrack's order, and ours, the
// translation, behind them.
var expectParts = [...]expectPart{
	{"expected", flow.HasExpectTuple, func(x *flow.Expectation) *flow.Tuple { return &x.Tuple }},
	{"mask", flow.HasExpectMask, func(x *flow.Expectation) *flow.Tuple { return &x.Mask }},
	{"master", flow.HasExpectMaster, func(x *flow.Expectation) *flow.Tuple { return &x.Master }},
	{"nat", flow.HasExpectNAT, func(x *flow.Expectation) *flow.Tuple { return &x.NAT }},
}

// xmlExpectation writes an expectation as conntrack does: the tuples' addresses
// under layer3, their ports under layer4, the rest under a meta of no direction.
func xmlExpectation(dst []byte, v *view) []byte {
	x := &v.e.Extra.Expect
	l := layers{l3: v.e.Family, show3: v.shows(partFamily)}
	if v.expect&flow.HasExpectTuple != 0 && x.Tuple.Got(flow.HasProto) {
		l.l4, l.show4, l.name4 = x.Tuple.Proto, true, true
	}
	dst = xmlLayer3(dst, l)
	for i := range expectParts {
		part := &expectParts[i]
		if v.expect&part.bit == 0 {
			continue
		}
		t := part.of(x)
		dst = append(append(dst, '<'), part.name...)
		if part.bit == flow.HasExpectNAT {
			dst = xmlAttrWord(dst, ` direction="`, direction(x.NATDir))
		}
		dst = xmlAddrs(append(dst, '>'), v, slotNone, t, t.Has)
		if t.Got(flow.HasTupleZone) {
			dst = xmlUint(dst, `<zone>`, uint64(t.Zone))
		}
		dst = append(append(append(dst, '<', '/'), part.name...), '>')
	}
	dst = append(dst, `</layer3>`...)
	dst = xmlExpectPorts(dst, v, l)
	return xmlExpectMeta(dst, v, x)
}

// xmlExpectPorts writes the tuples' second layer.
func xmlExpectPorts(dst []byte, v *view, l layers) []byte {
	at := len(dst)
	dst = xmlLayer4(dst, l)
	start := len(dst)
	for i := range expectParts {
		part := &expectParts[i]
		if v.expect&part.bit == 0 {
			continue
		}
		t := part.of(&v.e.Extra.Expect)
		has := tupleBits(t) &^ (flow.HasAddrs | flow.HasTupleZone)
		if has == 0 {
			continue
		}
		dst = append(append(dst, '<'), part.name...)
		if has&flow.HasProto != 0 {
			dst = xmlAttr(dst, ` protonum="`, uint64(t.Proto))
		}
		dst = xmlPorts(append(dst, '>'), v, slotNone, t, has)
		dst = append(append(append(dst, '<', '/'), part.name...), '>')
	}
	if len(dst) == start {
		return dst[:at]
	}
	return append(dst, `</layer4>`...)
}

// xmlExpectMeta writes what an expectation has besides its tuples.
func xmlExpectMeta(dst []byte, v *view, x *flow.Expectation) []byte {
	at := len(dst)
	dst = append(dst, `<meta>`...)
	start := len(dst)
	if v.expect&flow.HasExpectHelper != 0 {
		dst = xmlText(dst, `<helper-name>`, x.Helper)
	}
	if v.expect&flow.HasExpectTimeout != 0 {
		dst = xmlUint(dst, `<timeout>`, uint64(x.Timeout))
	}
	if v.expect&flow.HasExpectClass != 0 {
		dst = xmlUint(dst, `<class>`, uint64(x.Class))
	}
	if v.expect&flow.HasExpectZone != 0 {
		dst = xmlUint(dst, `<zone>`, uint64(x.Zone))
	}
	if v.expect&flow.HasExpectID != 0 {
		dst = xmlUint(dst, `<id>`, uint64(x.ID))
	}
	if v.expect&flow.HasExpectFlags != 0 {
		dst = append(dst, `<flags`...)
		if v.shows(partExpectFlagsRaw) {
			dst = xmlAttr(dst, ` raw="`, uint64(x.Flags))
		}
		dst = append(dst, '>')
		if v.shows(partExpectFlags) {
			dst = xmlBits(dst, x.Flags, flow.ExpectFlagName)
		}
		dst = append(dst, `</flags>`...)
	}
	if v.expect&flow.HasExpectFn != 0 {
		dst = xmlText(dst, `<fn>`, x.Fn)
	}
	return xmlMeta(dst, at, start)
}
