package flow

// NATKind says which side of a flow is translated.
type NATKind uint8

// The kinds of NAT.
const (
	NATNone NATKind = iota
	NATSource
	NATDest
	NATBoth
)

var natNames = [...]string{"", "snat", "dnat", "both"}

// String gives snat, dnat, both or "".
func (k NATKind) String() string {
	if int(k) < len(natNames) {
		return natNames[k]
	}
	return ""
}

// NAT is the translated side of a flow, derived from its two tuples: the
// kernel does not send it. Addresses are of the event's family.
type NAT struct {
	Kind             NATKind
	Ports            bool // SrcPort and DstPort mean something (of GRE: keys)
	Src, Dst         Addr // Src is what the source became (SNAT), Dst what the destination became (DNAT)
	SrcPort, DstPort uint16
	IPFIXEvent       uint8 // RFC 8158 natEvent: 4 NAT44 session create, 5 delete; 0 none
}

// NATHas is the set of the values that a ToldNAT carries.
type NATHas uint8

// The presence bits of a told translation.
const (
	HasNATKind NATHas = 1 << iota
	HasNATSrc
	HasNATSrcPort
	HasNATDst
	HasNATDstPort
	HasNATEvent
)

// ToldNAT is a translation as a record tells it whose tuples were cut down by a
// projection, so that it cannot be derived any more: addresses are absent, or
// the ports that made the difference. It is believed before what is derived.
type ToldNAT struct {
	Has    NATHas
	Family Family
	NAT
}

// NAT derives the translation. A flow is source-NATed if replies go elsewhere
// than to its source, destination-NATed if they come from elsewhere than its
// destination; for ICMP a changed id is a source translation.
func (e *Event) NAT() (NAT, bool) {
	if e.tellsNAT() {
		return e.Extra.NAT.NAT, true
	}
	kind := e.NATKind()
	if kind == NATNone {
		return NAT{}, false
	}
	r := &e.Reply
	return NAT{
		Kind: kind, Ports: r.Got(HasPorts),
		Src: r.Dst, SrcPort: r.DstPort, Dst: r.Src, DstPort: r.SrcPort,
		IPFIXEvent: e.natEvent(),
	}, true
}

// NATKind says which side is translated, without building the translation.
func (e *Event) NATKind() NATKind {
	o, r := &e.Orig, &e.Reply
	if e.Has&HasNAT != 0 || !e.derivesNAT() {
		if e.tellsNAT() {
			return e.Extra.NAT.Kind
		}
		return NATNone
	}
	ports := o.Got(HasPorts) && r.Got(HasPorts)
	icmp := o.Got(HasICMPID) && r.Got(HasICMPID)
	var kind NATKind
	if r.Dst != o.Src || ports && r.DstPort != o.SrcPort || icmp && r.ICMPID != o.ICMPID {
		kind |= NATSource
	}
	if r.Src != o.Dst || ports && r.SrcPort != o.DstPort {
		kind |= NATDest
	}
	return kind
}

// derivesNAT reports whether the tuples say what is translated.
func (e *Event) derivesNAT() bool {
	return e.Got(HasOrig|HasReply) && e.Orig.Got(HasAddrs) && e.Reply.Got(HasAddrs)
}

// tellsNAT reports whether the translation is told because it cannot be derived.
func (e *Event) tellsNAT() bool { return e.Any(HasNAT) && e.Extra != nil }

// ToldNAT gives the translation that is told, nil where it is derived or absent.
func (e *Event) ToldNAT() *ToldNAT {
	if !e.tellsNAT() {
		return nil
	}
	return &e.Extra.NAT
}

// Inside is the address behind the translation: the source of a flow that is
// source-translated or not at all, the true destination of one that is only
// destination-translated. It is false where the tuples lack it.
func (e *Event) Inside() (a Addr, f Family, ok bool) {
	if e.NATKind() == NATDest {
		return e.Reply.Src, e.Reply.Family, e.Any(HasReply) && e.Reply.Got(HasSrc)
	}
	return e.Orig.Src, e.Orig.Family, e.Any(HasOrig) && e.Orig.Got(HasSrc)
}

// NATTuple is the flow as it looks behind the translation: the reply tuple
// turned round. It needs HasReply.
func (e *Event) NATTuple() Tuple {
	t := e.Reply
	t.Src, t.Dst = t.Dst, t.Src
	t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	t.Has = t.Has&^(HasAddrs|HasPorts) |
		t.Has&(HasSrc|HasSrcPort)<<1 | t.Has&(HasDst|HasDstPort)>>1
	if t.Got(HasICMP) && e.Orig.Got(HasICMPType|HasICMPCode) {
		// The reply's type is the answer to ours (8 and 0, say), so ours is what the other side saw.
		t.ICMPType, t.ICMPCode = e.Orig.ICMPType, e.Orig.ICMPCode
	}
	return t
}

func (e *Event) natEvent() uint8 {
	if e.Family != IPv4 {
		return 0
	}
	switch e.Type {
	case TypeNew:
		return 4
	case TypeDestroy:
		return 5
	}
	return 0
}
