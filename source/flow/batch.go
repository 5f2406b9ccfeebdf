package flow

// Batch is a bounded run of events in the order in which they were read. Its
// slots are allocated once and reused: a batch is valid until its reader fills
// it again, so whoever wants to keep something copies it.
type Batch struct {
	events []Event
	n      int
	extras []Extra
	used   int
}

// NewBatch makes a batch of the given number of slots.
func NewBatch(slots int) *Batch { return &Batch{events: make([]Event, slots)} }

// Events are the batch's events. The slice is the batch's own.
func (b *Batch) Events() []Event { return b.events[:b.n] }

// Len is the number of events, Free the number of empty slots.
func (b *Batch) Len() int { return b.n }

// Free is the number of empty slots.
func (b *Batch) Free() int { return len(b.events) - b.n }

// Reset empties the batch.
func (b *Batch) Reset() { b.n, b.used = 0, 0 }

// Next gives the next slot, empty, or nil when the batch is full.
func (b *Batch) Next() *Event {
	if b.n == len(b.events) {
		return nil
	}
	e := &b.events[b.n]
	b.n++
	e.Reset()
	return e
}

// Undo takes back the slot that Next gave last: what was decoded into it is no event.
func (b *Batch) Undo() {
	if b.n == 0 {
		return
	}
	b.n--
	if b.events[b.n].Extra != nil {
		b.used--
	}
}

// Keep leaves only the events for which keep answers true, in their order.
func (b *Batch) Keep(keep func(*Event) bool) {
	out := 0
	for i := range b.events[:b.n] {
		if !keep(&b.events[i]) {
			continue
		}
		if out != i {
			// Slots are swapped, not copied over, so that every slot stays usable.
			b.events[out], b.events[i] = b.events[i], b.events[out]
		}
		out++
	}
	b.n = out
}

// ExtraFor gives the event, which must be the batch's last, its side slot for
// rare values. The slot's values are guarded by the event's presence bits.
func (b *Batch) ExtraFor(e *Event) *Extra {
	if e.Extra != nil {
		return e.Extra
	}
	if b.extras == nil {
		b.extras = make([]Extra, len(b.events))
	}
	e.Extra = &b.extras[b.used]
	b.used++
	e.Extra.reset()
	return e.Extra
}
