package control

import (
	"context"

	"github.com/ctferry/ctferry/source/flow"
)

// list tells the entries, at most Limit of them.
func (c *call) list(ctx context.Context) error { return c.scan(ctx, c.tellSome) }

// tellSome tells a batch as far as Limit lets it.
func (c *call) tellSome(b *flow.Batch) error {
	room := b.Len()
	if c.q.Limit > 0 {
		room = c.q.Limit - int(c.res.Count)
	}
	if b.Len() > room {
		c.res.Truncated = true
		keep := 0
		b.Keep(func(*flow.Event) bool { keep++; return keep <= room })
	}
	n := b.Len()
	if err := c.tell(b); err != nil {
		return err
	}
	c.res.Count += uint64(n)
	if c.res.Truncated {
		return errEnough
	}
	return nil
}

// zero lists, and sets the counters to zero as they are read. The kernel zeroes
// whatever it dumps, also what a filter or a limit then leaves out, and a
// protected entry. So it does so for a whole table or family only; else the
// entries that are told are zeroed one by one, and no other.
//
// conntrack -L -z with -n, -g or -j loses the counters of entries that it does
// not show; it refuses any other filter. This is what it means to do.
func (c *call) zero(ctx context.Context) error {
	if err := c.boundedCount(ctx); err != nil {
		return err
	}
	switch {
	case c.q.DryRun:
		return c.list(ctx)
	case c.q.Filter.IsAll() && c.q.Limit == 0 && c.bound.spare == nil && c.bound.most == 0:
		return c.dump(ctx, flow.DumpOptions{Family: c.q.Family, Zero: true}, c.tellSome)
	}
	read := flow.NewBatch(batchSize)
	return c.scan(ctx, func(b *flow.Batch) error {
		read.Reset()
		var stop error
		for i := range b.Events() {
			if stop = c.zeroOne(ctx, &b.Events()[i], read); stop != nil {
				break
			}
		}
		if err := c.tell(read); err != nil {
			return err
		}
		return stop
	})
}

// zeroOne zeroes an entry and reads it into b.
func (c *call) zeroOne(ctx context.Context, e *flow.Event, b *flow.Batch) error {
	switch {
	case c.spared(e):
		c.res.Spared++
		return nil
	case c.q.Limit > 0 && c.res.Count >= uint64(c.q.Limit):
		c.res.Truncated = true
		return errEnough
	case c.atMost():
		return errEnough
	}
	if b.Free() == 0 {
		if err := c.tell(b); err != nil {
			return err
		}
		b.Reset()
	}
	err := c.t.GetZero(ctx, flow.KeyOf(e), b)
	switch {
	case err == nil:
		b.Events()[b.Len()-1].Use = e.Use // of the dump: to read one entry holds one reference more
		c.res.Count++
	case ended(err):
		return err
	case !gone(err):
		c.fail(-1, e, err)
	}
	return nil
}

// get tells the entries that the keys name.
func (c *call) get(ctx context.Context) error {
	b := flow.NewBatch(batchSize)
	for i := range c.q.Keys {
		if b.Free() == 0 {
			if err := c.tell(b); err != nil {
				return err
			}
			b.Reset()
		}
		err := c.read(ctx, &c.q.Keys[i], b)
		switch {
		case err == nil:
			c.res.Count++
		case ended(err):
			return err
		default:
			c.fail(i, nil, err)
		}
	}
	return c.tell(b)
}

// read reads the entry that a key names into the next slot of b.
func (c *call) read(ctx context.Context, k *Key, b *flow.Batch) error {
	if k.Expect != nil {
		return c.t.GetExpect(ctx, *k.Expect, b)
	}
	return c.t.Get(ctx, *k.Conntrack, b)
}

// count counts what a filter finds, or asks the kernel how full the table is;
// of expectations it does not tell.
func (c *call) count(ctx context.Context) error {
	if c.q.Filter.IsAll() && c.q.Family == flow.FamilyUnspecified && c.table == flow.TableConntrack {
		fill, err := c.t.Stats(ctx)
		if err != nil {
			return err
		}
		fill.NetNS = c.q.NetNS
		c.res.Fill, c.res.Count = &fill, uint64(fill.Entries)
		return nil
	}
	return c.scan(ctx, func(b *flow.Batch) error {
		c.res.Count += uint64(b.Len())
		return nil
	})
}

// watch tells live events until the lease ends, which is no error.
func (c *call) watch(ctx context.Context) error {
	if c.x.Tap == nil {
		return &Error{Code: CodeUnavailable, Message: "live events cannot be watched here"}
	}
	types := c.q.Types
	if types == 0 {
		types = flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy)
	}
	filter := c.q.Filter
	if c.q.Family != flow.FamilyUnspecified {
		filter = c.q.familyFilter()
	}
	o := WatchOptions{NetNS: c.q.NetNS, Table: c.table, Types: types, Filter: filter, Buffer: c.q.Buffer}
	return c.x.Tap.Watch(ctx, o, func(b *flow.Batch) error {
		n := b.Len()
		if c.rows != nil && n > 0 {
			if err := c.rows(b); err != nil { // stamped already
				return &rowsError{err}
			}
		}
		c.res.Count += uint64(n)
		return nil
	})
}

// familyFilter is the filter with the family in it: everything of the other
// family is excluded.
func (q *Request) familyFilter() *flow.Filter {
	f := &flow.Filter{}
	if q.Filter != nil {
		*f = *q.Filter
	}
	other := flow.IPv4
	if q.Family == flow.IPv4 {
		other = flow.IPv6
	}
	term := flow.Term{{Field: flow.FieldFamily, Ranges: []flow.Range{{Lo: uint32(other), Hi: uint32(other)}}}}
	f.Exclude = append(append([]flow.Term(nil), f.Exclude...), term)
	return f
}
