package control

import (
	"context"
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// errEnough ends a dump of which enough was seen.
var errEnough = errors.New("enough")

// scan reads the table and calls fn with the entries that the request is about.
// What fn removes from the batch is nobody's business.
func (c *call) scan(ctx context.Context, fn func(*flow.Batch) error) error {
	o := dumpOptions(c.q)
	err := c.dump(ctx, o, fn)
	if narrowed := o.Mark != nil || o.Status != nil || o.Zone != nil; narrowed && errors.Is(err, unix.EOPNOTSUPP) {
		// A kernel built without marks or zones refuses the filter before the first row.
		return c.dump(ctx, flow.DumpOptions{Family: o.Family}, fn)
	}
	return err
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
//
// Zone 0 is not: an entry whose zone holds in one direction only has none that
// a filter sees, and the kernel would leave it out. Addresses are not: its
// filter is inverted for IPv6.
func dumpOptions(q *Request) flow.DumpOptions {
	o := flow.DumpOptions{Family: q.Family, Dying: q.Table == TableDying, Unconfirmed: q.Table == TableUnconfirmed}
	if q.Filter == nil || len(q.Filter.Include) != 1 {
		return o
	}
	plain := q.Table == TableConntrack // the other tables know the family only
	for i := range q.Filter.Include[0] {
		p := &q.Filter.Include[0][i]
		switch {
		case p.Field == flow.FieldFamily && o.Family == flow.FamilyUnspecified:
			if n, ok := single(p); ok {
				o.Family = flow.Family(n)
			}
		case p.Field == flow.FieldMark && plain:
			o.Mark = oneMask(p)
		case p.Field == flow.FieldStatus && plain:
			o.Status = oneMask(p)
		case p.Field == flow.FieldZone && plain:
			if n, ok := single(p); ok && n != 0 {
				zone := uint16(n)
				o.Zone = &zone
			}
		}
	}
	return o
}

// single is the predicate's number, if it has one value only.
func single(p *flow.Predicate) (uint32, bool) {
	if len(p.Ranges) != 1 || len(p.Masks) != 0 || p.Ranges[0].Lo != p.Ranges[0].Hi {
		return 0, false
	}
	return p.Ranges[0].Lo, true
}

// oneMask is the predicate as value and mask, if it is one of them. The kernel
// ignores a mask of 0.
func oneMask(p *flow.Predicate) *flow.Masked {
	if n, ok := single(p); ok {
		return &flow.Masked{Value: n, Mask: math.MaxUint32}
	}
	if len(p.Masks) == 1 && len(p.Ranges) == 0 && p.Masks[0].Mask != 0 {
		m := p.Masks[0]
		return &m
	}
	return nil
}
