package conntrack

import (
	"net/netip"

	"github.com/ctferry/ctferry/source/flow"
)

// end is an address while the line is read: -s A/8 and --mask-src M both give
// the mask, and the later one holds.
type end struct {
	addr, mask netip.Addr
	cidr       bool // the mask came with the address
}

// take replaces the address; a mask that came with the old one goes with it.
func (e *end) take(a, mask netip.Addr) {
	e.addr = a
	if mask.IsValid() || e.cidr {
		e.mask, e.cidr = mask, mask.IsValid()
	}
}

// parameter takes an option that is no command, no plain number and of no
// protocol.
func (l *line) parameter(o *option, value string, has bool) (err error) {
	c := &l.cmd
	switch o.key {
	case kSrc, kDst, kTupleSrc, kTupleDst:
		return l.prefixed(o, value)
	case kMaskSrc, kMaskDst:
		return l.mask(o, value)
	case kReplySrc:
		c.ReplySrc, err = l.whole(o, value)
	case kReplyDst:
		c.ReplyDst, err = l.whole(o, value)
	case kProto:
		return l.protocol(value)
	case kStatus:
		return l.status(value)
	case kZero:
		c.Zero = true
	case kEvents:
		return l.events(value)
	case kNATRange:
		l.natRange = true
	case kMark:
		return l.mark(o, value)
	case kFamily:
		return l.familyOption(value)
	case kSrcNAT:
		c.SrcNAT, err = l.nat(o, value, has)
	case kDstNAT:
		c.DstNAT, err = l.nat(o, value, has)
	case kAnyNAT:
		c.AnyNAT, err = l.nat(o, value, has)
	case kOutput:
		return l.output(value)
	default:
		err = l.labelOption(o, value, has)
	}
	if err != nil && o.arg == argOptional && has && l.attached() {
		return stricter("attached", "%s", err)
	}
	return err
}

// prefixed takes an address that may have a prefix length, which counts as the
// mask's option.
func (l *line) prefixed(o *option, value string) error {
	a, mask, err := l.prefix(o, value)
	if err != nil {
		return err
	}
	e, m := l.endOf(o.key)
	e.take(a, mask)
	if mask.IsValid() {
		l.given |= keysOf(m)
	}
	return nil
}

// endOf is where the address of an option goes, and the option of its mask.
func (l *line) endOf(k key) (*end, key) {
	switch k {
	case kSrc:
		return &l.src, kMaskSrc
	case kDst:
		return &l.dst, kMaskDst
	case kTupleSrc:
		return &l.expectSrc, kMaskSrc
	}
	return &l.expectDst, kMaskDst
}

// mask takes --mask-src and --mask-dst, of the original direction or of an
// expectation: the table may not be known yet.
func (l *line) mask(o *option, value string) error {
	m, err := l.whole(o, value)
	if err != nil {
		return err
	}
	ends := [2]*end{&l.src, &l.expectSrc}
	if o.key == kMaskDst {
		ends = [2]*end{&l.dst, &l.expectDst}
	}
	for _, e := range ends {
		e.mask, e.cidr = m, false
	}
	return nil
}

func (l *line) familyOption(value string) error {
	f, ok := flow.ParseFamily(value)
	if !ok {
		if len(value) > 4 && (value[:4] == "ipv4" || value[:4] == "ipv6") {
			return stricter("family", "`%s' unsupported protocol", value)
		}
		return wrong("`%s' unsupported protocol", value)
	}
	l.cmd.Family = f
	return l.bind(f)
}

func (l *line) labelOption(o *option, value string, has bool) error {
	if l.given.all(kLabelAdd, kLabelDel) {
		return notBoth("cannot use --label-add and --label-del at the same time")
	}
	if !has {
		l.cmd.LabelDelAll = true
		return nil
	}
	names, err := l.labels(value)
	switch o.key {
	case kLabel:
		l.cmd.Labels = append(l.cmd.Labels, names...)
	case kLabelAdd:
		l.cmd.LabelAdd = append(l.cmd.LabelAdd, names...)
	case kLabelDel:
		l.cmd.LabelDel = append(l.cmd.LabelDel, names...)
	}
	return err
}

// numeric takes a parameter that is one number.
func (l *line) numeric(o *option, value string) error {
	n, err := l.number(o, value)
	if err != nil {
		return err
	}
	c := &l.cmd
	switch o.key {
	case kTimeout:
		c.Timeout = Some(uint32(n))
	case kID:
		c.ID = Some(uint32(n))
	case kSecmark:
		c.Secmark = Some(uint32(n))
	case kBuffer:
		c.Buffer = Some(int(n))
	case kZone:
		c.Zone = Some(uint16(n))
	case kOrigZone:
		c.OrigZone = Some(uint16(n))
	case kReplyZone:
		c.ReplyZone = Some(uint16(n))
	}
	return nil
}

// protocolOption takes an option of the line's protocol.
func (l *line) protocolOption(o *option, value string) error {
	switch o.key {
	case kState:
		return l.state(value)
	case kRole:
		return l.role(value)
	}
	n, err := l.number(o, value)
	if err != nil {
		return err
	}
	c := &l.cmd
	switch o.key {
	case kVTagOrig:
		c.SCTP.VTagOrig = Some(uint32(n))
	case kVTagReply:
		c.SCTP.VTagReply = Some(uint32(n))
	case kICMPType:
		c.ICMP.Type = Some(uint8(n))
	case kICMPCode:
		c.ICMP.Code = Some(uint8(n))
	case kICMPID:
		c.ICMP.ID = Some(uint16(n))
	default:
		*c.Ports.at(o.key) = Some(uint16(n))
	}
	return nil
}

// at is the field of a port's option.
func (p *Ports) at(k key) *Opt[uint16] {
	switch k {
	case kPortSrc:
		return &p.Src
	case kPortDst:
		return &p.Dst
	case kPortReplySrc:
		return &p.ReplySrc
	case kPortReplyDst:
		return &p.ReplyDst
	case kPortTupleSrc:
		return &p.TupleSrc
	case kPortTupleDst:
		return &p.TupleDst
	case kPortMaskSrc:
		return &p.MaskSrc
	}
	return &p.MaskDst
}
