package conntrack

import "github.com/ctferry/ctferry/source/flow"

// protocol is what the command line knows about a layer 4 protocol: options
// that exist only after -p has named it, and the law for each verb.
type protocol struct {
	num     uint8
	options []option
	ends    [2]string // the two pairs of options of which a tuple needs one, in the words of the tool's messages
	law     func(Verb, Table) law
}

// protocolOf is nil for a protocol that has no options.
func protocolOf(num uint8) *protocol {
	ports := [2]string{"`--sport' and `--dport'", "`--reply-src-port' and `--reply-dst-port'"}
	switch num {
	case flow.ProtoTCP:
		return &protocol{num, append(portOptions(), stateOption()), ports, portLaw(keysOf(kState), keysOf(kState), 0)}
	case flow.ProtoUDP, flow.ProtoUDPLite:
		return &protocol{num, portOptions(), ports, portLaw(0, 0, 0)}
	case flow.ProtoSCTP:
		return &protocol{num, append(portOptions(), stateOption(), required(kVTagOrig, "orig-vtag"), required(kVTagReply, "reply-vtag")),
			ports, sctpLaw}
	case flow.ProtoDCCP:
		ports[1] = "`--reply-port-src' and `--report-port-dst'"
		return &protocol{num, append(portOptions(), stateOption(), required(kRole, "role")), ports, dccpLaw}
	case flow.ProtoGRE:
		return &protocol{num, greOptions(), [2]string{"`--srckey' and `--dstkey'", "`--reply-src-key' and `--reply-dst-key'"}, greLaw}
	case flow.ProtoICMP:
		return &protocol{num: num, options: icmpOptions("icmp"), law: icmpLaw}
	case flow.ProtoICMPv6:
		return &protocol{num: num, options: icmpOptions("icmpv6"), law: icmpLaw}
	}
	return nil
}

func required(k key, names ...string) option { return option{key: k, names: names, arg: argRequired} }

func stateOption() option { return required(kState, "state") }

func portOptions() []option {
	return []option{
		required(kPortSrc, "sport", "orig-port-src"), required(kPortDst, "dport", "orig-port-dst"),
		required(kPortReplySrc, "reply-port-src"), required(kPortReplyDst, "reply-port-dst"),
		required(kPortMaskSrc, "mask-port-src"), required(kPortMaskDst, "mask-port-dst"),
		required(kPortTupleSrc, "tuple-port-src"), required(kPortTupleDst, "tuple-port-dst"),
	}
}

func greOptions() []option {
	return []option{
		required(kPortSrc, "srckey", "orig-key-src"), required(kPortDst, "dstkey", "orig-key-dst"),
		required(kPortReplySrc, "reply-key-src"), required(kPortReplyDst, "reply-key-dst"),
		required(kPortMaskSrc, "mask-key-src"), required(kPortMaskDst, "mask-key-dst"),
		required(kPortTupleSrc, "tuple-key-src"), required(kPortTupleDst, "tuple-key-dst"),
	}
}

func icmpOptions(name string) []option {
	return []option{required(kICMPType, name+"-type"), required(kICMPCode, name+"-code"), required(kICMPID, name+"-id")}
}
