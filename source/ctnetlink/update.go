package ctnetlink

import (
	"context"
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

var errNothing = errors.New("expected something to change")

// Update changes one entry. The error is unix.ENOENT when there is no such
// entry. The kernel does not compare the key's ID when it updates, so an entry
// that came into the tuple's place meanwhile is changed too; to be refused that,
// as far as can be, Get it first.
func (c *Conn) Update(ctx context.Context, k flow.Key, u flow.Update) error {
	q, err := (*update)(&u).request(k)
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

// update writes what is to change.
type update flow.Update

func (u *update) request(k flow.Key) (*request, error) {
	key := (*entryKey)(&k)
	q, err := key.request("update", msgCtNew)
	if err != nil {
		return nil, err
	}
	if *u == (update{}) {
		return nil, q.fail(errNothing)
	}
	q.attrs = func(w *writer) {
		key.write(w)
		u.write(w)
	}
	return q, nil
}

func (u *update) write(w *writer) {
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
func (u *update) writeState(w *writer) {
	if u.TCP == nil && u.SCTP == nil && u.DCCP == nil {
		return
	}
	at := w.nest(ctaProtoInfo)
	if u.TCP != nil {
		(*tcpUpdate)(u.TCP).write(w)
	}
	if u.DCCP != nil {
		w.putDCCP(&flow.Event{Has: hasDCCP, DCCP: *u.DCCP})
	}
	if u.SCTP != nil {
		w.putSCTP(&flow.Event{Has: hasSCTP, SCTP: *u.SCTP})
	}
	w.close(at)
}

// tcpUpdate writes CTA_PROTOINFO_TCP.
type tcpUpdate flow.TCPUpdate

func (u *tcpUpdate) write(w *writer) {
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
