package ctnetlink

import "golang.org/x/net/bpf"

// attribute is one of a message's own whose value is wanted.
type attribute struct {
	kind   uint16
	size   int // of the value in bytes, 2 or 4
	slot   int
	always bool // the kernel sends it with every event; else what is missing is 0
}

// header is the attribute's as a load sees it.
func (a *attribute) header() uint32 { return asLoaded(uint32(attrLen+a.size), a.kind) }

// attributes fills the slots that come of a message's own attributes. The
// kernel has an instruction that finds one for the classic machine, and none for
// the extended: there a walk stands for it.
func (w *writing) attributes() {
	var wanted []attribute
	for _, a := range []attribute{
		{kind: ctaZone, size: 2, slot: slotZone},
		{kind: ctaMark, size: 4, slot: slotMark},
		{kind: ctaStatus, size: 4, slot: slotStatus, always: true},
	} {
		if w.asks(a.slot) {
			wanted = append(wanted, a)
		}
	}
	if w.ring && len(wanted) > 0 {
		w.steps = append(w.steps, step{walk: wanted})
		return
	}
	for i := range wanted {
		w.find(&wanted[i])
	}
}

// find looks for an attribute with SKF_AD_NLATTR, which gives the place of its
// header, or 0. One of an odd length is left to user space.
func (w *writing) find(a *attribute) {
	absent, done := w.label(), w.label()
	if a.always {
		absent = w.pass
	}
	w.do(
		bpf.LoadConstant{Dst: bpf.RegX, Val: uint32(a.kind)}, bpf.LoadConstant{Val: attrsAt},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr},
	)
	w.when(bpf.JumpEqual, 0, absent, next)
	w.do(bpf.TAX{}, bpf.LoadIndirect{Size: 4})
	w.when(bpf.JumpEqual, a.header(), next, w.pass)
	w.do(bpf.LoadIndirect{Off: attrLen, Size: a.size})
	if !a.always {
		w.jump(done)
		w.mark(absent)
		w.do(bpf.LoadConstant{})
		w.mark(done)
	}
	w.do(bpf.StoreScratch{N: a.slot})
}
