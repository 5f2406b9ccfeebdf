package sinks

import "slices"

// natsTrail remembers for each flow of a batch the message of its latest record.
// It is a table of open addressing, as large as two batches, that a turn empties
// without touching it.
type natsTrail struct {
	slots []natsStep
	turn  uint32 // of the steps that count; 0 is none's
}

// natsStep is one flow's.
type natsStep struct {
	flow    uint64
	turn    uint32
	message int32
}

// begin forgets everything and makes room for n flows.
func (t *natsTrail) begin(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	if t.turn++; size > len(t.slots) || t.turn == 0 {
		t.slots, t.turn = slices.Grow(t.slots[:0], size)[:size], 1
		clear(t.slots)
	}
}

// at finds the flow's slot, or the one that it is to have.
func (t *natsTrail) at(flow uint64) *natsStep {
	mask := uint64(len(t.slots) - 1)
	for i := flow * 0x9e3779b97f4a7c15 >> 32; ; i++ { // Fibonacci hashing
		s := &t.slots[i&mask]
		if s.turn != t.turn || s.flow == flow {
			return s
		}
	}
}

// of gives the message of the flow's latest record; 0, the first, if it has none.
func (t *natsTrail) of(flow uint64) int32 {
	if s := t.at(flow); s.turn == t.turn {
		return s.message
	}
	return 0
}

// set notes it.
func (t *natsTrail) set(flow uint64, message int32) {
	*t.at(flow) = natsStep{flow, t.turn, message}
}
