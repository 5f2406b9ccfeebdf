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
	if err := l.room(int64(l.scaled(1000 * (levels()[len(levels())-1] + len(levels())*l.rounds*tableEvents)))); err != nil {
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

// growing measures one process while its namespaces fill.
func (l *lab) growing(ctx context.Context, track bool) (lines []line, err error) {
	spaces, names, err := l.namedSpaces()
	defer func() {
		for _, ns := range spaces {
			err = errors.Join(err, ns.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	w := ferryWay{name: "ctferry", receive: "auto", encodings: []string{"json"}, source: "netns: [" + strings.Join(names, ", ") + "]"}
	if track {
		w.name, w.source = "ctferry with track", w.source+", track: {enabled: true, max_flows: 2000000}"
	}
	r, err := l.listenIn(ctx, l.ferryAs(w))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	first, live := line{}, 0
	for _, level := range levels() {
		if err := l.fillTo(ctx, spaces, &live, l.scaled(level)); err != nil {
			return lines, err
		}
		one := line{measure: "CPU an event as live flows grow", subject: fmt.Sprintf("%s, %d flows", w.name, live), unit: "ns"}
		if one.values, err = l.churnAll(ctx, r, spaces); err != nil {
			return lines, err
		}
		peak, err := peakOf(r.pid())
		if err != nil {
			return lines, err
		}
		l.say("  %s: %s ns of CPU an event, %s MiB", one.subject, number(one.values.median()), number(mebibytes(peak)))
		if one = one.noting("%s MiB resident at most so far", number(mebibytes(peak))); first.subject == "" {
			first = one
		} else {
			one.against, one.base = first.subject, first.values
			one = one.under(targetFlat)
		}
		lines = append(lines, one)
	}
	return lines, l.emptied(ctx, spaces, live)
}

// namedSpaces makes namespaces that a configuration can name.
func (l *lab) namedSpaces() (spaces []*testnet.Namespace, names []string, err error) {
	for i := range tableNamespaces {
		ns, err := l.namespace()
		if err != nil {
			return spaces, names, err
		}
		name := fmt.Sprintf("ctferry-bench-%d-%d", os.Getpid(), i)
		spaces, names = append(spaces, ns), append(names, name)
		if err := ns.Bind(name); err != nil {
			return spaces, names, err
		}
	}
	return spaces, names, nil
}

// fillTo makes flows until so many live, evenly over the namespaces.
func (l *lab) fillTo(ctx context.Context, spaces []*testnet.Namespace, live *int, level int) error {
	from, to := *live/len(spaces), level/len(spaces)
	for _, ns := range spaces {
		if _, err := (testnet.Churn{NS: ns, First: from, Entries: to - from, Keep: true}).Run(ctx); err != nil {
			return fmt.Errorf("fill to %d flows: %w", level, err)
		}
	}
	*live = to * len(spaces)
	return nil
}

// churnAll measures, round after round, other flows that come and go in all namespaces.
func (l *lab) churnAll(ctx context.Context, r *running, spaces []*testnet.Namespace) (cpu series, err error) {
	if _, err := r.rest(ctx); err != nil {
		return nil, err
	}
	// What filling wrote goes to the disk first, or the kernel makes the writer pay for it now.
	if err := l.synced(); err != nil {
		return nil, err
	}
	for range l.rounds {
		if err := l.warm(int64(l.scaled(tableEvents)) * recordRoom); err != nil {
			return nil, err
		}
		before, err := r.effort()
		if err != nil {
			return nil, err
		}
		events := 0
		for _, ns := range spaces {
			work := load{churn: testnet.Churn{NS: ns, First: testnet.MaxEntries / 2, Entries: l.scaled(tableEvents) / 2 / len(spaces)}}
			made, _, err := generate(ctx, work)
			if err != nil {
				return nil, err
			}
			events += made.Events()
		}
		after, err := r.rest(ctx)
		if err != nil {
			return nil, err
		}
		cpu = append(cpu, float64((after.used-before.used).Nanoseconds())/float64(events))
	}
	return cpu, nil
}

// emptied removes the flows, because the kernel would go on freeing them under the next row.
func (l *lab) emptied(ctx context.Context, spaces []*testnet.Namespace, live int) error {
	for _, ns := range spaces {
		if _, err := (testnet.Churn{NS: ns, Entries: live / len(spaces)}).Remove(ctx); err != nil {
			return err
		}
	}
	return nil
}
