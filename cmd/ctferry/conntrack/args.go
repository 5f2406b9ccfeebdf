package conntrack

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// Args is the command as a command line in one canonical form. A Parser that
// knows the line's extra options reads it back to an equal Command.
func (c *Command) Args() []string {
	var w words
	switch {
	case c.Verb == VerbLoadFile:
		w = append(w, "-R", c.File)
	case c.Verb != VerbNone:
		w = append(w, c.Verb.Flag())
		if c.Table != TableConntrack {
			w = append(w, c.Table.String())
		}
	}
	c.addresses(&w)
	if c.Proto.Set {
		w = append(w, "-p", strconv.Itoa(int(c.Proto.Value)))
		c.protocol(&w)
	}
	c.parameters(&w)
	c.lists(&w)
	for _, x := range c.Extra {
		w = append(w, "--"+x.Name)
		if x.Value != "" {
			w[len(w)-1] += "=" + x.Value
		}
	}
	return w
}

type words []string

func (w *words) text(option, value string) {
	if value != "" {
		*w = append(*w, option, value)
	}
}

func (w *words) addr(option string, a netip.Addr) {
	if a.IsValid() {
		*w = append(*w, option, a.String())
	}
}

func number[T uint8 | uint16 | uint32 | int](w *words, option string, o Opt[T]) {
	if o.Set {
		*w = append(*w, option, strconv.FormatInt(int64(o.Value), 10))
	}
}

func (w *words) masked(option, maskOption string, m Masked) {
	p, ok := m.Prefix()
	switch {
	case ok && m.Mask.IsValid():
		*w = append(*w, option, p.String())
	case m.Addr.IsValid():
		*w = append(*w, option, m.Addr.String())
		w.addr(maskOption, m.Mask)
	}
}

func (w *words) nat(option string, n NAT) {
	switch {
	case !n.Set:
	case !n.Addr.IsValid():
		*w = append(*w, option)
	case n.Port.Set:
		*w = append(*w, option, netip.AddrPortFrom(n.Addr, n.Port.Value).String())
	default:
		*w = append(*w, option, n.Addr.String())
	}
}

func (c *Command) addresses(w *words) {
	w.text("-f", c.Family.String())
	w.masked("-s", "--mask-src", c.Src)
	w.masked("-d", "--mask-dst", c.Dst)
	w.addr("-r", c.ReplySrc)
	w.addr("-q", c.ReplyDst)
	w.addr("--tuple-src", c.Expect.TupleSrc)
	w.addr("--tuple-dst", c.Expect.TupleDst)
	w.addr("--mask-src", c.Expect.MaskSrc)
	w.addr("--mask-dst", c.Expect.MaskDst)
	w.nat("-n", c.SrcNAT)
	w.nat("-g", c.DstNAT)
	w.nat("-j", c.AnyNAT)
}

func (c *Command) protocol(w *words) {
	p := protocolOf(c.Proto.Value)
	if p == nil {
		return
	}
	for _, o := range p.options {
		name := "--" + o.names[0]
		switch o.key {
		case kState:
			w.text(name, c.stateName())
		case kRole:
			if c.Role.Set {
				w.text(name, strings.ToLower(flow.DCCPRoleName(c.Role.Value)))
			}
		case kVTagOrig:
			number(w, name, c.SCTP.VTagOrig)
		case kVTagReply:
			number(w, name, c.SCTP.VTagReply)
		case kICMPType:
			number(w, name, c.ICMP.Type)
		case kICMPCode:
			number(w, name, c.ICMP.Code)
		case kICMPID:
			number(w, name, c.ICMP.ID)
		default:
			number(w, name, *c.Ports.at(o.key))
		}
	}
}

func (c *Command) stateName() string {
	switch {
	case !c.State.Set:
		return ""
	case c.Proto.Value == flow.ProtoSCTP:
		return flow.SCTPStateName(c.State.Value)
	case c.Proto.Value == flow.ProtoDCCP:
		return flow.DCCPStateName(c.State.Value)
	}
	return flow.TCPStateName(c.State.Value)
}

func (c *Command) parameters(w *words) {
	number(w, "-t", c.Timeout)
	if m := c.Mark; m.Set && m.Value.Mask != 1<<32-1 {
		w.text("-m", fmt.Sprintf("%#x/%#x", m.Value.Value, m.Value.Mask))
	} else if m.Set {
		w.text("-m", fmt.Sprintf("%#x", m.Value.Value))
	}
	number(w, "-c", c.Secmark)
	number(w, "-i", c.ID)
	number(w, "-w", c.Zone)
	number(w, "--orig-zone", c.OrigZone)
	number(w, "--reply-zone", c.ReplyZone)
	number(w, "-b", c.Buffer)
	if c.Zero {
		*w = append(*w, "-z")
	}
}

func (c *Command) lists(w *words) {
	if c.Status.Set {
		w.text("-u", strings.Join(c.Status.words(), ","))
	}
	var events []string
	for _, n := range c.Events.Names() {
		t, _ := flow.ParseType(n)
		events = append(events, map[flow.Type]string{flow.TypeNew: "NEW", flow.TypeUpdate: "UPDATES", flow.TypeDestroy: "DESTROY"}[t])
	}
	w.text("-e", strings.Join(events, ","))
	w.text("-o", c.Output.String())
	w.text("-l", strings.Join(c.Labels, ","))
	w.text("--label-add", strings.Join(c.LabelAdd, ","))
	switch names := strings.Join(c.LabelDel, ","); {
	case c.LabelDelAll:
		*w = append(*w, "--label-del")
	case strings.HasPrefix(names, "-"): // the next word would be an option
		*w = append(*w, "--label-del="+names)
	default:
		w.text("--label-del", names)
	}
}

// words lists the status as -u takes it.
func (s Status) words() []string {
	var list []string
	for n := range 32 {
		if s.Bits&(1<<n) != 0 {
			list = append(list, flow.StatusName(n))
		}
	}
	if s.Unreplied {
		list = append(list, "UNREPLIED")
	}
	if len(list) == 0 {
		return []string{"UNSET"}
	}
	return list
}
