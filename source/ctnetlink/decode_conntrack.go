package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// conntrack decodes the attributes of a conntrack message (enum ctattr_type).
func (d *decoder) conntrack(b *flow.Batch, e *flow.Event, p []byte) error {
	for p = quickAttrs(b, e, quickFront(e, p)); len(p) > 0; p = quickAttrs(b, e, p) {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.Has
		var err error
		switch kind {
		case ctaTupleOrig:
			has, err = flow.HasOrig, tuple(&e.Orig, e.Family, val)
			e.Proto = e.Orig.Proto
		case ctaTupleReply:
			has, err = flow.HasReply, tuple(&e.Reply, e.Family, val)
		case ctaID:
			has, ok = flow.HasID, get32(val, &e.ID)
		case ctaStatus:
			has, ok = flow.HasStatus, get32(val, &e.Status)
		case ctaTimeout:
			has, ok = flow.HasTimeout, get32(val, &e.Timeout)
		case ctaMark:
			has, ok = flow.HasMark, get32(val, &e.Mark)
		case ctaCountersOrig:
			has, err = flow.HasOrigCounters, counters(&e.OrigCounters, val)
		case ctaCountersReply:
			has, err = flow.HasReplyCounters, counters(&e.ReplyCounters, val)
		case ctaProtoInfo:
			err = protoInfo(e, val)
		case ctaTimestamp:
			err = timestamp(e, val)
		case ctaTimestampEvent:
			e.TimeSource, ok = flow.TimeKernel, getTime(val, &e.Time)
		case ctaUse:
			has, ok = flow.HasUse, get32(val, &e.Use)
		case ctaZone:
			has, ok = flow.HasZone, get16(val, &e.Zone)
		default:
			err = d.rare(b, e, kind, val)
		}
		if err != nil {
			return err
		}
		if !ok {
			return errLength
		}
		e.Has |= has
	}
	return nil
}

// rare decodes what few events carry. Attributes that are not known are passed
// over: newer kernels have more.
func (d *decoder) rare(b *flow.Batch, e *flow.Event, kind uint16, val []byte) error {
	var has flow.Has
	var err error
	switch kind {
	case ctaHelp:
		err = d.helper(b, e, val)
	case ctaSecCtx:
		err = d.secCtx(b, e, val)
	case ctaTupleMaster:
		has, err = flow.HasMaster, tuple(&b.ExtraFor(e).Master, e.Family, val)
	case ctaSeqAdjOrig:
		has, err = flow.HasOrigSeqAdj, seqAdj(&b.ExtraFor(e).OrigSeqAdj, val)
	case ctaSeqAdjReply:
		has, err = flow.HasReplySeqAdj, seqAdj(&b.ExtraFor(e).ReplySeqAdj, val)
	case ctaSynProxy:
		has, err = flow.HasSynProxy, synProxy(&b.ExtraFor(e).SynProxy, val)
	case ctaLabels:
		if len(val) != len(e.Labels) {
			return errLength
		}
		copy(e.Labels[:], val)
		has = flow.HasLabels
	}
	if err == nil {
		e.Has |= has
	}
	return err
}

// helper decodes CTA_HELP; CTA_HELP_INFO is the helper's own and stays unread.
func (d *decoder) helper(b *flow.Batch, e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		if kind != ctaHelpName {
			continue
		}
		if err := d.names.name(val, &b.ExtraFor(e).Helper); err != nil {
			return err
		}
		e.Has |= flow.HasHelper
	}
	return nil
}

// secCtx decodes CTA_SECCTX.
func (d *decoder) secCtx(b *flow.Batch, e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		if kind != ctaSecCtxName {
			continue
		}
		if err := d.names.name(val, &b.ExtraFor(e).SecCtx); err != nil {
			return err
		}
		e.Has |= flow.HasSecCtx
	}
	return nil
}
