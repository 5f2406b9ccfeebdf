package conntrack

import (
	"net/netip"

	"github.com/ctferry/ctferry/source/flow"
)

// Command is one command line, read and checked: every option is legal with
// its verb and table, every mandatory one is there. A parameter that was not
// given is the zero value of its field.
type Command struct {
	Verb  Verb
	Table Table
	File  string // of VerbLoadFile; "-" is standard input

	Family flow.Family // of -f only; see AddrFamily

	Src, Dst           Masked     // original direction; of the master with -I, -G and -D expect
	ReplySrc, ReplyDst netip.Addr // reply direction

	Proto Opt[uint8] // IP protocol number
	Ports Ports      // of TCP, UDP, UDPlite, SCTP, DCCP; GRE's keys
	ICMP  ICMP       // of ICMP and ICMPv6
	State Opt[uint8] // of TCP, SCTP or DCCP: the kernel's number
	SCTP  SCTP
	Role  Opt[uint8] // DCCP: enum ct_dccp_roles

	Timeout   Opt[uint32] // seconds
	Mark      Opt[Mark]
	Secmark   Opt[uint32]
	Status    Status
	ID        Opt[uint32] // CTA_ID
	Zone      Opt[uint16] // of both directions
	OrigZone  Opt[uint16]
	ReplyZone Opt[uint16]

	SrcNAT, DstNAT, AnyNAT NAT

	Labels      []string // -l
	LabelAdd    []string
	LabelDel    []string
	LabelDelAll bool   // --label-del without a name
	Expect      Expect // of -I expect
	Events      flow.Types
	Buffer      Opt[int] // -b, bytes
	Output      Output
	Zero        bool
	Extra       []ExtraValue // the caller's own options, in their order
}

// Opt is a parameter that may be absent.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Some is a parameter that was given.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Ports are the ports of both directions, of an expected tuple and of its
// mask; keys if the protocol is GRE.
type Ports struct {
	Src, Dst, ReplySrc, ReplyDst         Opt[uint16]
	TupleSrc, TupleDst, MaskSrc, MaskDst Opt[uint16] // with -I expect
}

// ICMP is what identifies an ICMP or ICMPv6 query.
type ICMP struct {
	Type, Code Opt[uint8]
	ID         Opt[uint16]
}

// SCTP holds the verification tags of both directions.
type SCTP struct{ VTagOrig, VTagReply Opt[uint32] }

// Mark is a mark with its mask. Without a mask on the command line the mask is
// all ones. A filter compares (mark & Mask) with Value; -U makes the mark
// (old &^ Mask) ^ Value; -I and -A know no mask.
type Mark struct{ Value, Mask uint32 }

// Status is the argument of -u: the bits of CTA_STATUS that are asked for.
type Status struct {
	Set       bool   // -u was given
	Bits      uint32 // flow.StatusAssured and its like; 0 with Set alone is UNSET
	Unreplied bool   // the bit SEEN_REPLY must be absent
}

// NAT is the argument of -n, -g or -j: translation at all, or to one address
// and port.
type NAT struct {
	Set  bool
	Addr netip.Addr  // absent: any
	Port Opt[uint16] // only with an address
}

// Expect is what -I expect creates: the expected tuple, and which bits of its
// addresses count.
type Expect struct{ TupleSrc, TupleDst, MaskSrc, MaskDst netip.Addr }

// ExtraValue is one of the caller's own options as it stood on the line.
type ExtraValue struct{ Name, Value string }

// AddrFamily is the family the command is bound to: of -f, else of any
// address, else FamilyUnspecified, which means both.
func (c *Command) AddrFamily() flow.Family {
	if c.Family != flow.FamilyUnspecified {
		return c.Family
	}
	for _, a := range []netip.Addr{c.Src.Addr, c.Dst.Addr, c.ReplySrc, c.ReplyDst, c.Expect.TupleSrc, c.Expect.TupleDst,
		c.SrcNAT.Addr, c.DstNAT.Addr, c.AnyNAT.Addr} {
		if a.IsValid() {
			return familyOf(a)
		}
	}
	return flow.FamilyUnspecified
}

// familyOf is the family of a valid address. An IPv4-mapped address is IPv6,
// as it is for the tool and on the wire.
func familyOf(a netip.Addr) flow.Family {
	if a.Is4() {
		return flow.IPv4
	}
	return flow.IPv6
}
