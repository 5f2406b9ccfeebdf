package sinks

import "github.com/ctferry/ctferry/encode"

// natsBody makes the payloads of a Write's messages. A message of lines is parted as
// the queue's segments are, so one whose records stand there one behind the other is
// lent from them, without a copy; any other is put together.
type natsBody struct {
	framing encode.Framing
	group   Group
	plan    *natsPlan

	batch *Batch
	here  frames   // what is left of those in which the next record to be lent may stand
	more  []frames // behind those
	at    int      // the place of the first record in here

	parts [][]byte // of the latest message
	whole []byte   // the latest that was put together
}

// begin is called before the first message of a Write, end behind the last: the
// batch is only lent.
func (o *natsBody) begin(b *Batch) {
	o.batch, o.here, o.more, o.at = b, frames{}, b.frames, 0
}

func (o *natsBody) end() {
	o.batch, o.here, o.more = nil, frames{}, nil
	clear(o.parts[:cap(o.parts)])
}

// of gives a message's payload, in parts that are valid until the next call. Messages
// are asked for in the plan's order, each once.
func (o *natsBody) of(m *natsMessage) [][]byte {
	switch {
	case m.count == 1 && o.group != GroupRecordBatch:
		o.parts = append(o.parts[:0], o.batch.Records[m.head].Value)
	case o.framing == encode.Lines && o.batch.frames != nil && m.unbroken():
		o.lend(m)
	default:
		o.whole = encode.AppendGroup(o.whole[:0], o.framing, o.plan.values(m, o.batch.Records))
		o.parts = append(o.parts[:0], o.whole)
	}
	return o.parts
}

// lend makes parts of lines that follow one another. The plan's messages are in the
// order of their first records, so the way through the frames never leads back.
func (o *natsBody) lend(m *natsMessage) {
	o.pass(int(m.head))
	o.parts = o.parts[:0]
	records, size := m.count, m.bytes
	for ; records > o.here.records; o.next() {
		o.parts = append(o.parts, o.here.bytes)
		records -= o.here.records
		size -= len(o.here.bytes)
	}
	o.parts = append(o.parts, o.here.bytes[:size])
	o.here = frames{o.here.records - records, o.here.bytes[size+1:]} // a message does not end in a newline
	o.at = int(m.tail) + 1
}

// pass goes on to the record at a place, over frames as a whole where it can.
func (o *natsBody) pass(to int) {
	for ; o.at+o.here.records <= to; o.next() {
		o.at += o.here.records
	}
	size := int64(0)
	for i := o.at; i < to; i++ {
		size += framedLen(o.framing, o.batch.Records[i].Value)
	}
	o.here = frames{o.here.records - (to - o.at), o.here.bytes[size:]}
	o.at = to
}

func (o *natsBody) next() { o.here, o.more = o.more[0], o.more[1:] }
