package control

import (
	"fmt"

	"github.com/ctferry/ctferry/source/flow"
)

// updateParts is the memory of an update.
type updateParts struct {
	status uint32
	tcp    flow.TCPUpdate
	sctp   flow.SCTP
	dccp   flow.DCCP
	labels flow.MaskedLabels
}

// updating is the changer of update.
func (c *call) updating(s *slot, e *flow.Event) (*flow.Change, error) {
	s.update = flow.KeyUpdate{Key: flow.KeyOf(e)}
	if err := c.q.Change.of(e, &s.update.Update, &s.parts); err != nil {
		return nil, err
	}
	if s.update.Update == (flow.Update{}) {
		return nil, nil
	}
	s.change = flow.Change{Update: &s.update}
	return &s.change, nil
}

// of works out what is to be told to the kernel of an entry, which is only what
// differs from what it has.
func (c *Change) of(e *flow.Event, u *flow.Update, p *updateParts) error {
	if c.Timeout != nil && !(e.Got(flow.HasTimeout) && e.Timeout == *c.Timeout) {
		u.Timeout = c.Timeout
	}
	if c.Mark != nil && (present(e, flow.HasMark, e.Mark)&^c.Mark.Mask)^c.Mark.Value != present(e, flow.HasMark, e.Mark) {
		u.Mark = c.Mark
	}
	// The kernel takes the whole status, and no bit may be cleared.
	if status := present(e, flow.HasStatus, e.Status); c.Status&^status != 0 {
		p.status = status | c.Status
		u.Status = &p.status
	}
	if c.Helper != nil && *c.Helper != helperOf(e) {
		u.Helper = c.Helper
	}
	c.labels(e, u, p)
	return c.state(e, u, p)
}

// present is a value that is 0 where it is absent.
func present(e *flow.Event, bit flow.Has, v uint32) uint32 {
	if !e.Got(bit) {
		return 0
	}
	return v
}

func helperOf(e *flow.Event) string {
	if !e.Got(flow.HasHelper) || e.Extra == nil {
		return ""
	}
	return e.Extra.Helper
}

func (c *Change) labels(e *flow.Event, u *flow.Update, p *updateParts) {
	if c.LabelAdd == nil && c.LabelDel == nil {
		return
	}
	var have [16]byte
	if e.Got(flow.HasLabels) {
		have = e.Labels
	}
	p.labels = flow.MaskedLabels{}
	if c.LabelAdd != nil {
		p.labels.Value, p.labels.Mask = *c.LabelAdd, *c.LabelAdd
	}
	differs := false
	for i := range have {
		if c.LabelDel != nil {
			p.labels.Mask[i] |= c.LabelDel[i]
		}
		differs = differs || have[i]&^p.labels.Mask[i]|p.labels.Value[i] != have[i]
	}
	if differs {
		u.Labels = &p.labels
	}
}

// state works out the protocol's state.
func (c *Change) state(e *flow.Event, u *flow.Update, p *updateParts) error {
	switch {
	case c.TCPState != nil:
		if err := wantProto(e, flow.ProtoTCP, "tcp_state"); err != nil {
			return err
		}
		if !e.Got(flow.HasTCPState) || e.TCP.State != *c.TCPState {
			p.tcp = flow.TCPUpdate{State: c.TCPState}
			u.TCP = &p.tcp
		}
	case c.SCTPState != nil || c.OrigVTag != nil || c.ReplyVTag != nil:
		return c.sctp(e, u, p)
	case c.DCCPState != nil || c.DCCPRole != nil:
		return c.dccp(e, u, p)
	}
	return nil
}

func (c *Change) sctp(e *flow.Event, u *flow.Update, p *updateParts) error {
	if err := wantProto(e, flow.ProtoSCTP, "sctp_state"); err != nil {
		return err
	}
	old := flow.SCTP{}
	if e.Got(flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply) {
		old = e.SCTP
	}
	p.sctp = old
	overlay(&p.sctp.State, c.SCTPState)
	overlay(&p.sctp.VTagOrig, c.OrigVTag)
	overlay(&p.sctp.VTagReply, c.ReplyVTag)
	if p.sctp != old {
		u.SCTP = &p.sctp
	}
	return nil
}

func (c *Change) dccp(e *flow.Event, u *flow.Update, p *updateParts) error {
	if err := wantProto(e, flow.ProtoDCCP, "dccp_state"); err != nil {
		return err
	}
	old := flow.DCCP{}
	if e.Got(flow.HasDCCPState | flow.HasDCCPRole | flow.HasDCCPSeq) {
		old = e.DCCP
	}
	p.dccp = old
	overlay(&p.dccp.State, c.DCCPState)
	overlay(&p.dccp.Role, c.DCCPRole)
	if p.dccp != old {
		u.DCCP = &p.dccp
	}
	return nil
}

func overlay[T any](into *T, v *T) {
	if v != nil {
		*into = *v
	}
}

// wantProto refuses a state for an entry of another protocol, which the kernel
// would pass over without a word.
func wantProto(e *flow.Event, proto uint8, field string) error {
	if e.Proto == proto {
		return nil
	}
	name := flow.ProtoName(e.Proto)
	if name == "" {
		name = fmt.Sprintf("of protocol %d", e.Proto)
	}
	return invalid("change."+field, "the entry is %s, not %s", name, flow.ProtoName(proto))
}
