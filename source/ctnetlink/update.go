package ctnetlink

import (
	"context"
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

// Update is what is to change of an entry; nil leaves a value as it is. Only
// the key and what changes is sent: with a NAT or a master the kernel refuses
// the whole (unix.EOPNOTSUPP), so it is never told what an entry has.
//
// The kernel applies what it is told in the order helper, timeout, status,
// protocol state, mark, labels. An error midway leaves what came before it
// changed.
type Update struct {
	// Helper attaches a helper by name; "" takes it away, with its
	// expectations. An entry that was made without one can be given none
	// (unix.EOPNOTSUPP), one that has another keeps it (unix.EBUSY).
	Helper *string

	Timeout *uint32 // seconds; unix.EPERM for an entry with FIXED_TIMEOUT

	// Status is the whole new status. SEEN_REPLY and ASSURED can be set but not
	// cleared, EXPECTED and DYING must be as they are, else unix.EBUSY; so send
	// the row's own status with more bits. CONFIRMED is added. Bits that are the
	// kernel's own, as of NAT and of offload, stay whatever is told.
	Status *uint32

	TCP  *TCPUpdate
	SCTP *flow.SCTP // all of it
	DCCP *flow.DCCP // all of it; newer kernels know no DCCP

	// Mark gives the new mark: (old &^ Mask) ^ Value. Bits of Value outside of
	// Mask toggle: 5 with 0x10/0xf0 is 0x15, and with 0x11/0xf0 is 0x14. A mask
	// of all ones replaces the mark.
	Mark *Masked

	// Labels change as a mark does; unix.ENOSPC for an entry that was made
	// while no rule of the namespace used labels.
	Labels *MaskedLabels
}

// TCPUpdate is what is to change of a TCP connection's state.
type TCPUpdate struct {
	State                 *uint8       // enum tcp_conntrack
	WScale                *[2]uint8    // original, reply; the kernel takes both, for a connection that scales
	FlagsOrig, FlagsReply *MaskedFlags // IP_CT_TCP_FLAG_*
}

// MaskedFlags are TCP tracking flags of which those in Mask are set to Value
// (struct nf_ct_tcp_flags); unlike with a mark, no other bit changes.
type MaskedFlags struct{ Value, Mask uint8 }

// MaskedLabels are labels of which those in Mask are set to Value. They are as
// the kernel keeps them: label n is bit n%8 of byte n/8. As with a mark, bits
// of Value outside of Mask toggle. To add labels give them in both; to take
// them away give them in Mask.
type MaskedLabels struct{ Value, Mask [16]byte }

var errNothing = errors.New("expected something to change")

// Update changes one entry. The error is unix.ENOENT when there is no such
// entry. The kernel does not compare the key's ID when it updates, so an entry
// that came into the tuple's place meanwhile is changed too; to be refused that,
// as far as can be, Get it first.
func (c *Conn) Update(ctx context.Context, k Key, u Update) error {
	q, err := u.request(k)
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

func (u *Update) request(k Key) (*request, error) {
	q, err := k.request("update", msgCtNew)
	if err != nil {
		return nil, err
	}
	if *u == (Update{}) {
		return nil, q.fail(errNothing)
	}
	q.attrs = func(w *writer) {
		k.write(w)
		u.write(w)
	}
	return q, nil
}

func (u *Update) write(w *writer) {
	if u.Helper != nil {
		at := w.nest(ctaHelp)
		w.putName(ctaHelpName, *u.Helper)
		w.close(at)
	}
	if u.Timeout != nil {
		w.put32(ctaTimeout, *u.Timeout)
	}
	if u.Status != nil {
		w.put32(ctaStatus, *u.Status|flow.StatusConfirmed)
	}
	u.writeState(w)
	if u.Mark != nil {
		w.put32(ctaMark, u.Mark.Value)
		w.put32(ctaMarkMask, u.Mark.Mask)
	}
	if u.Labels != nil {
		w.putBytes(ctaLabels, u.Labels.Value[:])
		w.putBytes(ctaLabelsMask, u.Labels.Mask[:])
	}
}

// writeState appends CTA_PROTOINFO.
func (u *Update) writeState(w *writer) {
	if u.TCP == nil && u.SCTP == nil && u.DCCP == nil {
		return
	}
	at := w.nest(ctaProtoInfo)
	if u.TCP != nil {
		u.TCP.write(w)
	}
	if u.DCCP != nil {
		w.putDCCP(&flow.Event{Has: hasDCCP, DCCP: *u.DCCP})
	}
	if u.SCTP != nil {
		w.putSCTP(&flow.Event{Has: hasSCTP, SCTP: *u.SCTP})
	}
	w.close(at)
}

func (u *TCPUpdate) write(w *writer) {
	at := w.nest(ctaProtoInfoTCP)
	if u.State != nil {
		w.put8(ctaTCPState, *u.State)
	}
	if u.WScale != nil {
		w.put8(ctaTCPWScaleOrig, u.WScale[0])
		w.put8(ctaTCPWScaleReply, u.WScale[1])
	}
	if f := u.FlagsOrig; f != nil {
		w.putBytes(ctaTCPFlagsOrig, []byte{f.Value, f.Mask})
	}
	if f := u.FlagsReply; f != nil {
		w.putBytes(ctaTCPFlagsReply, []byte{f.Value, f.Mask})
	}
	w.close(at)
}
