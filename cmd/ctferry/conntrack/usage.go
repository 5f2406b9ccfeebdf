package conntrack

import (
	"fmt"
	"strings"
)

// Usage is the text of -h for a program of that name. The caller puts its
// version in front.
func Usage(program string) string { return fmt.Sprintf(usage, program) }

const usage = `Usage: %s COMMAND [TABLE] [OPTION]...

What to do (one of them)
  -L, --dump          list the entries of a table
  -G, --get           show one entry
  -D, --delete        delete every entry that matches
  -I, --create        make an entry, which must be new
  -A, --add           make an entry unless it exists
  -U, --update        change every entry that matches
  -E, --event         print events until interrupted
  -F, --flush         delete all entries
  -C, --counter       count the entries
  -S, --stats         show the counters of each CPU
  -R, --load-file F   carry out the commands of a file, - for standard input
  -h, --help          show this text, and with -p the options of a protocol
  -V, --version       show the version
TABLE is conntrack (the default), expect, dying or unconfirmed; the last two can only be listed.

Which entries
  -s, --src, --orig-src ADDR[/LEN]   source, original direction
  -d, --dst, --orig-dst ADDR[/LEN]   destination, original direction
      --mask-src, --mask-dst MASK    the bits of -s and -d that count
  -r, --reply-src ADDR               source, reply direction
  -q, --reply-dst ADDR               destination, reply direction
  -p, --protonum PROTO               tcp, udp, udplite, icmp, icmpv6, sctp, dccp, gre, a number or another name
  -f, --family FAMILY                ipv4 or ipv6
  -t, --timeout SECONDS              time left
  -m, --mark VALUE[/MASK]            mark; with -U, MASK is cleared, then VALUE flipped
  -c, --secmark VALUE                security mark
  -u, --status WORD[,WORD]...        ASSURED SEEN_REPLY FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED UNSET
  -i, --id ID                        the kernel's number of the entry
  -w, --zone ZONE                    zone of both directions
      --orig-zone, --reply-zone ZONE zone of one direction
  -l, --label NAME[,NAME]...         labels
  -n, --src-nat [ADDR[:PORT]]        source translated (to this address)
  -g, --dst-nat [ADDR[:PORT]]        destination translated
  -j, --any-nat [ADDR[:PORT]]        either translated

What to change (-I, -A and -U take most of the above too)
      --label-add NAME[,NAME]...     set labels
      --label-del [NAME[,NAME]...]   clear labels, all of them without a name
      --tuple-src, --tuple-dst ADDR  the flow that -I expect announces
      --mask-src, --mask-dst MASK    and the bits of it that count

How to show it
  -o, --output WORD[,WORD]...        extended xml timestamp id ktimestamp labels userspace save json
  -z, --zero                         set the counters to zero while listing (-L)
  -e, --event-mask WORD[,WORD]...    ALL NEW UPDATES DESTROY (-E)
  -b, --buffer-size BYTES            receive buffer (-E)

Every long option may be cut short as long as it stays unique. A protocol's own options,
such as --dport, stand behind its -p: -h -p tcp shows them.
`

// ProtocolUsage lists the options that -p of a protocol brings, or "" for a
// protocol that has none.
func ProtocolUsage(num uint8) string {
	p := protocolOf(num)
	if p == nil {
		return ""
	}
	var b strings.Builder
	for _, o := range p.options {
		fmt.Fprintf(&b, "  %-32s %s\n", "--"+strings.Join(o.names, ", --"), meaning(o.key))
	}
	return b.String()
}

// meaning says in a few words what an option of a protocol is.
func meaning(k key) string {
	switch k {
	case kPortSrc, kPortDst:
		return "original direction"
	case kPortReplySrc, kPortReplyDst:
		return "reply direction"
	case kPortMaskSrc, kPortMaskDst:
		return "the bits that count (-I expect)"
	case kPortTupleSrc, kPortTupleDst:
		return "of the expected flow (-I expect)"
	case kState:
		return "in the kernel's word, such as ESTABLISHED or CLOSED"
	case kVTagOrig, kVTagReply:
		return "verification tag"
	case kRole:
		return "client or server"
	}
	return "a number"
}
