package encode

import "github.com/ctferry/ctferry/source/flow"

// plan is how a record of one shape is written: a piece of text, a value, a
// piece of text, and so on.
type plan struct {
	steps []step // empty if no plan could be made
	uses  slots  // whose values it takes
	room  int    // that a record takes at most, without its origin
}

// step is a piece of text, and the value behind it. Longer pieces are several
// steps, all but the last without a value.
type step struct {
	n    uint8 // the text's length
	slot slot
	text [pieceSize]byte
}

// pieceSize is how long a step's text may be: a step is a line of the cache.
const pieceSize = 62

// set makes the plan of a record: e as it was written in full to record, from
// the place at on, with the values where the notes say. A value that does not
// stand as the pen would write it would be an error of the encoder: then there
// is no plan.
func (p *plan) set(record []byte, at int, n *notes, w *pen, e *flow.Event) {
	p.steps, p.uses, p.room = p.steps[:0], 0, 0
	same := mirrored(e)
	for i, note := range n.list {
		n.list[i].slot = same[note.slot%64]
		p.uses |= 1 << n.list[i].slot
	}
	w.fill(e, p.uses)
	for _, note := range n.list {
		value := w.value(note.slot)
		start := note.end - len(value)
		if start < at || string(record[start:note.end]) != string(value) {
			p.steps = p.steps[:0]
			return
		}
		p.add(record[at:start], note.slot)
		at = note.end
	}
	p.add(record[at:], slotNone)
}

func (p *plan) add(text []byte, s slot) {
	for len(text) > pieceSize {
		p.add(text[:pieceSize], slotNone)
		text = text[pieceSize:]
	}
	switch p.room += len(text); {
	case s == slotProgName:
		p.room += maxProgName*len(`\u0000`) + 2
	case s > slotNone:
		p.room += maxText
	}
	one := step{n: uint8(len(text)), slot: s}
	copy(one.text[:], text)
	p.steps = append(p.steps, one)
}

// mirrored gives for each slot that whose value it takes: itself, or in a reply
// that answers the original tuple, the slot of that. It is the same for all
// events of e's shape.
func mirrored(e *flow.Event) (same [64]slot) {
	for s := range same {
		same[s] = slot(s)
	}
	o, r := &e.Orig, &e.Reply
	if !e.Got(flow.HasOrig|flow.HasReply) || !o.Got(flow.HasAddrs) || !r.Got(flow.HasAddrs) || (o.Family == flow.IPv4) != (r.Family == flow.IPv4) {
		return same
	}
	ports := o.Got(flow.HasPorts) && r.Got(flow.HasPorts)
	mirror := func(reply, orig slot) { same[slotReply+reply] = slotOrig + orig }
	if kind := e.NATKind(); kind&flow.NATSource == 0 {
		mirror(tupleDst, tupleSrc)
		if ports {
			mirror(tupleDstPort, tupleSrcPort)
		}
		if o.Got(flow.HasICMPID) && r.Got(flow.HasICMPID) {
			mirror(tupleICMPID, tupleICMPID)
		}
	}
	if kind := e.NATKind(); kind&flow.NATDest == 0 {
		mirror(tupleSrc, tupleDst)
		if ports {
			mirror(tupleSrcPort, tupleDstPort)
		}
	}
	return same
}
