package conntrack

import "github.com/ctferry/ctferry/source/flow"

// protocol is what the command line knows about a layer 4 protocol: options
// that exist only after -p has named it, and the law for each verb.
type protocol struct {
	num     uint8
	options []option
	ends    [2]string // the two pairs of options of which a tuple needs one, in the words of the tool's messages
	law     func(Verb, Table) law
	table   []option // those of every line, and its own
}

// protocolOf is nil for a protocol that has no options.
func protocolOf(num uint8) *protocol {
	for i := range protocols {
		if protocols[i].num == num {
			return &protocols[i]
		}
	}
	return nil
}

// protocols are only read. They are made once: -R reads a line for each entry of
// a table.
var protocols = allProtocols()

func allProtocols() []protocol {
	ports := [2]string{"`--sport' and `--dport'", "`--reply-src-port' and `--reply-dst-port'"}
	state, tags := required(kState, "state"), []option{required(kVTagOrig, "orig-vtag"), required(kVTagReply, "reply-vtag")}
	plain := portLaw(0, 0, 0)
	all := []protocol{
		{num: flow.ProtoTCP, options: append(portOptions(), state), ends: ports, law: portLaw(keysOf(kState), keysOf(kState), 0)},
		{num: flow.ProtoUDP, options: portOptions(), ends: ports, law: plain},
		{num: flow.ProtoUDPLite, options: portOptions(), ends: ports, law: plain},
		{num: flow.ProtoSCTP, options: append(append(portOptions(), state), tags...), ends: ports, law: sctpLaw},
		{num: flow.ProtoDCCP, options: append(portOptions(), state, required(kRole, "role")), law: dccpLaw,
			ends: [2]string{ports[0], "`--reply-port-src' and `--report-port-dst'"}},
		{num: flow.ProtoGRE, options: greOptions(), law: greLaw,
			ends: [2]string{"`--srckey' and `--dstkey'", "`--reply-src-key' and `--reply-dst-key'"}},
		{num: flow.ProtoICMP, options: icmpOptions("icmp"), law: icmpLaw},
		{num: flow.ProtoICMPv6, options: icmpOptions("icmpv6"), law: icmpLaw},
	}
	for i := range all {
		all[i].table = append(options(), all[i].options...)
	}
	return all
}

func required(k key, names ...string) option { return option{key: k, names: names, arg: argRequired} }

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
