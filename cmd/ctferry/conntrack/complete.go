package conntrack

import (
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// Options lists, for a shell's completion, the options that may stand on a line
// so far: those that always exist, each as -x and --name, and those of the
// protocol that the line names. Value says that the next word belongs to it.
func Options(line []string) []Extra {
	table := options()
	if p := protocolOf(protocolOn(line)); p != nil {
		table = append(table, p.options...)
	}
	var all []Extra
	for _, o := range table {
		for _, name := range o.names {
			all = append(all, Extra{Name: "--" + name, Value: o.arg == argRequired})
		}
		if o.short != 0 {
			all = append(all, Extra{Name: "-" + string(o.short), Value: o.arg == argRequired})
		}
	}
	return all
}

// protocolOn is the protocol that a line names last, 0 for none.
func protocolOn(line []string) (num uint8) {
	for i, word := range line {
		name, attached := strings.CutPrefix(word, "--protonum=")
		if !attached && (word == "-p" || word == "--protonum") && i+1 < len(line) {
			name, attached = line[i+1], true
		}
		if attached {
			num, _ = flow.ProtoNum(strings.ToLower(name))
		}
	}
	return num
}

// Values lists the words that an option's value may be, nil where there are too
// many or no words.
func Values(name string) []string {
	switch name {
	case "-o", "--output":
		return outputWords()
	case "-e", "--event-mask":
		return []string{"ALL", "NEW", "UPDATES", "DESTROY"}
	case "-f", "--family":
		return []string{"ipv4", "ipv6"}
	case "-p", "--protonum":
		return []string{"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "gre"}
	case "-u", "--status":
		return []string{"ASSURED", "SEEN_REPLY", "UNSET", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "HW_OFFLOAD"}
	case "-L", "--dump", "-D", "--delete", "-E", "--event", "-F", "--flush", "-C", "--counter":
		return tableNames[:]
	}
	return nil
}
