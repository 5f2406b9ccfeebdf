package encode

import (
	"math/bits"

	"github.com/ctferry/ctferry/source/flow"
)

// inExtra are the values that stand in Event.Extra.
const inExtra = flow.HasHelper | flow.HasSecCtx | flow.HasMaster | flow.HasMasterFlowID | flow.HasOrigSeqAdj |
	flow.HasReplySeqAdj | flow.HasSynProxy | flow.HasProgName | flow.HasLabelNames | flow.HasExpect | flow.HasNAT | flow.HasTold

const (
	tcpBits = flow.HasTCPState | flow.HasTCPWScaleOrig | flow.HasTCPWScaleReply | flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply

	sctpBits   = flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
	dccpBits   = flow.HasDCCPState | flow.HasDCCPRole | flow.HasDCCPSeq
	seqAdjBits = flow.HasOrigSeqAdj | flow.HasReplySeqAdj
)

// view is what of an event is to be written: what it holds, less what the
// projection hides. The three formats write from it, so that they carry the
// same fields. It lives on the encoder's stack and in one record only.
type view struct {
	e    *flow.Event
	has  flow.Has
	show part // every part that the projection does not hide

	orig, reply, master flow.TupleHas
	expect              flow.ExpectHas

	nat       flow.NAT // valid with hasNAT
	natFamily flow.Family
	hasNAT    bool

	told flow.ToldHas // derived values that are to be written as they are told
	span uint64       // the duration, if it is

	hasProto bool // the event names a protocol
	p        *Projection
	notes    *notes // where values stand, for a plan; else nil
}

func (v *view) init(p *Projection, e *flow.Event) {
	v.e, v.p = e, p
	v.has, v.show = e.Has&^p.hidden.has, ^p.hidden.part
	v.orig, v.reply, v.master, v.expect = 0, 0, 0, 0
	v.hasNAT = false
	// A decoded record may have lost its protocol to a projection: absent is not zero.
	v.hasProto = e.Any(flow.HasOrig) && (e.Proto != 0 || e.Orig.Got(flow.HasProto))
	if e.Any(flow.HasOrig) {
		v.orig = v.side(&e.Orig) &^ p.hidden.orig
	}
	if e.Any(flow.HasReply) {
		v.reply = v.side(&e.Reply) &^ p.hidden.reply
	}
	if e.Extra == nil {
		v.has &^= inExtra
	} else {
		v.initExtra(p, e)
	}
	if v.show&partNAT != 0 {
		v.initNAT(e)
	}
	if p.inside {
		v.hideOther(e)
	}
}

func (v *view) initExtra(p *Projection, e *flow.Event) {
	if e.Any(flow.HasMaster) {
		v.master = tupleBits(&e.Extra.Master) &^ p.hidden.master
	}
	if e.Any(flow.HasExpect | flow.HasTold) {
		v.initRare(p, e)
	}
}

func (v *view) initRare(p *Projection, e *flow.Event) {
	if e.Any(flow.HasExpect) {
		v.expect = e.Extra.Expect.Has &^ p.hidden.expect
		if !v.shows(partExpectFlags | partExpectFlagsRaw) {
			v.expect &^= flow.HasExpectFlags
		}
	}
	if e.Any(flow.HasTold) {
		v.initTold(p, &e.Extra.Told)
	}
}

// got reports whether at least one of bits is to be written.
func (v *view) got(bits flow.Has) bool { return v.has&bits != 0 }

// shows reports whether at least one of parts is not hidden.
func (v *view) shows(parts part) bool { return v.show&parts != 0 }

// side gives the bits of one direction. Its protocol is the record's own and
// stands there, unless the tuple says otherwise.
func (v *view) side(t *flow.Tuple) flow.TupleHas {
	has := t.Has
	proto := v.e.Proto
	switch {
	case has&flow.HasProto == 0:
	case v.hasProto && t.Proto == proto:
		has &^= flow.HasProto
	default:
		proto = t.Proto
	}
	return keyBits(has, proto)
}

// tupleBits gives the bits of a tuple that stands alone.
func tupleBits(t *flow.Tuple) flow.TupleHas {
	if !t.Got(flow.HasProto) {
		return t.Has
	}
	return keyBits(t.Has, t.Proto)
}

// keyBits gives GRE keys their own bits.
func keyBits(has flow.TupleHas, proto uint8) flow.TupleHas {
	if proto == flow.ProtoGRE {
		ports := has & flow.HasPorts
		has = has&^flow.HasPorts | ports<<keyShift
	}
	return has
}

// wantsExpect reports whether there is anything to write of an expectation; one
// that says nothing is written too, unless it is the projection that left it so.
func (v *view) wantsExpect() bool {
	return v.expect != 0 || v.got(flow.HasExpect) && v.p.hidden.expect == 0
}

// wantsMaster is the same for the master's tuple.
func (v *view) wantsMaster() bool {
	return v.master != 0 || v.got(flow.HasMaster) && v.p.hidden.master == 0
}

// nextBit takes the lowest bit from set and gives its number.
func nextBit(set *uint32) int {
	n := bits.TrailingZeros32(*set)
	*set &= *set - 1
	return n
}

var dumpReasons = [...]string{"", "start", "interval", "request", "resync"}

// dumpReason gives a dump's reason its number in the record, 0 if it has none.
func dumpReason(s string) int {
	for i, r := range dumpReasons {
		if r == s {
			return i
		}
	}
	return 0
}

var directions = [...]string{"original", "reply"}

// direction is the word for CTA_EXPECT_NAT_DIR, "" for an unknown one.
func direction(d uint8) string {
	if int(d) < len(directions) {
		return directions[d]
	}
	return ""
}

// notNegative is a span's value in the record.
func notNegative(ns int64) uint64 { return uint64(max(ns, 0)) }
