package encode

import (
	"errors"
	"fmt"
	"math"

	"github.com/ctferry/ctferry/source/flow"
)

// got notes that values are present.
func (d *draft) got(bits flow.Has) { d.e.Has |= bits }

// part notes that values of the tuple entered are present.
func (d *draft) part(bits flow.TupleHas) { d.tuple.Has |= bits }

// extra gives the event's side slot and notes that a value of it is present.
func (d *draft) extra(bits flow.Has) *flow.Extra {
	d.got(bits)
	return d.batch.ExtraFor(d.e)
}

// expect gives the event's expectation and notes that values of it are present.
func (d *draft) expect(bits flow.ExpectHas) *flow.Expectation {
	x := &d.extra(flow.HasExpect).Expect
	x.Has |= bits
	return x
}

// word keeps a state by its word, whose number is the kernel's plus one,
// unless the kernel's number was there before it.
func (d *draft) word(state *uint8, v *value, present flow.Has, nameOf func(uint8) string) {
	if v.u == 0 || v.u > math.MaxUint8 || nameOf(uint8(v.u-1)) == "" || d.e.Any(present) {
		return
	}
	*state = uint8(v.u - 1)
	d.got(present)
}

// bit is the bit behind an enum's number.
func bit(number uint64) uint32 {
	if number == 0 || number > 32 {
		return 0
	}
	return 1 << (number - 1)
}

// span keeps a span within what an event can hold.
func span(ns uint64) int64 { return int64(min(ns, math.MaxInt64)) }

func (d *draft) setProto(num uint8) {
	d.e.Proto, d.protoSeen = num, true
	d.got(flow.HasOrig)
}

func (d *draft) setFamily(v *value) {
	switch v.u {
	case 1:
		d.e.Family = flow.IPv4
	case 2:
		d.e.Family = flow.IPv6
	}
}

// addMeta keeps one of the static strings; of two with one key the last counts.
func (d *draft) addMeta(key, text string) error {
	for i := range d.origin.Meta {
		if d.origin.Meta[i].Key == key {
			d.origin.Meta[i].Value = text
			return nil
		}
	}
	if len(d.origin.Meta) == flow.MaxMeta {
		return fmt.Errorf("holds more than %d strings", flow.MaxMeta)
	}
	d.origin.Meta = append(d.origin.Meta, flow.Pair{Key: key, Value: text})
	return nil
}

func (d *draft) addLabel(v *value) {
	if !d.e.Any(flow.HasLabelNames) {
		// The slot's own list may be another event's: it is never extended.
		d.extra(flow.HasLabelNames).LabelNames = nil
	}
	d.e.Extra.LabelNames = append(d.e.Extra.LabelNames, v.s)
}

func (d *draft) ofDump() *flow.DumpInfo {
	d.dumpSeen = true
	return &d.dump
}

func (d *draft) setDumpReason(v *value) {
	if v.u < uint64(len(dumpReasons)) {
		d.ofDump().Reason = dumpReasons[v.u]
	}
}

// enterTuple begins a tuple that has no counters.
func (d *draft) enterTuple(t *flow.Tuple) {
	d.tuple, d.counters, d.deltas = t, &d.stray, &d.stray
	d.countersBit, d.deltasBit = 0, 0
}

// enterSide begins one direction of the flow.
func (d *draft) enterSide(reply bool) {
	e := d.e
	t, c, delta := &e.Orig, &e.OrigCounters, &e.OrigDeltas
	d.countersBit, d.deltasBit = flow.HasOrigCounters, flow.HasOrigDeltas
	if reply {
		t, c, delta = &e.Reply, &e.ReplyCounters, &e.ReplyDeltas
		d.countersBit, d.deltasBit = flow.HasReplyCounters, flow.HasReplyDeltas
	}
	if !e.Any(d.countersBit) {
		*c = flow.Counters{}
	}
	if !e.Any(d.deltasBit) {
		*delta = flow.Counters{}
	}
	d.tuple, d.counters, d.deltas = t, c, delta
}

func (d *draft) setSrc(v *value) {
	d.address(v)
	d.tuple.Src = v.bytes
	d.part(flow.HasSrc)
}

func (d *draft) setDst(v *value) {
	d.address(v)
	d.tuple.Dst = v.bytes
	d.part(flow.HasDst)
}

// address takes a tuple's family from its addresses, which must agree.
func (d *draft) address(v *value) {
	if d.tuple.Has&flow.HasAddrs != 0 && d.tuple.Family != v.family {
		d.fault = errors.New("is of another family than the tuple's other address")
	}
	d.tuple.Family = v.family
}

func (d *draft) setSrcPort(v *value) {
	d.tuple.SrcPort = uint16(v.u)
	d.part(flow.HasSrcPort)
}

func (d *draft) setDstPort(v *value) {
	d.tuple.DstPort = uint16(v.u)
	d.part(flow.HasDstPort)
}

func (d *draft) setSrcKey(v *value) {
	d.setSrcPort(v)
	d.key()
}

func (d *draft) setDstKey(v *value) {
	d.setDstPort(v)
	d.key()
}

// key notes that the tuple entered has a GRE key: that is its protocol, though a
// projection has hidden it. That of a flow's direction is the record's.
func (d *draft) key() {
	switch {
	case d.tuple == &d.e.Orig || d.tuple == &d.e.Reply:
		d.keyed = d.tuple
	case !d.tuple.Got(flow.HasProto):
		d.tuple.Proto = flow.ProtoGRE
		d.part(flow.HasProto)
	}
}

func (d *draft) enterSeqAdj(reply bool) {
	present := flow.HasOrigSeqAdj
	if reply {
		present = flow.HasReplySeqAdj
	}
	known := d.e.Any(present)
	x := d.extra(present)
	d.seqAdj = &x.OrigSeqAdj
	if reply {
		d.seqAdj = &x.ReplySeqAdj
	}
	if !known {
		*d.seqAdj = flow.SeqAdj{}
	}
}

func (d *draft) enterSynProxy(*value) {
	known := d.e.Any(flow.HasSynProxy)
	if x := d.extra(flow.HasSynProxy); !known {
		x.SynProxy = flow.SynProxy{}
	}
}

func (d *draft) enterExpectNAT(*value) {
	known := d.e.Extra.Expect.Got(flow.HasExpectNAT)
	if x := d.expect(flow.HasExpectNAT); !known {
		x.NATDir = 0
	}
}

func (d *draft) setNATDir(v *value) {
	if v.u == 1 || v.u == 2 {
		d.e.Extra.Expect.NATDir = uint8(v.u - 1)
	}
}

func (d *draft) enterGap(*value) {
	if d.e.Gap == nil {
		d.e.Gap = &flow.Gap{}
	}
}

func (d *draft) enterAgent(*value) {
	if d.e.Agent == nil {
		d.e.Agent = &flow.Agent{}
	}
}

func (d *draft) enterTable(*value) {
	a := d.e.Agent
	a.Tables = append(a.Tables, flow.TableFill{})
	d.table = &a.Tables[len(a.Tables)-1]
}

func (d *draft) enterSocket(*value) {
	a := d.e.Agent
	a.Sockets = append(a.Sockets, flow.SocketBooks{})
	d.socket = &a.Sockets[len(a.Sockets)-1]
}

func (d *draft) enterSink(*value) {
	if d.e.Agent.Sink == nil {
		d.e.Agent.Sink = &flow.SinkBooks{}
	}
}

func (d *draft) enterDropped(*value) { d.enterTally(&d.e.Agent.Sink.Dropped) }

func (d *draft) enterErrors(*value) { d.enterTally(&d.e.Agent.Sink.Errors) }

func (d *draft) enterTally(list *[]flow.Drop) {
	*list = append(*list, flow.Drop{})
	d.tally = &(*list)[len(*list)-1]
}
