package ctnetlink

import (
	"context"
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

var errChange = errors.New("change: expected one of create, update, delete, create expectation and delete expectation")

// Apply makes changes in their order and gives one result for each, as [Conn.Do]
// does; there is no bound to their number.
func (c *Conn) Apply(ctx context.Context, changes []flow.Change) []error {
	results := make([]error, 0, len(changes))
	var b Batch
	for len(changes) > 0 {
		n := min(len(changes), BatchLimit)
		for i := range changes[:n] {
			b.change(&changes[i])
		}
		results = append(results, c.Do(ctx, &b)...)
		changes = changes[n:]
		b.Reset()
	}
	return results
}

// change adds a change; why it was refused stands in the result.
func (b *Batch) change(n *flow.Change) {
	switch {
	case n.Create != nil:
		_ = b.Create(*n.Create)
	case n.Update != nil:
		_ = b.Update(n.Update.Key, n.Update.Update)
	case n.Delete != nil:
		_ = b.Delete(*n.Delete)
	case n.CreateExpect != nil:
		_ = b.CreateExpect(n.CreateExpect)
	case n.DeleteExpect != nil:
		_ = b.DeleteExpect(*n.DeleteExpect)
	default:
		_ = b.add(nil, errChange)
	}
}
