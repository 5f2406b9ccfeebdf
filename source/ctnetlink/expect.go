package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// expectKey writes the key of an expectation.
type expectKey flow.ExpectKey

func (k *expectKey) write(w *writer) {
	w.putTuple(ctaExpectTuple, &k.Tuple)
	if k.Zone != 0 {
		w.put16(ctaExpectZone, k.Zone)
	}
	if k.ID != nil {
		w.put32(ctaExpectID, *k.ID)
	}
}

// request makes a request about the expectation. A DELETE without a tuple would
// empty the whole table.
func (k *expectKey) request(op string, operation uint16) (*request, error) {
	q := expectRequest(op, operation, k.Tuple.Family, k.write)
	if err := checkTuple(&k.Tuple); err != nil {
		return nil, q.fail(err)
	}
	return q, nil
}

func expectRequest(op string, operation uint16, family flow.Family, attrs func(*writer)) *request {
	return &request{op: op, subject: "expectation", subsystem: unix.NFNL_SUBSYS_CTNETLINK_EXP, operation: operation, family: byte(family), attrs: attrs}
}

// GetExpect reads one expectation into the next slot of b (TypeDump), which
// must have one. The error is unix.ENOENT when there is no such expectation.
func (c *Conn) GetExpect(ctx context.Context, k flow.ExpectKey, b *flow.Batch) error {
	q, err := (*expectKey)(&k).request("get", msgExpGet)
	if err != nil {
		return err
	}
	return c.get(ctx, q, flow.TableExpect, b)
}

// DeleteExpect removes one expectation. The error is unix.ENOENT when there is
// no such expectation.
func (c *Conn) DeleteExpect(ctx context.Context, k flow.ExpectKey) error {
	q, err := (*expectKey)(&k).request("delete", msgExpDelete)
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

// FlushExpect removes all expectations of a helper, of both families, or with
// "" all there are.
func (c *Conn) FlushExpect(ctx context.Context, helper string) error {
	q := expectRequest("flush", msgExpDelete, flow.FamilyUnspecified, func(w *writer) {
		if helper != "" {
			w.putName(ctaExpectHelpName, helper)
		}
	})
	return c.do(ctx, q, nil)
}

var errExpect = errors.New("expected tuple, mask and master, of one family")

// CreateExpect makes one expectation from what x has: tuple, mask and master
// (needed), class, flags, zone, helper, function and NAT. The id is passed over,
// and so is the timeout: the master's helper has its own.
//
// The errors of the kernel's are unix.ENOENT where the master is not,
// unix.EOPNOTSUPP where it has no helper, unix.EEXIST where there is such an
// expectation, unix.EBUSY for one that clashes with it, unix.EMFILE for a full
// table. A master has room for as many as its helper says; a further one
// removes the oldest.
func (c *Conn) CreateExpect(ctx context.Context, x *flow.Expectation) error {
	q, err := createExpect(x)
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

func createExpect(x *flow.Expectation) (*request, error) {
	q := expectRequest("create", msgExpNew, x.Tuple.Family, func(w *writer) { w.putExpect(x) })
	q.flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	return q, checkExpect(q, x)
}

// checkExpect refuses what the kernel would refuse without a word.
func checkExpect(q *request, x *flow.Expectation) error {
	if !x.Got(flow.HasExpectTuple|flow.HasExpectMask|flow.HasExpectMaster) ||
		x.Tuple.Family != x.Mask.Family || x.Tuple.Family != x.Master.Family {
		return q.fail(errExpect)
	}
	if err := errors.Join(checkTuple(&x.Tuple), checkTuple(&x.Master)); err != nil {
		return q.fail(err)
	}
	return nil
}

// UpdateExpect gives an expectation another timeout in seconds, the only thing
// of one that can change. The kernel wants tuple, mask and master to be told,
// and looks at the tuple and the zone. The error is unix.ENOENT when there is
// no such expectation, unix.ETIME when its time ran out just now.
func (c *Conn) UpdateExpect(ctx context.Context, x *flow.Expectation, seconds uint32) error {
	q := expectRequest("update", msgExpNew, x.Tuple.Family, func(w *writer) {
		w.putExpectTuples(x)
		if x.Got(flow.HasExpectZone) {
			w.put16(ctaExpectZone, x.Zone)
		}
		w.put32(ctaExpectTimeout, seconds)
	})
	if err := checkExpect(q, x); err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}
