package source

import (
	"context"
	"errors"
	"sync"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// A namespace has one socket, or several that share its events by flow
// (source.shards, ctnetlink.Shard), each with a reader. The first is the lead:
// wherever a socket stands for its namespace it is that one, and what is done
// once for a namespace is done by it: dumps, the table's guard, the tracker,
// which all shards show their events to, and the account, which is the sum.

// maxShards is more than a machine has been seen to need: the kernel asks every
// shard's filter for every event.
const maxShards = 16

// kernelFilters are what the kernel runs for each shard.
func (c *Config) kernelFilters() (all []*ctnetlink.KernelFilter) {
	n := max(c.Shards, 1)
	for i := range n {
		all = append(all, ctnetlink.CompileShard(c.Filter, c.Track.Enabled, ctnetlink.Shard{Index: i, Of: n}))
	}
	return all
}

// openSocket opens a namespace's sockets and gives the lead.
func (s *Source) openSocket(ns namespace) (*socket, error) {
	way := s.receive()
	var all []*socket
	for _, filter := range s.kernel {
		k, err := s.openShard(ns, way, filter, len(all) == 0)
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, k)
	}
	lead := all[0]
	lead.shards = all
	for _, k := range all[1:] {
		k.origin = lead.origin
	}
	if s.cfg.Track.Enabled {
		lead.trackFlows()
	}
	return lead, nil
}

// trackFlows gives the shards one tracker. Their batches have room for two
// inferred records before each event that a read brings.
func (k *socket) trackFlows() {
	track := newTracker(&k.src.budget, &k.books.Track, k.src.cfg.Interim, k.joined())
	for _, o := range k.shards {
		o.track, o.lossy = track, k.lossy
		o.batch = flow.NewBatch(3 * batchSlots)
		o.verdicts = make([]bool, 3*batchSlots)
		o.synthetic = flow.NewBatch(batchSlots)
	}
}

// joined is when the last of the shards joined its groups, if none has read yet.
func (k *socket) joined() int64 {
	var last int64
	for _, o := range k.shards {
		last = max(last, o.accounted.UnixNano())
	}
	return last
}

// until is when nothing was waiting in any of the shards.
func (k *socket) until() int64 {
	at := k.whole.Load()
	for _, o := range k.shards {
		at = min(at, o.whole.Load())
	}
	return at
}

// leads tells whether the socket is its namespace's first.
func (k *socket) leads() bool { return k.shards != nil }

// runAll has every shard's reader run, and returns when all have.
func (k *socket) runAll(ctx context.Context, fail func(error)) {
	var others sync.WaitGroup
	run := func(o *socket) {
		if err := o.run(ctx); err != nil {
			fail(err)
		}
	}
	for _, o := range k.shards[1:] {
		others.Go(func() { run(o) })
	}
	run(k)
	others.Wait()
}

// settleAll writes a reading of every shard's counters into the books;
// Source.mu is held.
func (k *socket) settleAll() {
	for _, o := range k.shards {
		o.settle()
	}
}

// drained waits until every event that was queued when it was called has been
// taken in, by each shard in turn.
func (k *socket) drained(ctx context.Context) error {
	for _, o := range k.shards {
		if err := o.drainedOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

// closeAll closes listeners.
func closeAll(shards []*socket) error {
	var errs []error
	for _, k := range shards {
		errs = append(errs, k.listener.Close())
	}
	return errors.Join(errs...)
}

// sum is the namespace's: the sum over its shards, with the buffer of the one
// that is fullest, since that is the one which will lose events first. Source.mu
// is held.
func (k *socket) sum() flow.SocketBooks {
	sum := k.state()
	for _, o := range k.shards[1:] {
		b := o.state()
		if b.Queued*sum.Buffer > sum.Queued*b.Buffer || b.Queued*sum.Buffer == sum.Queued*b.Buffer && b.Buffer < sum.Buffer {
			sum.Buffer, sum.Queued = b.Buffer, b.Queued
		}
		sum.Reliable = sum.Reliable && b.Reliable
		addTo(&sum, &b)
	}
	return sum
}

// fill is how full the fullest shard's buffer is, 0 to 1; 1 if that cannot be told.
func (k *socket) fill() float64 {
	var most float64
	for _, o := range k.shards {
		stats, err := o.listener.Stats()
		if err != nil || stats.Buffer == 0 {
			return 1
		}
		most = max(most, float64(stats.Queued)/float64(stats.Buffer))
	}
	return most
}
