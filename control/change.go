package control

import (
	"context"
	"fmt"

	"github.com/ctferry/ctferry/source/flow"
)

// changer makes the change for an entry that was read, in the memory of its
// slot. It is nil, without an error, where nothing is to change.
type changer func(slot *slot, e *flow.Event) (*flow.Change, error)

// slot is where the change to one entry of a batch is put together.
type slot struct {
	change flow.Change
	key    flow.Key
	expect flow.ExpectKey
	update flow.KeyUpdate
	parts  updateParts
}

// change deletes or updates what the filter or the keys say.
func (c *call) change(ctx context.Context, with changer) error {
	w := writing{call: c, with: with}
	if len(c.q.Keys) > 0 {
		return w.byKey(ctx)
	}
	if err := c.boundedCount(ctx); err != nil {
		return err
	}
	return c.scan(ctx, func(b *flow.Batch) error { return w.batch(ctx, b, nil) })
}

// limit is how many entries may be touched; 0 is no limit. For delete and
// update Limit is one too.
func (c *call) limit() int {
	limit := c.bound.most
	if l := c.q.Limit; l > 0 && (c.q.Verb == VerbDelete || c.q.Verb == VerbUpdate) && (limit == 0 || l < limit) {
		limit = l
	}
	return limit
}

// boundedCount counts what would be touched, where there is a limit, and
// refuses the request if that is more.
func (c *call) boundedCount(ctx context.Context) error {
	if c.limit() == 0 {
		return nil
	}
	n := uint64(0)
	err := c.scan(ctx, func(b *flow.Batch) error {
		for i := range b.Events() {
			if !c.spared(&b.Events()[i]) {
				n++
			}
		}
		return nil
	})
	if err == nil && c.q.Verb == VerbZero && c.q.Limit > 0 {
		n = min(n, uint64(c.q.Limit))
	}
	if err == nil && n > uint64(c.limit()) {
		err = c.tooMany(n)
	}
	return err
}

func (c *call) tooMany(n uint64) error {
	if c.limit() == c.bound.most {
		return &Error{Code: CodeTooMany, Message: fmt.Sprintf("would touch %d entries, more than this node's max_affected, which is %d", n, c.bound.most)}
	}
	return &Error{Code: CodeTooMany, Field: "limit", Message: fmt.Sprintf("would touch %d entries, more than %d", n, c.q.Limit)}
}

// atMost reports whether no more entries may be touched: more have come since
// they were counted.
func (c *call) atMost() bool {
	if limit := c.limit(); limit == 0 || c.res.Count < uint64(limit) {
		return false
	}
	c.res.Truncated = true
	return true
}

// writing is a call that changes entries.
type writing struct {
	*call
	with    changer
	slots   []slot
	changes []flow.Change
	at      []int       // place in the batch of each change
	again   *flow.Batch // entries read again after an update
}

// batch changes the entries of a batch and tells those that were changed. Index
// is the place of the first in Keys; nil: a filter found them.
func (w *writing) batch(ctx context.Context, b *flow.Batch, index []int) error {
	n, full := w.prepare(b, index)
	var stop error
	done := map[int]bool{}
	if w.q.DryRun {
		for i := range n {
			done[w.at[i]] = true
			w.res.Count++
		}
	} else {
		stop = w.apply(ctx, b, index, n, done)
	}
	if err := w.tellDone(ctx, b, done); err != nil {
		return err
	}
	if stop == nil && full {
		return errEnough
	}
	return stop
}

// prepare makes the changes; full says that the limit was reached before the end.
func (w *writing) prepare(b *flow.Batch, index []int) (n int, full bool) {
	events := b.Events()
	if len(w.slots) < len(events) {
		w.slots, w.changes, w.at = make([]slot, len(events)), make([]flow.Change, len(events)), make([]int, len(events))
	}
	for i := range events {
		e := &events[i]
		if w.spared(e) {
			w.spare(e, place(index, i))
			continue
		}
		if limit := w.limit(); limit > 0 && w.res.Count+uint64(n) >= uint64(limit) {
			w.res.Truncated = true
			return n, true
		}
		change, err := w.with(&w.slots[n], e)
		switch {
		case err != nil:
			w.fail(place(index, i), e, err)
		case change != nil:
			w.changes[n], w.at[n] = *change, i
			n++
		}
	}
	return n, false
}

// spare notes that a protected entry was left alone; by key that is a failure.
func (w *writing) spare(e *flow.Event, index int) {
	w.res.Spared++
	if index >= 0 {
		w.fail(index, e, &Error{Code: CodeForbidden, Message: "this node protects an address of the entry"})
	}
}

func place(index []int, i int) int {
	if index == nil {
		return -1
	}
	return index[i]
}

// apply makes n changes and notes in done which were made. The error says that
// time was over.
func (w *writing) apply(ctx context.Context, b *flow.Batch, index []int, n int, done map[int]bool) (stop error) {
	for i, err := range w.t.Apply(ctx, w.changes[:n]) {
		at := w.at[i]
		switch {
		case err == nil:
			done[at] = true
			w.res.Count++
		case ended(err):
			stop = err
		case gone(err) && index == nil:
		default:
			w.fail(place(index, at), &b.Events()[at], err)
		}
	}
	return stop
}

// tellDone tells the entries that were changed: of an update as they are now.
func (w *writing) tellDone(ctx context.Context, b *flow.Batch, done map[int]bool) error {
	if !w.q.Rows || w.rows == nil || len(done) == 0 {
		return nil
	}
	if w.q.Verb == VerbUpdate && !w.q.DryRun {
		return w.tellAgain(ctx, b, done)
	}
	i := -1
	b.Keep(func(*flow.Event) bool { i++; return done[i] })
	return w.tell(b)
}

// tellAgain reads the entries again. One that is gone by now was changed all
// the same, but as conntrack -U does it is not counted.
func (w *writing) tellAgain(ctx context.Context, b *flow.Batch, done map[int]bool) error {
	if w.again == nil {
		w.again = flow.NewBatch(batchSize)
	}
	w.again.Reset()
	for i := range b.Events() {
		if !done[i] {
			continue
		}
		err := w.t.Get(ctx, flow.KeyOf(&b.Events()[i]), w.again)
		switch {
		case err == nil:
		case gone(err):
			w.res.Count--
		default:
			return err
		}
	}
	return w.tell(w.again)
}

// byKey changes the entries that the keys name. Each is read first: to know
// what it has, whether it is protected, and that its id is the one that was
// meant, which the kernel does not look at when it updates.
func (w *writing) byKey(ctx context.Context) error {
	if most := w.bound.most; most > 0 && len(w.q.Keys) > most {
		return w.tooMany(uint64(len(w.q.Keys)))
	}
	b := flow.NewBatch(batchSize)
	var index []int
	for i := range w.q.Keys {
		err := w.read(ctx, &w.q.Keys[i], b)
		switch {
		case err == nil:
			index = append(index, i)
		case ended(err):
			return err
		default:
			w.fail(i, nil, err)
		}
		if b.Free() == 0 || i == len(w.q.Keys)-1 {
			if err := w.batch(ctx, b, index); err != nil {
				return err
			}
			b.Reset()
			index = index[:0]
		}
	}
	return nil
}

// deletion is the changer of delete. The key has the entry's id, so that what
// came into its place meanwhile stays, unless the kernel gave it the same id:
// that recurs where a tuple is made again at once.
func (c *call) deletion(s *slot, e *flow.Event) (*flow.Change, error) {
	if c.table == flow.TableExpect {
		s.expect = flow.ExpectKeyOf(&e.Extra.Expect)
		s.change = flow.Change{DeleteExpect: &s.expect}
	} else {
		s.key = flow.KeyOf(e)
		s.change = flow.Change{Delete: &s.key}
	}
	return &s.change, nil
}
