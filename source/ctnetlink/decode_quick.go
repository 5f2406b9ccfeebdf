package ctnetlink

import (
	"encoding/binary"

	"github.com/ctferry/ctferry/source/flow"
)

// The headers of attributes that nearly every event has, in the form that the
// kernel gives them: length and type in one little-endian word, as with
// quickTuple.
const (
	quickOrig  = (ctaTupleOrig | nlaNested) << 16 // and the length
	quickReply = (ctaTupleReply | nlaNested) << 16

	quickID        = 8 | ctaID<<16
	quickStatus    = 8 | ctaStatus<<16
	quickTimeout   = 8 | ctaTimeout<<16
	quickMark      = 8 | ctaMark<<16
	quickUse       = 8 | ctaUse<<16
	quickEventTime = 12 | ctaTimestampEvent<<16

	quickOrigCounters  = 28 | (ctaCountersOrig|nlaNested)<<16
	quickReplyCounters = 28 | (ctaCountersReply|nlaNested)<<16
	quickPackets       = 12 | ctaCountersPackets<<16
	quickBytes         = 12 | ctaCountersBytes<<16

	quickStarted = 16 | (ctaTimestamp|nlaNested)<<16 // the flow lives
	quickEnded   = 28 | (ctaTimestamp|nlaNested)<<16
	quickStart   = 12 | ctaTimestampStart<<16
	quickStop    = 12 | ctaTimestampStop<<16

	quickTCP      = 48 | (ctaProtoInfo|nlaNested)<<16
	quickTCPEnded = 16 | (ctaProtoInfo|nlaNested)<<16 // the state alone
	quickTCPIn    = 44 | (ctaProtoInfoTCP|nlaNested)<<16
	quickStateIn  = 12 | (ctaProtoInfoTCP|nlaNested)<<16
	quickState    = 5 | ctaTCPState<<16
	quickWScaleO  = 5 | ctaTCPWScaleOrig<<16
	quickWScaleR  = 5 | ctaTCPWScaleReply<<16
	quickFlagsO   = 6 | ctaTCPFlagsOrig<<16
	quickFlagsR   = 6 | ctaTCPFlagsReply<<16

	quickSynProxy = 28 | (ctaSynProxy|nlaNested)<<16
	quickISN      = 8 | ctaSynProxyISN<<16
	quickITS      = 8 | ctaSynProxyITS<<16
	quickTSOff    = 8 | ctaSynProxyTSOff<<16
)

// quickFront decodes what every event begins with, both tuples, id and status,
// and gives what is left where one of them is not there or not as it usually is.
func quickFront(e *flow.Event, p []byte) (rest []byte) {
	n := quickSide(&e.Orig, e.Family, quickOrig, p)
	if n == 0 {
		return p
	}
	e.Proto = e.Orig.Proto
	e.Has |= flow.HasOrig
	p = p[n:]
	if n = quickSide(&e.Reply, e.Family, quickReply, p); n == 0 {
		return p
	}
	e.Has |= flow.HasReply
	p = p[n:]
	if len(p) < 16 || le32(p) != quickID || le32(p[8:]) != quickStatus {
		return p
	}
	e.ID, e.Status = be32(p[4:]), be32(p[12:])
	e.Has |= flow.HasID | flow.HasStatus
	return p[16:]
}

// quickSide decodes a common tuple with its header, of the type given, and gives
// its length, 0 where it is another attribute or tuple.
func quickSide(t *flow.Tuple, family flow.Family, kind uint32, p []byte) int {
	if len(p) < attrLen {
		return 0
	}
	header := le32(p)
	n := int(header & 0xffff)
	if header&^0xffff != kind || n < attrLen || n > len(p) {
		return 0
	}
	t.Has, t.Family, t.Proto = 0, family, 0
	if !quickTuple(t, p[attrLen:n]) {
		return 0
	}
	return n
}

// quickAttrs decodes attributes of the forms above for as long as one follows
// the other and gives what is left, which the walk is to go on with: whatever is
// not just as it is expected stays untouched.
func quickAttrs(b *flow.Batch, e *flow.Event, p []byte) (rest []byte) {
	for len(p) >= 8 {
		switch le32(p) {
		case quickID:
			e.ID = be32(p[4:])
			e.Has |= flow.HasID
			p = p[8:]
		case quickStatus:
			e.Status = be32(p[4:])
			e.Has |= flow.HasStatus
			p = p[8:]
		case quickTimeout:
			e.Timeout = be32(p[4:])
			e.Has |= flow.HasTimeout
			p = p[8:]
		case quickMark:
			e.Mark = be32(p[4:])
			e.Has |= flow.HasMark
			p = p[8:]
		case quickUse:
			e.Use = be32(p[4:])
			e.Has |= flow.HasUse
			p = p[8:]
		default:
			n := quickNest(b, e, p)
			if n == 0 {
				return p
			}
			p = p[n:]
		}
	}
	return p
}

// quickNest decodes one attribute of more than a word and gives its length, 0
// where it is another one.
func quickNest(b *flow.Batch, e *flow.Event, p []byte) int {
	switch le32(p) {
	case quickEventTime:
		if len(p) < 12 {
			return 0
		}
		e.Time, e.TimeSource = int64(be64(p[4:])), flow.TimeKernel
		return 12
	case quickOrigCounters:
		return quickCounters(e, flow.HasOrigCounters, &e.OrigCounters, p)
	case quickReplyCounters:
		return quickCounters(e, flow.HasReplyCounters, &e.ReplyCounters, p)
	case quickStarted:
		if len(p) < 16 || le32(p[4:]) != quickStart {
			return 0
		}
		e.Start = int64(be64(p[8:]))
		e.Has |= flow.HasStart
		return 16
	case quickEnded:
		if len(p) < 28 || le32(p[4:]) != quickStart || le32(p[16:]) != quickStop {
			return 0
		}
		e.Start, e.Stop = int64(be64(p[8:])), int64(be64(p[20:]))
		e.Has |= flow.HasStart | flow.HasStop
		return 28
	case quickTCP, quickTCPEnded:
		return quickProtoInfo(e, p)
	case quickSynProxy:
		if len(p) < 28 || le32(p[4:]) != quickISN || le32(p[12:]) != quickITS || le32(p[20:]) != quickTSOff {
			return 0
		}
		b.ExtraFor(e).SynProxy = flow.SynProxy{ISN: be32(p[8:]), ITS: be32(p[16:]), TSOff: be32(p[24:])}
		e.Has |= flow.HasSynProxy
		return 28
	}
	return 0
}

// quickCounters decodes CTA_COUNTERS_*.
func quickCounters(e *flow.Event, has flow.Has, c *flow.Counters, p []byte) int {
	if len(p) < 28 || le32(p[4:]) != quickPackets || le32(p[16:]) != quickBytes {
		return 0
	}
	c.Packets, c.Bytes = be64(p[8:]), be64(p[20:])
	e.Has |= has
	return 28
}

// quickProtoInfo decodes TCP's CTA_PROTOINFO: whole, or as a DESTROY has it.
func quickProtoInfo(e *flow.Event, p []byte) int {
	if len(p) >= 16 && le32(p) == quickTCPEnded && le32(p[4:]) == quickStateIn && le32(p[8:]) == quickState {
		e.TCP.State = p[12]
		e.Has |= flow.HasTCPState
		return 16
	}
	if len(p) < 48 {
		return 0
	}
	w := (*[48]byte)(p)
	if le32(w[:]) != quickTCP || le32(w[4:]) != quickTCPIn || le32(w[8:]) != quickState ||
		le32(w[16:]) != quickWScaleO || le32(w[24:]) != quickWScaleR || le32(w[32:]) != quickFlagsO || le32(w[40:]) != quickFlagsR {
		return 0
	}
	e.TCP = flow.TCP{State: w[12], WScaleOrig: w[20], WScaleReply: w[28], FlagsOrig: w[36], FlagsReply: w[44]}
	e.Has |= flow.HasTCPState | flow.HasTCPWScaleOrig | flow.HasTCPWScaleReply | flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply
	return 48
}

func be32(p []byte) uint32 { return binary.BigEndian.Uint32(p) }
func be64(p []byte) uint64 { return binary.BigEndian.Uint64(p) }
