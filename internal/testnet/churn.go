package testnet

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// MaxEntries is how many distinct entries Churn knows: First plus Entries may not exceed it.
const MaxEntries = 1 << 24

// churnBatch is how many requests travel in one send(2).
const churnBatch = 64

// Churn writes entries into a namespace's connection tracking table over ctnetlink,
// without any packet: kinds of flows in turn. Each request is one event of the
// kernel's: a creation is one NEW, an update (of the mark) one UPDATE, a deletion one
// DESTROY.
type Churn struct {
	NS      *Namespace
	Entries int           // how many
	First   int           // number of the first: the same number is always the same tuple
	Update  bool          // update each entry between creation and deletion
	Keep    bool          // leave the entries in the table
	Mark    uint32        // mark of the entries; an update sets its complement
	Zone    uint16        // zone of the entries
	Timeout time.Duration // life of a kept entry, whole seconds; default 10 minutes
	Kinds   []Kind        // in turn; a kind may stand there more than once; default ChurnKinds
	Rate    int           // most requests in a second; 0 is as fast as the kernel takes them
}

// ChurnKinds are the kinds that Churn knows, and its default: half IPv4 and half IPv6.
func ChurnKinds() []Kind {
	return []Kind{
		{"udp", 4}, {"udp", 6}, {"tcp", 4}, {"tcp", 6}, {"icmp", 4}, {"icmpv6", 6}, {"sctp", 4}, {"sctp", 6},
	}
}

// Churned counts the requests that the kernel carried out, and the time they took.
type Churned struct {
	Created, Updated, Deleted int
	Elapsed                   time.Duration
}

// Events is how many events the kernel raised.
func (c Churned) Events() int { return c.Created + c.Updated + c.Deleted }

// PerSecond is the rate of events.
func (c Churned) PerSecond() float64 { return float64(c.Events()) / c.Elapsed.Seconds() }

// Run creates the entries, and updates and deletes them as asked, in batches. The first
// request that the kernel refuses ends it, with an error that holds the errno (EEXIST,
// ENOMEM when the table is full); the counts are exact then too.
func (c Churn) Run(ctx context.Context) (Churned, error) {
	steps := []churnStep{createEntry}
	if c.Update {
		steps = append(steps, updateEntry)
	}
	if !c.Keep {
		steps = append(steps, deleteEntry)
	}
	return c.run(ctx, steps)
}

// Remove deletes entries that a Run with Keep left.
func (c Churn) Remove(ctx context.Context) (Churned, error) {
	return c.run(ctx, []churnStep{deleteEntry})
}

// churnStep is what a request does to an entry.
type churnStep int

const (
	createEntry churnStep = iota
	updateEntry
	deleteEntry
)

// String names the step in an error.
func (s churnStep) String() string { return [...]string{"create", "update", "delete"}[s] }

// run takes batches of entries through the steps.
func (c Churn) run(ctx context.Context, steps []churnStep) (done Churned, err error) {
	if c.Entries < 0 || c.First < 0 || c.First+c.Entries > MaxEntries {
		return done, fmt.Errorf("churn of entries %d to %d: expected numbers below %d", c.First, c.First+c.Entries, MaxEntries)
	}
	if len(c.Kinds) == 0 {
		c.Kinds = ChurnKinds()
	}
	for _, k := range c.Kinds {
		if !slices.Contains(ChurnKinds(), k) {
			return done, fmt.Errorf("churn of %s over IPv%d: expected one of %v", k.Proto, k.Family, ChurnKinds())
		}
	}
	s, err := openChurn(c)
	if err != nil {
		return done, fmt.Errorf("churn: %w", err)
	}
	defer s.close()
	start := time.Now()
	defer func() { done.Elapsed = time.Since(start) }()
	count := [...]*int{createEntry: &done.Created, updateEntry: &done.Updated, deleteEntry: &done.Deleted}
	size := c.batchSize(len(steps))
	for from := c.First; from < c.First+c.Entries; from += size {
		if err := c.pace(ctx, start, done.Events()); err != nil {
			return done, fmt.Errorf("churn, before entry %d: %w", from, err)
		}
		to := min(from+size, c.First+c.Entries)
		for _, step := range steps {
			ok, err := s.request(step, from, to)
			*count[step] += ok
			if err != nil {
				return done, fmt.Errorf("churn: %s: %w", step, err)
			}
		}
	}
	return done, nil
}

// batchSize is how many entries go through the steps at once: fewer at a low rate, so
// that events come evenly.
func (c Churn) batchSize(steps int) int {
	if c.Rate <= 0 {
		return churnBatch
	}
	return max(1, min(churnBatch, c.Rate/(200*steps)))
}

// pace waits until the rate allows more.
func (c Churn) pace(ctx context.Context, start time.Time, events int) error {
	if c.Rate <= 0 {
		return ctx.Err()
	}
	due := time.Duration(float64(events) / float64(c.Rate) * float64(time.Second))
	return pause(ctx, time.Until(start.Add(due)))
}
