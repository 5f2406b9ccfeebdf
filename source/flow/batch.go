package flow

// Batch is a bounded run of events in the order in which they were read. Its
// slots are allocated once and reused: a batch is valid until its reader fills
// it again, so whoever wants to keep something copies it.
type Batch struct {
	events []Event
	n      int
	extras []Extra // made when first asked for
	taken  []int32 // for each slot of events: 1 + the place of its extra, 0 for none
	used   int     // extras from here on have not been given out
	spare  []int32 // places below used that were given back
}

// NewBatch makes a batch of the given number of slots.
func NewBatch(slots int) *Batch {
	return &Batch{events: make([]Event, slots), taken: make([]int32, slots)}
}

// Events are the batch's events. The slice is the batch's own.
func (b *Batch) Events() []Event { return b.events[:b.n] }

// Len is the number of events.
func (b *Batch) Len() int { return b.n }

// Free is the number of empty slots.
func (b *Batch) Free() int { return len(b.events) - b.n }

// Reset empties the batch.
func (b *Batch) Reset() { b.n, b.used, b.spare = 0, 0, b.spare[:0] }

// Next gives the next slot, empty, or nil when the batch is full.
func (b *Batch) Next() *Event {
	if b.n == len(b.events) {
		return nil
	}
	e := &b.events[b.n]
	b.taken[b.n] = 0
	b.n++
	e.Reset()
	return e
}

// Insert makes room before event i and gives the slot, empty, or nil when the
// batch is full. It moves events, so a pointer to one of them is no longer good.
func (b *Batch) Insert(i int) *Event {
	if b.n == len(b.events) || i < 0 || i > b.n {
		return nil
	}
	copy(b.events[i+1:b.n+1], b.events[i:b.n])
	copy(b.taken[i+1:b.n+1], b.taken[i:b.n])
	b.taken[i] = 0
	b.n++
	e := &b.events[i]
	e.Reset()
	return e
}

// Undo takes back the batch's last event, the one that Next gave if nothing
// happened since: what was decoded into it is no event.
func (b *Batch) Undo() {
	if b.n == 0 {
		return
	}
	b.n--
	b.giveBack(b.n)
}

// giveBack frees the extra of slot i, whose event is gone.
func (b *Batch) giveBack(i int) {
	if b.taken[i] != 0 {
		b.spare = append(b.spare, b.taken[i]-1)
		b.taken[i] = 0
	}
}

// Keep leaves only the events for which keep answers true, in their order. It
// moves events, so a pointer to one of them is no longer good.
func (b *Batch) Keep(keep func(*Event) bool) {
	out := 0
	for i := range b.events[:b.n] {
		if !keep(&b.events[i]) {
			b.giveBack(i)
			continue
		}
		if out != i {
			b.events[out] = b.events[i]
			b.taken[out], b.taken[i] = b.taken[i], 0
		}
		out++
	}
	b.n = out
}

// ExtraFor gives the event, which must be the batch's last, its side slot for
// rare values. The slot's values are guarded by the event's presence bits. An
// Extra that the event has got from elsewhere stays.
func (b *Batch) ExtraFor(e *Event) *Extra {
	if e.Extra != nil {
		return e.Extra
	}
	if b.extras == nil {
		b.extras = make([]Extra, len(b.events))
	}
	place := int32(b.used)
	if n := len(b.spare); n > 0 {
		place, b.spare = b.spare[n-1], b.spare[:n-1]
	} else {
		b.used++
	}
	b.taken[b.n-1] = place + 1
	e.Extra = &b.extras[place]
	e.Extra.reset()
	return e.Extra
}
