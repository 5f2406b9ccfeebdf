package encode

import (
	"bytes"
	"math/bits"
)

// slot is a place in a record's text where a value stands that differs from
// event to event of one shape. Everything between two slots is the shape's.
type slot uint8

const (
	slotOrigin   slot = iota // what is the same for all events of an origin
	slotTags                 // the same, of XML's elements
	slotProgName             // a text, with what closes it
	slotNone                 // the record's end
	slotTime
	slotReceived
	slotSeq
	slotID
	slotFlowID
	slotTimeout
	slotMark
	slotPortID
	slotStart
	slotStop
	slotDuration
	slotCommunity
	slotNATCommunity
	slotOrigPackets
	slotOrigBytes
	slotReplyPackets
	slotReplyBytes
	slotOrig                         // the first of the original tuple's
	slotReply = slotOrig + tupleEnd  // the first of the reply's
	slotRare  = slotReply + tupleEnd // what follows few records have
)

// The slots of a tuple, counted from its first.
const (
	tupleSrc slot = iota
	tupleDst
	tupleSrcPort
	tupleDstPort
	tupleICMPType
	tupleICMPCode
	tupleICMPID
	tupleZone
	tupleEnd
)

const (
	slotWScaleOrig slot = slotRare + iota
	slotWScaleReply
	slotFlagsOrig
	slotFlagsReply
	slotVTagOrig
	slotVTagReply
	slotZone
	slotUse
	slotLabels
	slotStartNS // nanoseconds since the epoch, as conntrack writes them
	slotStopNS
	slotDumpID
	slotInterval
	slotOrigPacketsDelta
	slotOrigBytesDelta
	slotReplyPacketsDelta
	slotReplyBytesDelta
	slotISN
	slotITS
	slotTSOff
	slotCount
)

// slots is a set of slots.
type slots uint64

// has reports whether s is in the set.
func (u slots) has(s slot) bool { return u&(1<<s) != 0 }

// first is the lowest slot of a set that is not empty.
func (u slots) first() slot { return slot(bits.TrailingZeros64(uint64(u))) }

// note says that the value of slot s stands at dst's end, before what closes it:
// a quote or an end tag. It changes nothing; without notes it does nothing.
func (v *view) note(dst []byte, s slot) []byte {
	if v.notes != nil {
		v.notes.add(dst, s)
	}
	return dst
}

// notes are the slots of one record, in their order, while a plan is made of it.
type notes struct {
	list []noted
}

type noted struct {
	slot slot
	end  int // of the value's text
}

func (n *notes) add(dst []byte, s slot) {
	end := len(dst)
	switch {
	case s < slotNone: // closed by what follows
	case dst[end-1] == '"':
		end--
	case dst[end-1] == '>':
		end = bytes.LastIndex(dst, []byte("</"))
	}
	n.list = append(n.list, noted{s, end})
}
