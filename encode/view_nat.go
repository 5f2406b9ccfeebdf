package encode

import "github.com/ctferry/ctferry/source/flow"

// initNAT finds the translation. Of one that is told, not derived, only what
// was told is shown.
func (v *view) initNAT(e *flow.Event) {
	told := e.ToldNAT()
	if told == nil && e.NATKind() == flow.NATNone {
		return
	}
	v.nat, v.hasNAT = e.NAT()
	v.natFamily = e.Reply.Family
	if told == nil {
		return
	}
	v.natFamily = told.Family
	v.show &^= partNATCommunity
	for i, part := range [...]part{partNATType, partNATSrc, partNATSrcPort, partNATDst, partNATDstPort, partNATEvent} {
		if told.Has&(1<<i) == 0 {
			v.show &^= part
		}
	}
}

// hideOther hides the end of the flow that is not the inside one: its address
// and port, wherever they stand, and what could hold them.
func (v *view) hideOther(e *flow.Event) {
	v.master, v.expect, v.told = 0, 0, v.told&^(flow.HasToldCommunity|flow.HasToldNATCommunity)
	v.has &^= flow.HasMaster | flow.HasExpect
	v.show &^= partCommunities
	const (
		src = flow.HasSrc | flow.HasSrcPort | hasSrcKey
		dst = flow.HasDst | flow.HasDstPort | hasDstKey
	)
	if e.NATKind() == flow.NATDest { // the other end began the flow
		v.orig, v.reply = v.orig&^src, v.reply&^dst
		v.show &^= partNATSrc | partNATSrcPort
		return
	}
	v.orig, v.reply = v.orig&^dst, v.reply&^src
	v.show &^= partNATDst | partNATDstPort
}
