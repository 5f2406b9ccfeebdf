package encode

import "github.com/ctferry/ctferry/source/flow"

// appendExpect appends an entry of the expect table.
func appendExpect(dst []byte, x *flow.Expectation) []byte {
	if x.Got(flow.HasExpectTimeout) {
		dst = textUint(dst, "", uint64(x.Timeout))
	}
	if x.Got(flow.HasExpectTuple) {
		if x.Tuple.Got(flow.HasProto) {
			dst = textUint(dst, "proto=", uint64(x.Tuple.Proto))
		}
		dst = expectTuple(dst, "", &x.Tuple, x)
	}
	if x.Got(flow.HasExpectMask) {
		dst = expectTuple(dst, "mask-", &x.Mask, x)
	}
	if x.Got(flow.HasExpectMaster) {
		dst = expectTuple(dst, "master-", &x.Master, x)
	}
	if x.Got(flow.HasExpectZone) {
		dst = textUint(dst, "zone=", uint64(x.Zone))
	}
	if x.Got(flow.HasExpectFlags) {
		dst = textFlags(dst, x.Flags)
	}
	if x.Got(flow.HasExpectClass) {
		dst = textUint(dst, "class=", uint64(x.Class))
	}
	if x.Got(flow.HasExpectHelper) {
		dst = textString(dst, "helper=", x.Helper)
	}
	return dst
}

// expectTuple appends one of the three tuples. Zones of directions do not stand
// in expectations.
func expectTuple(dst []byte, prefix string, t *flow.Tuple, x *flow.Expectation) []byte {
	dst = textTuple(dst, prefix, t, expectProto(t, x), "")
	return dst
}

// expectProto is the protocol of one of the three tuples, by default the
// expected one's.
func expectProto(t *flow.Tuple, x *flow.Expectation) uint8 {
	switch {
	case t.Got(flow.HasProto):
		return t.Proto
	case x.Got(flow.HasExpectTuple) && x.Tuple.Got(flow.HasProto):
		return x.Tuple.Proto
	}
	return 0
}

// textFlags appends the words of an expectation's flags.
func textFlags(dst []byte, flags uint32) []byte {
	start := len(dst)
	for flags != 0 {
		word := flow.ExpectFlagName(nextBit(&flags))
		if word == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, word...)
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	return dst
}
