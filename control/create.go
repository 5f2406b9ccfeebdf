package control

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// create makes the entries, in their order.
func (c *call) create(ctx context.Context) error {
	if most := c.bound.most; most > 0 && len(c.q.Entries) > most {
		return c.tooMany(uint64(len(c.q.Entries)))
	}
	rows := 0 // to be told
	if c.q.Rows {
		rows = min(batchSize, len(c.q.Entries))
	}
	told := flow.NewBatch(rows)
	for from := 0; from < len(c.q.Entries); from += batchSize {
		to := min(from+batchSize, len(c.q.Entries))
		told.Reset()
		err := c.createSome(ctx, from, to, told)
		if err := errors.Join(err, c.tell(told)); err != nil {
			return err
		}
	}
	return nil
}

// createSome makes the entries from from to to, and tells in told which were made.
func (c *call) createSome(ctx context.Context, from, to int, told *flow.Batch) (stop error) {
	changes := make([]flow.Change, 0, to-from)
	at := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		n := &c.q.Entries[i]
		spared, err := c.sparedCreation(ctx, n)
		switch {
		case ended(err):
			return err
		case err != nil:
			c.fail(i, n.Event, err)
			continue
		case spared:
			c.res.Spared++
			c.fail(i, n.Event, &Error{Code: CodeForbidden, Message: "this node protects an address of the entry"})
			continue
		}
		changes = append(changes, c.creation(n))
		at = append(at, i)
	}
	for i, err := range c.applyOrTry(ctx, changes, at) {
		n := &c.q.Entries[at[i]]
		switch {
		case err == nil:
			c.res.Count++
			c.tellNew(told, n.Event)
		case ended(err):
			stop = err
		default:
			c.fail(at[i], n.Event, err)
		}
	}
	return stop
}

// sparedCreation reports whether the guard keeps an entry from being made, or
// the one that it would replace from being touched: the kernel finds that by its
// tuple alone, so it may have addresses that the request does not tell of.
func (c *call) sparedCreation(ctx context.Context, n *Entry) (bool, error) {
	switch {
	case c.bound.spare == nil:
		return false, nil
	case sparedEntry(c.bound.spare, n):
		return true, nil
	case !c.q.Replace:
		return false, nil
	}
	old := flow.NewBatch(1)
	err := c.read(ctx, c.keyOfNew(n), old)
	if gone(err) {
		return false, nil
	}
	return err == nil && c.spared(&old.Events()[0]), err
}

// keyOfNew names the entry that stands where one is to be made.
func (c *call) keyOfNew(n *Entry) *Key {
	if c.table == flow.TableExpect {
		x := flow.ExpectKeyOf(&n.Event.Extra.Expect)
		x.ID = nil
		return &Key{Expect: &x}
	}
	k := flow.KeyOf(n.Event)
	k.ID = nil
	return &Key{Conntrack: &k}
}

func (c *call) creation(n *Entry) flow.Change {
	if c.table == flow.TableExpect {
		return flow.Change{CreateExpect: &n.Event.Extra.Expect}
	}
	return flow.Change{Create: &flow.Creation{Event: n.Event, SrcNAT: n.SrcNAT, DstNAT: n.DstNAT, Replace: c.q.Replace}}
}

func (c *call) tellNew(told *flow.Batch, e *flow.Event) {
	if !c.q.Rows {
		return
	}
	row := told.Next()
	*row = *e
	row.Type, row.Table = flow.TypeNew, c.table
	if row.Family == flow.FamilyUnspecified {
		row.Family = e.Orig.Family
	}
}

// applyOrTry makes the changes, or in a dry run looks which could not be made
// because there is such an entry.
func (c *call) applyOrTry(ctx context.Context, changes []flow.Change, at []int) []error {
	if !c.q.DryRun {
		return c.t.Apply(ctx, changes)
	}
	results := make([]error, len(changes))
	b := flow.NewBatch(1)
	for i := range changes {
		b.Reset()
		err := c.read(ctx, c.keyOfNew(&c.q.Entries[at[i]]), b)
		switch {
		case err == nil && !c.q.Replace:
			results[i] = &Error{Code: CodeExists, Errno: unix.ErrnoName(unix.EEXIST), Message: "create: there is such an entry"}
		case err != nil && !gone(err):
			results[i] = err
		}
	}
	return results
}
