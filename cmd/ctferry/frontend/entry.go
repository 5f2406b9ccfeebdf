package frontend

import (
	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// The flags that conntrack(8) gives a TCP connection it makes, of both
// directions (IP_CT_TCP_FLAG_*): liberal window checks, because nobody knows its
// windows, and selective acknowledgements; and that the closing has begun.
const (
	tcpFlags       = 0x02 | 0x08
	tcpFlagsClosed = tcpFlags | 0x04
)

// entry is what -I and -A make, in the memory of e.
func (f *Front) entry(c *conntrack.Command, e *flow.Event) control.Entry {
	if c.Table == conntrack.TableExpect {
		*e = flow.Event{
			Has: flow.HasExpect, Type: flow.TypeNew, Table: flow.TableExpect, Family: c.AddrFamily(),
			Extra: &flow.Extra{Expect: expectation(c)},
		}
		return control.Entry{Event: e}
	}
	*e = flow.Event{Has: flow.HasOrig | flow.HasReply | flow.HasTimeout, Type: flow.TypeNew, Table: flow.TableConntrack, Proto: c.Proto.Value, Timeout: c.Timeout.Value}
	e.Orig, e.Reply = directions(c)
	e.Family = e.Orig.Family
	if c.Status.Set {
		e.Status = c.Status.Bits
		e.Has |= flow.HasStatus
	}
	if c.Mark.Set {
		e.Mark = c.Mark.Value.Value
		e.Has |= flow.HasMark
	}
	if c.Zone.Set {
		e.Zone = c.Zone.Value
		e.Has |= flow.HasZone
	}
	if len(c.LabelAdd) > 0 {
		e.Labels = f.Names.bits(c.LabelAdd)
		e.Has |= flow.HasLabels
	}
	state(e, c)
	return control.Entry{Event: e, SrcNAT: natRange(c.SrcNAT), DstNAT: natRange(c.DstNAT)}
}

// state adds what the protocol keeps.
func state(e *flow.Event, c *conntrack.Command) {
	switch {
	case !c.State.Set:
	case e.Proto == flow.ProtoTCP:
		flags := uint8(tcpFlags)
		if c.State.Value >= flow.TCPTimeWait { // TIME_WAIT, CLOSE and LISTEN
			flags = tcpFlagsClosed
		}
		e.TCP = flow.TCP{State: c.State.Value, FlagsOrig: flags, FlagsReply: flags}
		e.Has |= flow.HasTCPState | flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply
	case e.Proto == flow.ProtoSCTP:
		e.SCTP = flow.SCTP{State: c.State.Value, VTagOrig: c.SCTP.VTagOrig.Value, VTagReply: c.SCTP.VTagReply.Value}
		e.Has |= flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
	case e.Proto == flow.ProtoDCCP:
		e.DCCP = flow.DCCP{State: c.State.Value, Role: c.Role.Value}
		e.Has |= flow.HasDCCPState | flow.HasDCCPRole
	}
}

func natRange(n conntrack.NAT) *flow.NATRange {
	if !n.Set {
		return nil
	}
	return &flow.NATRange{Min: n.Addr, MinPort: n.Port.Value}
}

// change is what -U changes.
func (f *Front) change(c *conntrack.Command) control.Change {
	var n control.Change
	if c.Timeout.Set {
		n.Timeout = &c.Timeout.Value
	}
	if c.Mark.Set {
		n.Mark = &flow.Masked{Value: c.Mark.Value.Value, Mask: c.Mark.Value.Mask}
	}
	n.Status = c.Status.Bits
	if c.State.Set {
		switch c.Proto.Value {
		case flow.ProtoTCP:
			n.TCPState = &c.State.Value
		case flow.ProtoSCTP:
			n.SCTPState = &c.State.Value
		case flow.ProtoDCCP:
			n.DCCPState = &c.State.Value
		}
	}
	if c.SCTP.VTagOrig.Set {
		n.OrigVTag = &c.SCTP.VTagOrig.Value
	}
	if c.SCTP.VTagReply.Set {
		n.ReplyVTag = &c.SCTP.VTagReply.Value
	}
	if len(c.LabelAdd) > 0 {
		set := f.Names.bits(c.LabelAdd)
		n.LabelAdd = &set
	}
	switch {
	case c.LabelDelAll:
		all := [16]byte{}
		for i := range all {
			all[i] = 0xff
		}
		n.LabelDel = &all
	case len(c.LabelDel) > 0:
		set := f.Names.bits(c.LabelDel)
		n.LabelDel = &set
	}
	return n
}
