package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ctferry/ctferry/internal/testnet"
)

const (
	tableNamespaces = 4       // one holds nf_conntrack_max entries at most
	tableEvents     = 200_000 // of a round, over all namespaces
	targetFlat      = 1.1     // what "flat" may mean
)

// levels are how many flows live while events are measured.
func levels() []int { return []int{10_000, 100_000, 1_000_000} }

// rowTable measures the CPU an event as the table grows, in several namespaces at once,
// with and without the table of live flows.
func rowTable(ctx context.Context, l *lab) (lines []line, err error) {
	// No rotation: removing a file of the page cache would be on the account of whoever is measured then.
	flows := 0
	for _, level := range levels() {
		flows += level + l.rounds*tableEvents
	}
	if err := l.room(int64(l.scaled(1000 * flows))); err != nil {
		return nil, err
	}
	for _, track := range []bool{false, true} {
		got, err := l.growing(ctx, track)
		lines = append(lines, got...)
		if err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// crowd is a process of ours, and the namespaces in which so many flows live while it listens.
type crowd struct {
	line   line
	spaces []*testnet.Namespace
	live   int
	heard  *running
}

// growing measures processes side by side, round by round, each with its own number of live flows.
func (l *lab) growing(ctx context.Context, track bool) (lines []line, err error) {
	crowds := make([]*crowd, len(levels()))
	defer func() {
		for _, c := range crowds {
			if c != nil {
				err = errors.Join(err, c.close(ctx))
			}
		}
	}()
	for i, level := range levels() {
		crowds[i] = &crowd{}
		if err := l.gather(ctx, crowds[i], l.scaled(level), track); err != nil {
			return nil, err
		}
	}
	// What filling wrote goes to the disk first, or the kernel makes the writer pay for it now.
	if err := l.synced(); err != nil {
		return nil, err
	}
	for round := range l.rounds {
		for i := range crowds {
			c := crowds[(i+round)%len(crowds)]
			ns, err := l.churnAll(ctx, c)
			if err != nil {
				return nil, err
			}
			l.say("  round %d: %s: %s ns of CPU an event", round+1, c.line.subject, number(ns))
			c.line.values = append(c.line.values, ns)
		}
	}
	first := crowds[0].line
	for i, c := range crowds {
		peak, err := peakOf(c.heard.pid())
		if err != nil {
			return lines, err
		}
		if i > 0 {
			c.line.against, c.line.base = first.subject, first.values
			c.line = c.line.under(targetFlat)
		}
		lines = append(lines, c.line.noting("%s MiB resident at most", number(mebibytes(peak))))
	}
	return lines, nil
}

// gather starts a process that listens in namespaces of its own, and fills them.
func (l *lab) gather(ctx context.Context, c *crowd, flows int, track bool) error {
	names, err := l.namedSpaces(c, flows)
	if err != nil {
		return err
	}
	w := ferryWay{name: "ctferry", receive: "auto", encodings: []string{"json"}, source: "netns: [" + strings.Join(names, ", ") + "]"}
	if track {
		w.name, w.source = "ctferry with track", w.source+", track: {enabled: true, max_flows: 2000000}"
	}
	if c.heard, err = l.listenIn(ctx, l.ferryAs(w)); err != nil {
		return err
	}
	for _, ns := range c.spaces {
		if _, err := (testnet.Churn{NS: ns, Entries: flows / len(c.spaces), Keep: true}).Run(ctx); err != nil {
			return fmt.Errorf("fill to %d flows: %w", flows, err)
		}
		c.live += flows / len(c.spaces)
	}
	c.line = line{measure: "CPU an event as live flows grow", subject: fmt.Sprintf("%s, %d flows", w.name, c.live), unit: "ns"}
	_, err = c.heard.rest(ctx)
	return err
}

// namedSpaces makes a crowd's namespaces, with names for its configuration.
func (l *lab) namedSpaces(c *crowd, flows int) (names []string, err error) {
	for i := range tableNamespaces {
		ns, err := l.namespace()
		if err != nil {
			return names, err
		}
		name := fmt.Sprintf("ctferry-bench-%d-%d-%d", os.Getpid(), flows, i)
		c.spaces, names = append(c.spaces, ns), append(names, name)
		if err := ns.Bind(name); err != nil {
			return names, err
		}
	}
	return names, nil
}

// churnAll measures other flows that come and go in all of a crowd's namespaces: the CPU an event.
func (l *lab) churnAll(ctx context.Context, c *crowd) (float64, error) {
	if err := l.warm(int64(l.scaled(tableEvents)) * recordRoom); err != nil {
		return 0, err
	}
	before, err := c.heard.effort()
	if err != nil {
		return 0, err
	}
	events := 0
	for _, ns := range c.spaces {
		work := load{churn: testnet.Churn{NS: ns, First: testnet.MaxEntries / 2, Entries: l.scaled(tableEvents) / 2 / len(c.spaces)}}
		made, _, err := generate(ctx, work)
		if err != nil {
			return 0, err
		}
		events += made.Events()
	}
	after, err := c.heard.rest(ctx)
	if err != nil {
		return 0, err
	}
	return float64((after.used - before.used).Nanoseconds()) / float64(events), nil
}

// close ends the process, and removes the flows before their namespaces, because the kernel would go on
// freeing them under the next row.
func (c *crowd) close(ctx context.Context) (err error) {
	if c.heard != nil {
		err = c.heard.close()
	}
	for _, ns := range c.spaces {
		_, removing := testnet.Churn{NS: ns, Entries: c.live / len(c.spaces)}.Remove(ctx)
		err = errors.Join(err, removing, ns.Close())
	}
	return err
}
