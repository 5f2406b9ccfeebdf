package control

import (
	"context"

	"github.com/ctferry/ctferry/source/flow"
)

// flush empties a table, or a family of it, or removes the expectations of a
// helper. The kernel does not tell how many it removed: Count is how many there
// were just before, and of expectations 0 unless they had to be counted.
//
// Where a guard spares entries or bounds how many may be touched, all others
// are deleted one by one instead.
func (c *call) flush(ctx context.Context) error {
	if c.q.DryRun || c.bound.spare != nil || c.bound.most > 0 {
		return c.flushSome(ctx)
	}
	if c.table == flow.TableExpect {
		return c.t.FlushExpect(ctx, c.q.Helper)
	}
	if c.q.Family == flow.FamilyUnspecified {
		fill, err := c.t.Stats(ctx)
		if err != nil {
			return err
		}
		c.res.Count = uint64(fill.Entries)
	} else if err := c.count(ctx); err != nil {
		return err
	}
	return c.t.Flush(ctx, flow.FlushOptions{Family: c.q.Family})
}

// flushSome deletes what a flush would, and what it may.
func (c *call) flushSome(ctx context.Context) error {
	if c.q.Helper != "" {
		q := *c.q
		q.Filter = &flow.Filter{Include: []flow.Term{{{Field: flow.FieldHelper, Texts: []string{c.q.Helper}}}}}
		c.q = &q
	}
	return c.change(ctx, c.deletion)
}
