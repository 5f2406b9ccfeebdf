package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// putExpect appends all that an expectation has (enum ctattr_expect). Of these
// the kernel passes over the id when it makes one.
func (w *writer) putExpect(x *flow.Expectation) {
	w.putExpectTuples(x)
	w.putExpectWords(x)
	if x.Got(flow.HasExpectHelper) {
		w.putName(ctaExpectHelpName, x.Helper)
	}
	if x.Got(flow.HasExpectZone) {
		w.put16(ctaExpectZone, x.Zone)
	}
	if x.Got(flow.HasExpectNAT) {
		at := w.nest(ctaExpectNAT)
		w.put32(ctaExpectNATDir, uint32(x.NATDir))
		w.putTuple(ctaExpectNATTuple, &x.NAT)
		w.close(at)
	}
	if x.Got(flow.HasExpectFn) {
		w.putName(ctaExpectFn, x.Fn)
	}
}

func (w *writer) putExpectTuples(x *flow.Expectation) {
	if x.Got(flow.HasExpectMaster) {
		w.putTuple(ctaExpectMaster, &x.Master)
	}
	if x.Got(flow.HasExpectTuple) {
		w.putTuple(ctaExpectTuple, &x.Tuple)
	}
	if x.Got(flow.HasExpectMask) {
		w.putTuple(ctaExpectMask, &x.Mask)
	}
}

func (w *writer) putExpectWords(x *flow.Expectation) {
	if x.Got(flow.HasExpectTimeout) {
		w.put32(ctaExpectTimeout, x.Timeout)
	}
	if x.Got(flow.HasExpectID) {
		w.put32(ctaExpectID, x.ID)
	}
	if x.Got(flow.HasExpectFlags) {
		w.put32(ctaExpectFlags, x.Flags)
	}
	if x.Got(flow.HasExpectClass) {
		w.put32(ctaExpectClass, x.Class)
	}
}
