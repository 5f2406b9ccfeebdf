package encode

import "github.com/ctferry/ctferry/source/flow"

// fill writes the values of the slots in use into their cells.
func (w *pen) fill(e *flow.Event, use slots) {
	c := &w.cells
	w.putTime(&c[slotTime], e.Time)
	c[slotSeq].putNumber(e.Seq)
	if use.has(slotID) {
		c[slotID].putNumber(uint64(e.ID))
	}
	if use.has(slotFlowID) {
		c[slotFlowID].putID(e.FlowID)
	}
	w.fillTuple(&e.Orig, slotOrig, use>>slotOrig)
	w.fillTuple(&e.Reply, slotReply, use>>slotReply)
	w.fillCounters(e, use)
	w.fillValues(e, use)
	w.fillTimes(e, use)
	if use>>slotRare != 0 {
		w.fillRare(e, use)
	}
}

// fillTuple takes the slots of one tuple, whose first is the lowest bit of use.
func (w *pen) fillTuple(t *flow.Tuple, first slot, use slots) {
	c := (*[tupleEnd]cell)(w.cells[first:])
	if use.has(tupleSrc) {
		w.putAddr(&c[tupleSrc], &t.Src, t.Family)
	}
	if use.has(tupleDst) {
		w.putAddr(&c[tupleDst], &t.Dst, t.Family)
	}
	if use.has(tupleSrcPort) {
		c[tupleSrcPort].putNumber(uint64(t.SrcPort))
	}
	if use.has(tupleDstPort) {
		c[tupleDstPort].putNumber(uint64(t.DstPort))
	}
	const rare = 1<<tupleICMPType | 1<<tupleICMPCode | 1<<tupleICMPID | 1<<tupleZone
	if use&rare == 0 {
		return
	}
	if use.has(tupleICMPType) {
		c[tupleICMPType].putNumber(uint64(t.ICMPType))
	}
	if use.has(tupleICMPCode) {
		c[tupleICMPCode].putNumber(uint64(t.ICMPCode))
	}
	if use.has(tupleICMPID) {
		c[tupleICMPID].putNumber(uint64(t.ICMPID))
	}
	if use.has(tupleZone) {
		c[tupleZone].putNumber(uint64(t.Zone))
	}
}

func (w *pen) fillCounters(e *flow.Event, use slots) {
	c := &w.cells
	if use.has(slotOrigPackets) {
		c[slotOrigPackets].putNumber(e.OrigCounters.Packets)
	}
	if use.has(slotOrigBytes) {
		c[slotOrigBytes].putNumber(e.OrigCounters.Bytes)
	}
	if use.has(slotReplyPackets) {
		c[slotReplyPackets].putNumber(e.ReplyCounters.Packets)
	}
	if use.has(slotReplyBytes) {
		c[slotReplyBytes].putNumber(e.ReplyCounters.Bytes)
	}
}

func (w *pen) fillValues(e *flow.Event, use slots) {
	c := &w.cells
	if use.has(slotTimeout) {
		c[slotTimeout].putNumber(uint64(e.Timeout))
	}
	if use.has(slotMark) {
		c[slotMark].putNumber(uint64(e.Mark))
	}
	if use.has(slotPortID) {
		c[slotPortID].putNumber(uint64(e.PortID))
	}
	if use.has(slotProgName) && e.Extra.ProgName != w.progName {
		w.progName = e.Extra.ProgName
		w.prog = w.text(w.prog[:0], w.progName)
	}
	if use.has(slotCommunity) {
		w.putCommunity(slotCommunity, e, &e.Orig)
	}
	if use.has(slotNATCommunity) {
		t := e.NATTuple()
		w.putCommunity(slotNATCommunity, e, &t)
	}
}

func (w *pen) putCommunity(s slot, e *flow.Event, t *flow.Tuple) {
	c := &w.cells[s]
	text, _ := w.p.appendHash(c.text[:0], e.Proto, t)
	c.n = len(text)
}

func (w *pen) fillTimes(e *flow.Event, use slots) {
	c := &w.cells
	if use.has(slotReceived) {
		w.putTime(&c[slotReceived], e.Received)
	}
	if use.has(slotStart) {
		w.putTime(&c[slotStart], e.Start)
	}
	if use.has(slotStop) {
		w.putTime(&c[slotStop], e.Stop)
	}
	if use.has(slotDuration) {
		c[slotDuration].putNumber(uint64(e.Stop) - uint64(e.Start))
	}
}

// fillRare takes the slots that few records have, or one of the formats.
func (w *pen) fillRare(e *flow.Event, use slots) {
	c := &w.cells
	for rest := use >> slotRare << slotRare; rest != 0; rest &= rest - 1 {
		switch s := rest.first(); s {
		case slotLabels:
			c[s].putLabels(&e.Labels)
		case slotDumpID:
			c[s].putID(e.Dump.ID)
		case slotStartNS:
			c[s].putInt(e.Start)
		case slotStopNS:
			c[s].putInt(e.Stop)
		default:
			c[s%64].putNumber(rareNumber(e, s))
		}
	}
}

// rareNumber is the value of a slot that is a number.
func rareNumber(e *flow.Event, s slot) uint64 {
	switch s {
	case slotWScaleOrig:
		return uint64(e.TCP.WScaleOrig)
	case slotWScaleReply:
		return uint64(e.TCP.WScaleReply)
	case slotFlagsOrig:
		return uint64(e.TCP.FlagsOrig)
	case slotFlagsReply:
		return uint64(e.TCP.FlagsReply)
	case slotVTagOrig:
		return uint64(e.SCTP.VTagOrig)
	case slotVTagReply:
		return uint64(e.SCTP.VTagReply)
	case slotZone:
		return uint64(e.Zone)
	case slotUse:
		return uint64(e.Use)
	case slotISN:
		return uint64(e.Extra.SynProxy.ISN)
	case slotITS:
		return uint64(e.Extra.SynProxy.ITS)
	case slotTSOff:
		return uint64(e.Extra.SynProxy.TSOff)
	case slotInterval:
		return notNegative(e.Interval)
	case slotOrigPacketsDelta:
		return e.OrigDeltas.Packets
	case slotOrigBytesDelta:
		return e.OrigDeltas.Bytes
	case slotReplyPacketsDelta:
		return e.ReplyDeltas.Packets
	}
	return e.ReplyDeltas.Bytes
}
