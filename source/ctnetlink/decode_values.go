package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// errPartial refuses a nest whose values the event guards with one bit only:
// half of it would pass for the whole.
const errPartial malformed = "nested attribute lacks one of its values"

// counters decodes CTA_COUNTERS_* (enum ctattr_counters).
func counters(c *flow.Counters, p []byte) error {
	var got int
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		switch kind {
		case ctaCountersPackets:
			ok = get64(val, &c.Packets)
			got |= 1
		case ctaCountersBytes:
			ok = get64(val, &c.Bytes)
			got |= 2
		}
		if !ok {
			return errLength
		}
	}
	if got != 3 {
		return errPartial
	}
	return nil
}

// timestamp decodes CTA_TIMESTAMP (enum ctattr_tstamp).
func timestamp(e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		switch kind {
		case ctaTimestampStart:
			ok = getTime(val, &e.Start)
			e.Has |= flow.HasStart
		case ctaTimestampStop:
			ok = getTime(val, &e.Stop)
			e.Has |= flow.HasStop
		}
		if !ok {
			return errLength
		}
	}
	return nil
}

// seqAdj decodes CTA_SEQ_ADJ_* (enum ctattr_seqadj).
func seqAdj(s *flow.SeqAdj, p []byte) error {
	return words(p, [3]*uint32{&s.CorrectionPos, &s.OffsetBefore, &s.OffsetAfter})
}

// synProxy decodes CTA_SYNPROXY (enum ctattr_synproxy).
func synProxy(s *flow.SynProxy, p []byte) error {
	return words(p, [3]*uint32{&s.ISN, &s.ITS, &s.TSOff})
}

// words decodes a nest of three words, attributes 1 to 3.
func words(p []byte, to [3]*uint32) error {
	var got int
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		if kind < 1 || kind > 3 {
			continue
		}
		if !get32(val, to[kind-1]) {
			return errLength
		}
		got |= 1 << kind
	}
	if got != 0b1110 {
		return errPartial
	}
	return nil
}
