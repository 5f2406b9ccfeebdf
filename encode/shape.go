package encode

import "github.com/ctferry/ctferry/source/flow"

// shape is all that decides a record's text but the values of its slots, its
// origin and the encoder's projection: events of one shape differ in nothing
// else. What an event does not have is zero here, whatever stands in its place.
type shape struct {
	has    flow.Has
	tuples uint64 // status, and the presence bits of both tuples
	head   uint64 // small values and the answers to what compares values; see below
}

// Where what stands in shape.head begins.
const (
	shapeTable      = 8
	shapeFamily     = 16
	shapeProto      = 24
	shapeTimeSource = 32
	shapeState      = 40
	shapeNAT        = 48 // flow.NATKind
	shapeOrigV4     = 50
	shapeReplyV4    = 51
	shapeDuration   = 52 // the flow stopped after it began
	shapeDump       = 53
	shapeReset      = 54
	shapeDumpReason = 55
)

// shapeless are the values that no shape has: text, and what few records have.
const shapeless = inExtra&^shapedExtra | dccpBits | flow.HasSynthetic | flow.HasBounds

// shapedExtra are those of the rare values that a shape may have all the same:
// where they come, they come with every event.
const shapedExtra = flow.HasProgName | flow.HasSynProxy

// maxProgName is the longest name of a process that a shape may have: the
// kernel's TASK_COMM_LEN without its end.
const maxProgName = 15

// of sets s to e's shape. It is false for an event that is too rare to have one.
func (s *shape) of(e *flow.Event) bool {
	if e.Has&shapeless != 0 || e.Gap != nil || e.Agent != nil || e.Proto == flow.ProtoGRE {
		return false
	}
	if e.Has&shapedExtra != 0 && (e.Extra == nil || e.Has&flow.HasProgName != 0 && len(e.Extra.ProgName) > maxProgName) {
		return false
	}
	s.has = e.Has
	s.head = uint64(e.Type) | uint64(e.Table)<<shapeTable | uint64(e.Family)<<shapeFamily |
		uint64(e.Proto)<<shapeProto | uint64(e.TimeSource)<<shapeTimeSource
	s.tuples = 0
	if e.Has&flow.HasStatus != 0 {
		s.tuples = uint64(e.Status) << 32
	}
	return s.addTuples(e) && s.addState(e) && s.addTimes(e) && (e.Dump == nil || s.addDump(e))
}

// addTuples takes a flow of which either tuple is of the record's protocol.
func (s *shape) addTuples(e *flow.Event) bool {
	if e.Has&flow.HasOrig == 0 {
		return e.Has&flow.HasReply == 0
	}
	if e.Orig.Got(flow.HasProto) && e.Orig.Proto != e.Proto {
		return false
	}
	s.tuples |= uint64(e.Orig.Has)
	if e.Orig.Family == flow.IPv4 {
		s.head |= 1 << shapeOrigV4
	}
	if e.Has&flow.HasReply == 0 {
		return true
	}
	if e.Reply.Got(flow.HasProto) && e.Reply.Proto != e.Proto {
		return false
	}
	s.tuples |= uint64(e.Reply.Has) << 16
	if e.Reply.Family == flow.IPv4 {
		s.head |= 1 << shapeReplyV4
	}
	s.head |= uint64(e.NATKind()) << shapeNAT
	return true
}

// addState takes the state of one protocol.
func (s *shape) addState(e *flow.Event) bool {
	switch e.Has & (flow.HasTCPState | flow.HasSCTPState) {
	case flow.HasTCPState:
		s.head |= uint64(e.TCP.State) << shapeState
	case flow.HasSCTPState:
		s.head |= uint64(e.SCTP.State) << shapeState
	case 0:
	default:
		return false
	}
	return true
}

func (s *shape) addTimes(e *flow.Event) bool {
	if e.Got(flow.HasStart|flow.HasStop) && e.Stop >= e.Start {
		s.head |= 1 << shapeDuration
	}
	return true
}

// addDump takes a row of a dump.
func (s *shape) addDump(e *flow.Event) bool {
	s.head |= 1<<shapeDump | uint64(dumpReason(e.Dump.Reason))<<shapeDumpReason
	if e.Dump.CountersReset {
		s.head |= 1 << shapeReset
	}
	return e.Type != flow.TypeDumpEnd
}

// hash mixes a shape into 64 bits; the high ones are the best.
func (s *shape) hash() uint64 {
	h := uint64(s.has)*0x9e3779b97f4a7c15 ^ s.tuples*0xc2b2ae3d27d4eb4f ^ s.head*0x165667b19e3779f9
	return (h ^ h>>32) * 0x9e3779b97f4a7c15
}
