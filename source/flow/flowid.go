package flow

import "encoding/binary"

// ComputeFlowID names the slot of a tuple: it is the same in every event of a flow, so
// it joins them and keeps their order as a key. It recurs when the same tuple
// comes back at once, because CTA_ID does; a session is (flow id, start).
//
// It is XXH64 with seed 0 over 96 bytes, all integers big endian:
//
//	 0  16  boot id
//	16   8  network namespace cookie (SO_NETNS_COOKIE)
//	24   2  zone (0 if none)
//	26   2  zone of the original tuple (0 if none)
//	28   2  zone of the reply tuple (0 if none)
//	30   1  address family (2 or 10)
//	31   1  protocol number (0 if none)
//	32  16  original source (IPv4: first four bytes, rest zero)
//	48  16  original destination
//	64   2  source port or GRE key (0 if none)
//	66   2  destination port or GRE key
//	68   2  ICMP id
//	70   1  ICMP type
//	71   1  ICMP code
//	72   4  CTA_ID (of an expectation: CTA_EXPECT_ID)
//	76   1  table: 1 conntrack, 2 expect
//	77  19  zero
//
// It needs Event.Origin and reports false when the event has no tuple or no id.
func (e *Event) ComputeFlowID() (uint64, bool) {
	t, id, ok := e.identity()
	if !ok {
		return 0, false
	}
	var b [96]byte
	copy(b[0:], e.Origin.BootID[:])
	binary.BigEndian.PutUint64(b[16:], e.Origin.Cookie)
	binary.BigEndian.PutUint16(b[24:], e.zone())
	binary.BigEndian.PutUint16(b[26:], e.Orig.zone())
	binary.BigEndian.PutUint16(b[28:], e.Reply.zone())
	b[30] = byte(t.Family)
	if t.Got(HasProto) {
		b[31] = t.Proto
	}
	copy(b[32:], t.Src[:])
	copy(b[48:], t.Dst[:])
	if t.Got(HasPorts) {
		binary.BigEndian.PutUint16(b[64:], t.SrcPort)
		binary.BigEndian.PutUint16(b[66:], t.DstPort)
	}
	if t.Got(HasICMP) {
		binary.BigEndian.PutUint16(b[68:], t.ICMPID)
		b[70], b[71] = t.ICMPType, t.ICMPCode
	}
	binary.BigEndian.PutUint32(b[72:], id)
	b[76] = byte(e.Table)
	return hash96(&b), true
}

// identity gives the tuple and the kernel's id that name the event's entry.
func (e *Event) identity() (*Tuple, uint32, bool) {
	if e.Table == TableExpect {
		if !e.Any(HasExpect) || !e.Extra.Expect.Got(HasExpectTuple|HasExpectID) {
			return nil, 0, false
		}
		return &e.Extra.Expect.Tuple, e.Extra.Expect.ID, e.Extra.Expect.Tuple.Got(HasAddrs)
	}
	return &e.Orig, e.ID, e.Got(HasOrig|HasID) && e.Orig.Got(HasAddrs)
}

func (e *Event) zone() uint16 {
	if x := e.expect(); x != nil && x.Got(HasExpectZone) {
		return x.Zone
	}
	if e.Any(HasZone) {
		return e.Zone
	}
	return 0
}

// zone is guarded by the tuple's bits alone: Reset clears them with the slot.
func (t *Tuple) zone() uint16 {
	if t.Got(HasTupleZone) {
		return t.Zone
	}
	return 0
}
