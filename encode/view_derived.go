package encode

import "github.com/ctferry/ctferry/source/flow"

// initTold finds which derived values are written as they are told.
func (v *view) initTold(p *Projection, t *flow.Told) {
	v.told, v.span = t.Has, t.Duration
	if !v.shows(partDuration) {
		v.told &^= flow.HasToldDuration
	}
	if !v.shows(partCommunity) || !p.community && !p.told {
		v.told &^= flow.HasToldCommunity
	}
	if !v.shows(partNATCommunity) || !p.community && !p.told {
		v.told &^= flow.HasToldNATCommunity
	}
}

// duration is stop - start, or told; a clock that was set back has none.
func (v *view) duration() (uint64, bool) {
	e := v.e
	if !v.shows(partDuration) || !e.Got(flow.HasStart|flow.HasStop) || e.Stop < e.Start {
		return v.span, v.told&flow.HasToldDuration != 0
	}
	return uint64(e.Stop) - uint64(e.Start), true
}

// appendCommunity appends the Community ID of the original tuple.
func (v *view) appendCommunity(dst []byte) ([]byte, bool) {
	switch {
	case v.told&flow.HasToldCommunity != 0:
		return append(dst, v.e.Extra.Told.Community...), true
	case !v.p.community || !v.shows(partCommunity) || !v.e.Any(flow.HasOrig):
		return dst, false
	}
	return v.p.appendHash(dst, v.e.Proto, &v.e.Orig)
}

// appendNATCommunity appends the Community ID of the flow as it looks behind
// the translation; only called where there is one.
func (v *view) appendNATCommunity(dst []byte) ([]byte, bool) {
	const answered = flow.HasICMPType | flow.HasICMPCode
	switch {
	case v.told&flow.HasToldNATCommunity != 0:
		return append(dst, v.e.Extra.Told.NATCommunity...), true
	case !v.p.community || !v.shows(partNATCommunity) || v.e.Reply.Got(answered) && !v.e.Orig.Got(answered):
		return dst, false
	}
	t := v.e.NATTuple()
	return v.p.appendHash(dst, v.e.Proto, &t)
}

// appendHash appends the Community ID of a tuple in a record of the given protocol.
func (p *Projection) appendHash(dst []byte, proto uint8, t *flow.Tuple) ([]byte, bool) {
	if !t.Got(flow.HasProto) {
		own := *t
		own.Proto = proto
		t = &own
	}
	return flow.AppendCommunityID(dst, p.seed, t)
}
