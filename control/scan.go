package control

import (
	"context"
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

// errEnough ends a dump of which enough was seen.
var errEnough = errors.New("enough")

// scan reads the table and calls fn with the entries that the request is about.
// What fn removes from the batch is nobody's business.
func (c *call) scan(ctx context.Context, fn func(*flow.Batch) error) error {
	return c.dump(ctx, dumpOptions(c.q), fn)
}

func (c *call) dump(ctx context.Context, o flow.DumpOptions, fn func(*flow.Batch) error) error {
	var stopped error
	_, err := c.t.Dump(ctx, c.table, o, func(b *flow.Batch) error {
		b.Keep(c.wants)
		if b.Len() == 0 {
			return nil
		}
		stopped = fn(b)
		return stopped
	})
	switch {
	case stopped == errEnough:
		return nil
	case stopped != nil:
		return stopped
	case errors.Is(err, flow.ErrInterrupted):
		c.res.Interrupted = true
		return nil
	}
	return err
}

// dumpOptions is what of the request the kernel can be trusted with: it may
// let through too much, never too little.
func dumpOptions(q *Request) flow.DumpOptions {
	return flow.DumpOptions{Family: q.Family, Dying: q.Table == TableDying, Unconfirmed: q.Table == TableUnconfirmed, Only: q.Filter}
}
