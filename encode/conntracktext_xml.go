package encode

import "github.com/ctferry/ctferry/source/flow"

// AppendXMLHeader appends the lines before the first row of conntrack's XML,
// each with its end. A table without rows has no document: nothing is printed.
func AppendXMLHeader(dst []byte, table flow.Table) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="utf-8"?>`+"\n<"...)
	return append(append(dst, rootOf(table)...), '>', '\n')
}

// AppendXMLFooter appends the line after the last row, with its end.
func AppendXMLFooter(dst []byte, table flow.Table) []byte {
	return append(append(append(dst, '<', '/'), rootOf(table)...), '>', '\n')
}

// rootOf is the root element of a table's document.
func rootOf(table flow.Table) string {
	if table == flow.TableExpect {
		return "expect"
	}
	return "conntrack"
}

// independent are the values for which conntrack opens the third <meta>. Some
// of them are then not in it.
const independent = flow.HasTCPState | flow.HasSCTPState | flow.HasDCCPState | flow.HasTimeout |
	flow.HasMark | flow.HasZone | flow.HasUse | flow.HasID | flow.HasStatus | flow.HasLabels | flow.HasStart | flow.HasStop

// docFlow appends an entry of the conntrack table. Kind is the event's, "" for
// a row.
func (t *Text) docFlow(dst []byte, e *flow.Event, kind string, when bool) []byte {
	dst = docOpen(dst, kind)
	if e.Any(flow.HasOrig) {
		dst = docDirection(append(dst, `<meta direction="original">`...), e, &e.Orig, e.Proto)
		if e.Any(flow.HasOrigCounters) {
			dst = docTotals(dst, &e.OrigCounters)
		}
		dst = append(dst, "</meta>"...)
	}
	if e.Any(flow.HasReply) {
		dst = docDirection(append(dst, `<meta direction="reply">`...), e, &e.Reply, protoOf(e))
		if e.Any(flow.HasReplyCounters) {
			dst = docTotals(dst, &e.ReplyCounters)
		}
		dst = append(dst, "</meta>"...)
	}
	if e.Any(independent) {
		dst = append(t.docMeta(append(dst, `<meta direction="independent">`...), e), "</meta>"...)
	} else {
		dst = t.docMeta(dst, e) // a security context alone stands outside
	}
	if when {
		dst = t.docWhen(dst, e)
	}
	if e.Any(flow.HasHelper) && e.Extra != nil {
		dst = xmlText(dst, "<helper>", e.Extra.Helper)
	}
	return append(dst, "</flow>"...)
}

func docOpen(dst []byte, kind string) []byte {
	if kind == "" {
		return append(dst, "<flow>"...)
	}
	return append(append(append(dst, `<flow type="`...), kind...), '"', '>')
}

// docDirection appends one direction's layers and zone.
func docDirection(dst []byte, e *flow.Event, t *flow.Tuple, proto uint8) []byte {
	dst = docLayer3(dst, e.Family)
	dst = append(docAddrs(dst, t), "</layer3>"...)
	dst = docLayer4(dst, proto)
	dst = append(docPorts(dst, t, proto), "</layer4>"...)
	if t.Got(flow.HasTupleZone) {
		dst = xmlUint(dst, "<zone>", uint64(t.Zone))
	}
	return dst
}

func docLayer3(dst []byte, f flow.Family) []byte {
	dst = appendUint8(append(dst, `<layer3 protonum="`...), uint8(f))
	return append(append(append(dst, `" protoname="`...), family(f)...), '"', '>')
}

func docLayer4(dst []byte, proto uint8) []byte {
	dst = appendUint8(append(dst, `<layer4 protonum="`...), proto)
	return append(append(append(dst, `" protoname="`...), protocol(proto)...), '"', '>')
}

func docAddrs(dst []byte, t *flow.Tuple) []byte {
	if t.Got(flow.HasSrc) {
		dst = xmlEnd(appendInetAddr(append(dst, "<src>"...), &t.Src, t.Family), "<src>")
	}
	if t.Got(flow.HasDst) {
		dst = xmlEnd(appendInetAddr(append(dst, "<dst>"...), &t.Dst, t.Family), "<dst>")
	}
	return dst
}

// docPorts appends ports or keys. ICMP's type, code and id have no place in
// conntrack's document.
func docPorts(dst []byte, t *flow.Tuple, proto uint8) []byte {
	l4 := layer4Of(t)
	switch proto {
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDPLite, flow.ProtoSCTP, flow.ProtoDCCP:
		return xmlUint(xmlUint(dst, "<sport>", uint64(l4.src)), "<dport>", uint64(l4.dst))
	case flow.ProtoGRE:
		return xmlKey(xmlKey(dst, "<srckey>", l4.src), "<dstkey>", l4.dst)
	}
	return dst
}

func docTotals(dst []byte, c *flow.Counters) []byte {
	dst = xmlUint(append(dst, "<counters>"...), "<packets>", c.Packets)
	return append(xmlUint(dst, "<bytes>", c.Bytes), "</counters>"...)
}

// docMeta appends what belongs to neither direction.
func (t *Text) docMeta(dst []byte, e *flow.Event) []byte {
	dst = xmlWord(dst, "<state>", stateOf(e))
	if e.Any(flow.HasTimeout) {
		dst = xmlUint(dst, "<timeout>", uint64(e.Timeout))
	}
	if e.Any(flow.HasMark) {
		dst = xmlUint(dst, "<mark>", uint64(e.Mark))
	}
	if names := t.labels(e); len(names) > 0 {
		dst = append(dst, "<labels>"...)
		for _, name := range names {
			dst = xmlText(dst, "<label>", name)
		}
		dst = append(dst, "</labels>"...)
	}
	if e.Any(flow.HasSecCtx) && e.Extra != nil {
		dst = xmlText(dst, "<secctx>", e.Extra.SecCtx)
	}
	if e.Any(flow.HasZone) {
		dst = xmlUint(dst, "<zone>", uint64(e.Zone))
	}
	if e.Any(flow.HasUse) {
		dst = xmlUint(dst, "<use>", uint64(e.Use))
	}
	if e.Any(flow.HasID) {
		dst = xmlUint(dst, "<id>", uint64(e.ID))
	}
	return t.docMetaEnd(dst, e)
}

func (t *Text) docMetaEnd(dst []byte, e *flow.Event) []byte {
	if e.Any(flow.HasStatus) && e.Status&flow.StatusAssured != 0 {
		dst = append(dst, "<assured/>"...)
	}
	if e.Any(flow.HasStatus) && e.Status&flow.StatusSeenReply == 0 {
		dst = append(dst, "<unreplied/>"...)
	}
	if t.KTimestamp && e.Any(flow.HasStart|flow.HasStop) {
		dst = append(dst, "<timestamp>"...)
		if e.Any(flow.HasStart) {
			dst = xmlUint(dst, "<start>", uint64(e.Start))
		}
		if e.Any(flow.HasStop) {
			dst = xmlUint(dst, "<stop>", uint64(e.Stop))
		}
		dst = append(dst, "</timestamp>"...)
	}
	if seconds, ok := t.age(e, false); ok {
		dst = xmlUint(dst, "<deltatime>", seconds)
	}
	return dst
}

// docWhen appends the local time of an event. Sunday is day 1 of the week;
// only minutes and seconds have always two digits.
func (t *Text) docWhen(dst []byte, e *flow.Event) []byte {
	at := t.local(t.when(e))
	hour, minute, second := at.Clock()
	year, month, day := at.Date()
	dst = append(dst, "<when>"...)
	dst = xmlUint(dst, "<hour>", uint64(hour))
	dst = xmlEnd(appendPadded(append(dst, "<min>"...), uint64(minute), 2), "<min>")
	dst = xmlEnd(appendPadded(append(dst, "<sec>"...), uint64(second), 2), "<sec>")
	dst = xmlUint(dst, "<wday>", uint64(at.Weekday())+1)
	dst = xmlUint(dst, "<day>", uint64(day))
	dst = xmlUint(dst, "<month>", uint64(month))
	dst = xmlUint(dst, "<year>", uint64(max(year, 0)))
	return append(dst, "</when>"...)
}
