package encode

import "github.com/ctferry/ctferry/source/flow"

// savedStatus are the bits that -u can say, in the order in which they are said.
const savedStatus = flow.StatusExpected | flow.StatusSeenReply | flow.StatusAssured | flow.StatusFixedTimeout

// saveFlow appends an entry as the options that -I, -U or -D take.
func saveFlow(dst []byte, e *flow.Event) []byte {
	if e.Any(flow.HasTimeout) {
		dst = textUint(dst, "-t ", uint64(e.Timeout))
	}
	if e.Any(flow.HasStatus) {
		dst = saveStatus(append(dst, "-u "...), e.Status)
	}
	if e.Any(flow.HasMark) && (e.Mark != 0 || e.Type == flow.TypeUpdate) {
		dst = textUint(dst, "-m ", uint64(e.Mark))
	}
	if e.Any(flow.HasZone) {
		dst = textUint(dst, "-w ", uint64(e.Zone))
	}
	if e.Any(flow.HasOrig) && e.Orig.Got(flow.HasTupleZone) {
		dst = textUint(dst, "--orig-zone ", uint64(e.Orig.Zone))
	}
	if e.Any(flow.HasReply) && e.Reply.Got(flow.HasTupleZone) {
		dst = textUint(dst, "--reply-zone ", uint64(e.Reply.Zone))
	}
	dst = saveAddrs(dst, e)
	if !e.Any(flow.HasOrig) {
		return dst
	}
	dst = append(dst, "-p "...)
	if name := flow.ProtoName(e.Proto); name != "" {
		dst = append(append(dst, name...), ' ')
	} else {
		dst = textUint(dst, "", uint64(e.Proto))
	}
	return saveProtocol(dst, e)
}

func saveStatus(dst []byte, status uint32) []byte {
	status &= savedStatus
	if status == 0 {
		return append(dst, "UNSET "...)
	}
	for status != 0 {
		dst = append(append(dst, flow.StatusName(nextBit(&status))...), ',')
	}
	dst[len(dst)-1] = ' '
	return dst
}

// saveAddrs appends the addresses; those of a translated side as what -n and -g take.
func saveAddrs(dst []byte, e *flow.Event) []byte {
	o, r := &e.Orig, &e.Reply
	hasOrig := e.Any(flow.HasOrig)
	if hasOrig && o.Got(flow.HasSrc) {
		dst = textAddr(dst, "-s ", &o.Src, o.Family)
	}
	if hasOrig && o.Got(flow.HasDst) {
		dst = textAddr(dst, "-d ", &o.Dst, o.Family)
	}
	if !e.Any(flow.HasReply) {
		return dst
	}
	if r.Got(flow.HasSrc) {
		name := "-r "
		if hasOrig && o.Got(flow.HasDst) && r.Src != o.Dst && translated(e, flow.StatusDstNATDone) {
			name = "-g "
		}
		dst = textAddr(dst, name, &r.Src, r.Family)
	}
	if r.Got(flow.HasDst) {
		name := "-q "
		if hasOrig && o.Got(flow.HasSrc) && r.Dst != o.Src && translated(e, flow.StatusSrcNATDone) {
			name = "-n "
		}
		dst = textAddr(dst, name, &r.Dst, r.Family)
	}
	return dst
}

// translated asks the status, if there is one.
func translated(e *flow.Event, bit uint32) bool {
	return !e.Any(flow.HasStatus) || e.Status&bit != 0
}

// saveProtocol appends what the protocol knows. Unlike in a line, what the
// kernel left out is left out.
func saveProtocol(dst []byte, e *flow.Event) []byte {
	switch e.Proto {
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDPLite, flow.ProtoSCTP, flow.ProtoDCCP:
		dst = savePorts(dst, &e.Orig, "--sport ", "--dport ")
		if e.Any(flow.HasReply) {
			dst = savePorts(dst, &e.Reply, "--reply-port-src ", "--reply-port-dst ")
		}
	case flow.ProtoGRE:
		dst = savePorts(dst, &e.Orig, "--srckey ", "--dstkey ")
		if e.Any(flow.HasReply) {
			dst = savePorts(dst, &e.Reply, "--reply-key-src ", "--reply-key-dst ")
		}
	case flow.ProtoICMP:
		return saveICMP(dst, &e.Orig, "--icmp-type ", "--icmp-code ", "--icmp-id ")
	case flow.ProtoICMPv6:
		return saveICMP(dst, &e.Orig, "--icmpv6-type ", "--icmpv6-code ", "--icmpv6-id ")
	}
	return saveState(dst, e)
}

func savePorts(dst []byte, t *flow.Tuple, src, dstName string) []byte {
	if t.Got(flow.HasSrcPort) {
		dst = textUint(dst, src, uint64(t.SrcPort))
	}
	if t.Got(flow.HasDstPort) {
		dst = textUint(dst, dstName, uint64(t.DstPort))
	}
	return dst
}

func saveICMP(dst []byte, t *flow.Tuple, typ, code, id string) []byte {
	if t.Got(flow.HasICMPType) {
		dst = textUint(dst, typ, uint64(t.ICMPType))
	}
	if t.Got(flow.HasICMPCode) {
		dst = textUint(dst, code, uint64(t.ICMPCode))
	}
	if t.Got(flow.HasICMPID) {
		dst = textUint(dst, id, uint64(t.ICMPID))
	}
	return dst
}

// saveState appends the protocol's state; one without a word is left out,
// because no option could say it.
func saveState(dst []byte, e *flow.Event) []byte {
	name, _ := protocolState(e)
	if name != "" {
		dst = append(append(append(dst, "--state "...), name...), ' ')
	}
	if e.Any(flow.HasSCTPVTagOrig) {
		dst = textUint(dst, "--orig-vtag ", uint64(e.SCTP.VTagOrig))
	}
	if e.Any(flow.HasSCTPVTagReply) {
		dst = textUint(dst, "--reply-vtag ", uint64(e.SCTP.VTagReply))
	}
	if e.Any(flow.HasDCCPRole) && int(e.DCCP.Role) < len(savedRoles) {
		dst = append(append(append(dst, "--role "...), savedRoles[e.DCCP.Role]...), ' ')
	}
	return dst
}

// savedRoles are the words of --role.
var savedRoles = [...]string{"client", "server"}
