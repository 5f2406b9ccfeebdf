package flow

import (
	"encoding/binary"
	"math/bits"
)

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
	o := e.Origin
	return hash96(&[12]uint64{
		binary.LittleEndian.Uint64(o.BootID[:]), binary.LittleEndian.Uint64(o.BootID[8:]), bits.ReverseBytes64(o.Cookie),
		swapped(e.zone()) | swapped(e.Orig.zone())<<16 | swapped(e.Reply.zone())<<32 | uint64(t.Family)<<48 | uint64(t.protocol())<<56,
		binary.LittleEndian.Uint64(t.Src[:]), binary.LittleEndian.Uint64(t.Src[8:]),
		binary.LittleEndian.Uint64(t.Dst[:]), binary.LittleEndian.Uint64(t.Dst[8:]),
		t.ends(), uint64(bits.ReverseBytes32(id)) | uint64(e.Table)<<32,
	}), true
}

// ends gives bytes 64 to 71.
func (t *Tuple) ends() (lane uint64) {
	if t.Got(HasPorts) {
		lane = swapped(t.SrcPort) | swapped(t.DstPort)<<16
	}
	if t.Got(HasICMP) {
		lane |= swapped(t.ICMPID)<<32 | uint64(t.ICMPType)<<48 | uint64(t.ICMPCode)<<56
	}
	return lane
}

// protocol is the tuple's, 0 where it has none.
func (t *Tuple) protocol() uint8 {
	if t.Got(HasProto) {
		return t.Proto
	}
	return 0
}

// swapped gives a big-endian number's bytes as a little-endian lane has them.
func swapped(v uint16) uint64 { return uint64(bits.ReverseBytes16(v)) }

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
