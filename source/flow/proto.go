package flow

// IP protocol numbers that conntrack tracks by name (IANA).
const (
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoDCCP    = 33
	ProtoGRE     = 47
	ProtoICMPv6  = 58
	ProtoSCTP    = 132
	ProtoUDPLite = 136
)

// ProtoName is conntrack's word for an IP protocol number, or "" if it has none.
func ProtoName(num uint8) string {
	switch num {
	case ProtoICMP:
		return "icmp"
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoDCCP:
		return "dccp"
	case ProtoGRE:
		return "gre"
	case ProtoICMPv6:
		return "icmpv6"
	case ProtoSCTP:
		return "sctp"
	case ProtoUDPLite:
		return "udplite"
	}
	return ""
}

// ProtoNames lists the protocols that have a name.
func ProtoNames() []string {
	return []string{"tcp", "udp", "icmp", "icmpv6", "udplite", "sctp", "dccp", "gre"}
}

// ProtoNum is the inverse of ProtoName.
func ProtoNum(name string) (uint8, bool) {
	switch name {
	case "icmp":
		return ProtoICMP, true
	case "tcp":
		return ProtoTCP, true
	case "udp":
		return ProtoUDP, true
	case "dccp":
		return ProtoDCCP, true
	case "gre":
		return ProtoGRE, true
	case "icmpv6":
		return ProtoICMPv6, true
	case "sctp":
		return ProtoSCTP, true
	case "udplite":
		return ProtoUDPLite, true
	}
	return 0, false
}

// TCP is what CTA_PROTOINFO_TCP tells.
type TCP struct {
	State                   uint8 // enum tcp_conntrack
	WScaleOrig, WScaleReply uint8
	FlagsOrig, FlagsReply   uint8 // IP_CT_TCP_FLAG_*
}

// SCTP is what CTA_PROTOINFO_SCTP tells.
type SCTP struct {
	State               uint8 // enum sctp_conntrack
	VTagOrig, VTagReply uint32
}

// DCCP is what CTA_PROTOINFO_DCCP tells (kernels before DCCP tracking was removed).
type DCCP struct {
	State, Role  uint8 // enum ct_dccp_states, ct_dccp_roles
	HandshakeSeq uint64
}

var tcpStates = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// TCP states that the code asks for (enum tcp_conntrack).
const (
	TCPLastAck  = 6
	TCPTimeWait = 7
	TCPClose    = 8
)

var sctpStates = [...]string{"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED"}

var dccpStates = [...]string{"NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"}

var dccpRoles = [...]string{"CLIENT", "SERVER"}

func nameOf(names []string, v uint8) string {
	if int(v) < len(names) {
		return names[v]
	}
	return ""
}

// TCPStateName is the kernel's word for a TCP state, or "" for one it did not have when this was written.
func TCPStateName(v uint8) string { return nameOf(tcpStates[:], v) }

// SCTPStateName is the kernel's word for an SCTP state, or "".
func SCTPStateName(v uint8) string { return nameOf(sctpStates[:], v) }

// DCCPStateName is the kernel's word for a DCCP state, or "".
func DCCPStateName(v uint8) string { return nameOf(dccpStates[:], v) }

// DCCPRoleName is the kernel's word for a DCCP role, or "".
func DCCPRoleName(v uint8) string { return nameOf(dccpRoles[:], v) }

// ParseTCPState finds a TCP state by the kernel's word, in any case. LISTEN is
// the manual's word for what became SYN_SENT2.
func ParseTCPState(s string) (uint8, bool) {
	if v, ok := nearName[uint8](tcpStates[:], s); ok {
		return v, ok
	}
	return nearName[uint8]([]string{9: "LISTEN"}, s)
}

// ParseSCTPState finds an SCTP state by the kernel's word, in any case.
func ParseSCTPState(s string) (uint8, bool) { return nearName[uint8](sctpStates[:], s) }

// ParseDCCPState finds a DCCP state by the kernel's word, in any case.
func ParseDCCPState(s string) (uint8, bool) { return nearName[uint8](dccpStates[:], s) }

// ParseDCCPRole finds a DCCP role, in any case.
func ParseDCCPRole(s string) (uint8, bool) { return nearName[uint8](dccpRoles[:], s) }
