package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// protoInfo decodes CTA_PROTOINFO (enum ctattr_protoinfo).
func protoInfo(e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var err error
		switch kind {
		case ctaProtoInfoTCP:
			err = tcpInfo(e, val)
		case ctaProtoInfoDCCP:
			err = dccpInfo(e, val)
		case ctaProtoInfoSCTP:
			err = sctpInfo(e, val)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tcpInfo decodes CTA_PROTOINFO_TCP. The flags are a struct nf_ct_tcp_flags:
// flags and a mask, which the kernel sends as zero.
func tcpInfo(e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.Has
		switch kind {
		case ctaTCPState:
			has, ok = flow.HasTCPState, get8(val, &e.TCP.State)
		case ctaTCPWScaleOrig:
			has, ok = flow.HasTCPWScaleOrig, get8(val, &e.TCP.WScaleOrig)
		case ctaTCPWScaleReply:
			has, ok = flow.HasTCPWScaleReply, get8(val, &e.TCP.WScaleReply)
		case ctaTCPFlagsOrig:
			has, ok = flow.HasTCPFlagsOrig, getFlags(val, &e.TCP.FlagsOrig)
		case ctaTCPFlagsReply:
			has, ok = flow.HasTCPFlagsReply, getFlags(val, &e.TCP.FlagsReply)
		}
		if !ok {
			return errLength
		}
		e.Has |= has
	}
	return nil
}

func getFlags(v []byte, to *uint8) bool {
	if len(v) != 2 {
		return false
	}
	*to = v[0]
	return true
}

// dccpInfo decodes CTA_PROTOINFO_DCCP.
func dccpInfo(e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.Has
		switch kind {
		case ctaDCCPState:
			has, ok = flow.HasDCCPState, get8(val, &e.DCCP.State)
		case ctaDCCPRole:
			has, ok = flow.HasDCCPRole, get8(val, &e.DCCP.Role)
		case ctaDCCPSeq:
			has, ok = flow.HasDCCPSeq, get64(val, &e.DCCP.HandshakeSeq)
		}
		if !ok {
			return errLength
		}
		e.Has |= has
	}
	return nil
}

// sctpInfo decodes CTA_PROTOINFO_SCTP.
func sctpInfo(e *flow.Event, p []byte) error {
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.Has
		switch kind {
		case ctaSCTPState:
			has, ok = flow.HasSCTPState, get8(val, &e.SCTP.State)
		case ctaSCTPVTagOrig:
			has, ok = flow.HasSCTPVTagOrig, get32(val, &e.SCTP.VTagOrig)
		case ctaSCTPVTagReply:
			has, ok = flow.HasSCTPVTagReply, get32(val, &e.SCTP.VTagReply)
		}
		if !ok {
			return errLength
		}
		e.Has |= has
	}
	return nil
}
