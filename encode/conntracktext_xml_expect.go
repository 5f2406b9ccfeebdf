package encode

import "github.com/ctferry/ctferry/source/flow"

// docExpect appends an expectation, which must be there. Unlike that of a flow
// its <when> stands in rows too.
func (t *Text) docExpect(dst []byte, e *flow.Event, kind string) []byte {
	x := &e.Extra.Expect
	dst = append(docLayer3(docOpen(dst, kind), e.Family), "<expected>"...)
	if x.Got(flow.HasExpectTuple) {
		dst = docAddrs(dst, &x.Tuple)
	}
	dst = append(dst, "</expected><mask>"...)
	if x.Got(flow.HasExpectMask) {
		dst = docAddrs(dst, &x.Mask)
	}
	dst = append(dst, "</mask><master>"...)
	if x.Got(flow.HasExpectMaster) {
		dst = docAddrs(dst, &x.Master)
	}
	dst = append(dst, "</master></layer3>"...)
	dst = append(docLayer4(dst, expectProto(&x.Tuple, x)), "<expected>"...)
	if x.Got(flow.HasExpectTuple) {
		dst = docPorts(dst, &x.Tuple, expectProto(&x.Tuple, x))
	}
	dst = append(dst, "</expected><mask>"...)
	if x.Got(flow.HasExpectMask) {
		dst = docPorts(dst, &x.Mask, expectProto(&x.Mask, x))
	}
	dst = append(dst, "</mask><master>"...)
	if x.Got(flow.HasExpectMaster) {
		dst = docPorts(dst, &x.Master, expectProto(&x.Master, x))
	}
	dst = append(dst, "</master></layer4><meta>"...)
	return append(t.docExpectMeta(dst, e, x), "</meta></flow>"...)
}

func (t *Text) docExpectMeta(dst []byte, e *flow.Event, x *flow.Expectation) []byte {
	if x.Got(flow.HasExpectHelper) {
		dst = xmlText(dst, "<helper-name>", x.Helper)
	}
	if x.Got(flow.HasExpectTimeout) {
		dst = xmlUint(dst, "<timeout>", uint64(x.Timeout))
	}
	if x.Got(flow.HasExpectClass) {
		dst = xmlUint(dst, "<class>", uint64(x.Class))
	}
	if x.Got(flow.HasExpectZone) {
		dst = xmlUint(dst, "<zone>", uint64(x.Zone))
	}
	if t.Timestamp {
		dst = t.docWhen(dst, e)
	}
	if !x.Got(flow.HasExpectFlags) {
		return dst
	}
	if x.Flags&flow.ExpectPermanent != 0 {
		dst = append(dst, "<permanent/>"...)
	}
	if x.Flags&flow.ExpectInactive != 0 {
		dst = append(dst, "<inactive/>"...)
	}
	if x.Flags&flow.ExpectUserspace != 0 {
		dst = append(dst, "<userspace/>"...)
	}
	return dst
}
