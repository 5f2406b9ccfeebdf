package source

import "github.com/ctferry/ctferry/source/flow"

// entry is what is kept of a tracked flow, 120 bytes without a pointer, so that
// the collector passes it over. An IPv6 flow has its addresses elsewhere, and
// what interim records need stands beside, where they are asked for.
type entry struct {
	flowID      uint64
	start       int64 // kernel's, or 0
	seen        int64 // last proof of life, ns since the epoch
	orig, reply flow.Counters
	id          uint32
	status      uint32
	mark        uint32
	heard       uint32 // round in which the last event came
	dumped      uint32 // round in which a dump showed it last
	next        uint32 // in the list of free entries, or of dead ones
	addrs       [16]byte
	ports       [4]uint16 // source and destination, original and reply; of ICMP: id, then type and code
	zone        uint16
	tupleZones  [2]uint16
	proto       uint8
	state       uint8 // of TCP, SCTP or DCCP
	is          marks
}

// wide is the addresses of an IPv6 flow: source and destination, original and reply.
type wide [4]flow.Addr

// base is where the deltas of a flow's next interim record begin. The counters
// are subtracted modulo 2⁶⁴, so that a dump which sets them to zero may leave
// them behind zero.
type base struct {
	orig, reply flow.Counters
	at          int64 // 0: not known
}

// marks say what an entry has, and what is due for it.
type marks uint32

const (
	hasPorts marks = 1 << iota
	hasICMP
	hasReply
	hasZone
	hasOrigZone
	hasReplyZone
	hasStatus
	hasMark
	hasState
	hasOrigCounters
	hasReplyCounters
	isIPv6
	isTaken // it stands for a flow

	isDead     // its end was told; kept so that a dump's row that trails it is known
	isListed   // it is in the list of the dead
	isGuessed  // dead, and its end was inferred
	isSpeaking // the kernel sends events of it
	isNew      // a dump showed it first: a record is due
	isChanged  // a dump showed another state: a record is due
	isReplaced // a dump showed another flow in its place: two records are due
)

// isDue are the marks of a record that is still to be made.
const isDue = isNew | isChanged | isReplaced

// isName are the marks that belong to the name.
const isName = hasPorts | hasICMP | hasReply | hasZone | hasOrigZone | hasReplyZone | isIPv6 | isTaken

func (m *marks) set(bits marks, on bool) {
	*m &^= bits
	if on {
		*m |= bits
	}
}

// nameable reports whether an event names a flow that can be tracked; its flow
// id must be there.
func nameable(e *flow.Event) bool {
	return e.Table == flow.TableConntrack && e.Got(flow.HasFlowID|flow.HasOrig|flow.HasID) &&
		e.Orig.Got(flow.HasAddrs|flow.HasProto) && (e.Orig.Family == flow.IPv4 || e.Orig.Family == flow.IPv6)
}

// shape is which of a tuple's values an entry keeps.
func shape(t *flow.Tuple) marks {
	switch {
	case t.Got(flow.HasPorts):
		return hasPorts
	case t.Got(flow.HasICMP):
		return hasICMP
	}
	return 0
}

func zoneOf(e *flow.Event) uint16 {
	if e.Any(flow.HasZone) {
		return e.Zone
	}
	return 0
}

func tupleZone(t *flow.Tuple) uint16 {
	if t.Got(flow.HasTupleZone) {
		return t.Zone
	}
	return 0
}

// portsOf packs what tells tuples of the same addresses apart.
func portsOf(t *flow.Tuple) (a, b uint16) {
	switch shape(t) {
	case hasPorts:
		return t.SrcPort, t.DstPort
	case hasICMP:
		return t.ICMPID, uint16(t.ICMPType)<<8 | uint16(t.ICMPCode)
	}
	return 0, 0
}

// is reports whether the entry is the flow that the event names. The flow id is
// a hash: two flows may share one.
func (t *flowTable) is(en *entry, e *flow.Event) bool {
	a, b := portsOf(&e.Orig)
	if en.flowID != e.FlowID || en.id != e.ID || en.proto != e.Orig.Proto || en.ports[0] != a || en.ports[1] != b ||
		en.zone != zoneOf(e) || en.tupleZones != [2]uint16{tupleZone(&e.Orig), tupleZone(&e.Reply)} {
		return false
	}
	if en.is&isIPv6 != 0 {
		w := t.wideOf(en)
		return e.Orig.Family == flow.IPv6 && w[0] == e.Orig.Src && w[1] == e.Orig.Dst
	}
	return e.Orig.Family == flow.IPv4 && [4]byte(en.addrs[0:]) == [4]byte(e.Orig.Src[:]) && [4]byte(en.addrs[4:]) == [4]byte(e.Orig.Dst[:])
}

// name writes the event's name into the entry: all that does not change.
func (t *flowTable) name(en *entry, e *flow.Event) {
	en.flowID, en.id, en.proto = e.FlowID, e.ID, e.Orig.Proto
	en.zone = zoneOf(e)
	en.tupleZones = [2]uint16{tupleZone(&e.Orig), tupleZone(&e.Reply)}
	en.ports[0], en.ports[1] = portsOf(&e.Orig)
	en.is |= shape(&e.Orig)
	en.is.set(hasZone, e.Any(flow.HasZone))
	en.is.set(hasOrigZone, e.Orig.Got(flow.HasTupleZone))
	en.is.set(hasReplyZone, e.Reply.Got(flow.HasTupleZone))
	if e.Got(flow.HasReply) && e.Reply.Got(flow.HasAddrs) {
		en.is |= hasReply
		en.ports[2], en.ports[3] = portsOf(&e.Reply)
	}
	if en.is&isIPv6 != 0 {
		*t.wideOf(en) = wide{e.Orig.Src, e.Orig.Dst, e.Reply.Src, e.Reply.Dst}
		return
	}
	for i, a := range [...]*flow.Addr{&e.Orig.Src, &e.Orig.Dst, &e.Reply.Src, &e.Reply.Dst} {
		copy(en.addrs[4*i:4*i+4], a[:4])
	}
}

// tuple gives back the original (0) or the reply (1) direction.
func (t *flowTable) tuple(en *entry, direction int) flow.Tuple {
	out := flow.Tuple{Has: flow.HasAddrs | flow.HasProto, Family: flow.IPv4, Proto: en.proto, Zone: en.tupleZones[direction]}
	a, b := en.ports[2*direction], en.ports[2*direction+1]
	switch {
	case en.is&hasPorts != 0:
		out.Has |= flow.HasPorts
		out.SrcPort, out.DstPort = a, b
	case en.is&hasICMP != 0:
		out.Has |= flow.HasICMP
		out.ICMPID, out.ICMPType, out.ICMPCode = a, uint8(b>>8), uint8(b)
	}
	if en.is&(hasOrigZone<<direction) != 0 {
		out.Has |= flow.HasTupleZone
	}
	if en.is&isIPv6 != 0 {
		w := t.wideOf(en)
		out.Family, out.Src, out.Dst = flow.IPv6, w[2*direction], w[2*direction+1]
		return out
	}
	copy(out.Src[:4], en.addrs[8*direction:])
	copy(out.Dst[:4], en.addrs[8*direction+4:])
	return out
}

// key names the entry to the kernel.
func (t *flowTable) key(en *entry) flow.Key {
	id := en.id
	return flow.Key{Tuple: t.tuple(en, 0), Zone: en.zone, ID: &id}
}

// write makes a record of what is known of the entry; the slot must be empty.
func (t *flowTable) write(en *entry, e *flow.Event) {
	e.Table, e.Proto = flow.TableConntrack, en.proto
	e.Has = flow.HasOrig | flow.HasID | flow.HasFlowID
	e.ID, e.FlowID, e.Orig = en.id, en.flowID, t.tuple(en, 0)
	e.Family = e.Orig.Family
	e.Zone, e.Status, e.Mark, e.Start = en.zone, en.status, en.mark, en.start
	e.OrigCounters, e.ReplyCounters = en.orig, en.reply
	if en.is&hasReply != 0 {
		e.Reply = t.tuple(en, 1)
		e.Has |= flow.HasReply
	}
	for _, v := range [...]struct {
		bit marks
		has flow.Has
	}{{hasZone, flow.HasZone}, {hasStatus, flow.HasStatus}, {hasMark, flow.HasMark},
		{hasOrigCounters, flow.HasOrigCounters}, {hasReplyCounters, flow.HasReplyCounters}} {
		if en.is&v.bit != 0 {
			e.Has |= v.has
		}
	}
	if en.start != 0 {
		e.Has |= flow.HasStart
	}
	if en.is&hasState != 0 {
		setState(e, en.state)
	}
}

// stateOf is the protocol's state, if the event tells it.
func stateOf(e *flow.Event) (uint8, bool) {
	switch {
	case e.Any(flow.HasTCPState):
		return e.TCP.State, true
	case e.Any(flow.HasSCTPState):
		return e.SCTP.State, true
	case e.Any(flow.HasDCCPState):
		return e.DCCP.State, true
	}
	return 0, false
}

func setState(e *flow.Event, state uint8) {
	switch e.Proto {
	case flow.ProtoTCP:
		e.TCP.State = state
		e.Has |= flow.HasTCPState
	case flow.ProtoSCTP:
		e.SCTP.State = state
		e.Has |= flow.HasSCTPState
	case flow.ProtoDCCP:
		e.DCCP.State = state
		e.Has |= flow.HasDCCPState
	}
}
