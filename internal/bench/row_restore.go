package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

const (
	restoreEntries = 100_000
	restoreFew     = 10_000
	targetRestore  = 1 // of conntrack's
)

// restorer is a program that carries out a file of commands.
type restorer struct {
	name  string
	path  string
	times series // in milliseconds
	spent series // of CPU, all threads, in milliseconds
}

// rowRestore measures how long it takes to make a saved table again, in an empty one.
func rowRestore(ctx context.Context, l *lab) (lines []line, err error) {
	ns, err := l.namespace()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	for _, n := range []int{l.scaled(restoreEntries), l.scaled(restoreFew)} {
		saved, err := l.save(ctx, ns, n)
		if err != nil {
			return lines, err
		}
		restorers := []*restorer{{name: "ctferry -R", path: l.ferry}}
		if l.conntrack != "" {
			restorers = append(restorers, &restorer{name: "conntrack -R", path: l.conntrack})
		}
		for round := range l.rounds {
			for i := range restorers {
				if err := l.restore(ctx, ns, restorers[(i+round)%len(restorers)], saved, n); err != nil {
					return lines, err
				}
			}
		}
		lines = append(lines, restoreLines(restorers, n)...)
		if err := l.emptyTable(ctx, ns); err != nil { // the kernel would go on freeing it under the next row
			return lines, err
		}
	}
	return lines, nil
}

// save fills the table, writes it into a file and empties it.
func (l *lab) save(ctx context.Context, ns *testnet.Namespace, entries int) (path string, err error) {
	fill := testnet.Churn{NS: ns, Entries: entries, Keep: true}
	if _, err := fill.Run(ctx); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(l.dir, "save-")
	if err != nil {
		return "", err
	}
	if _, err := l.complete(ctx, ns, dir, l.ferry, "-L", "-o", "save"); err != nil {
		return "", err
	}
	_, err = fill.Remove(ctx)
	return filepath.Join(dir, "stdout"), err
}

// restore has one of them make the table, which is emptied first.
func (l *lab) restore(ctx context.Context, ns *testnet.Namespace, r *restorer, saved string, entries int) error {
	dir, err := os.MkdirTemp(l.dir, "restore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := l.emptyTable(ctx, ns); err != nil {
		return err
	}
	start := time.Now()
	p, err := l.complete(ctx, ns, dir, r.path, "-R", saved)
	took := time.Since(start)
	if err != nil {
		return err
	}
	state := p.cmd.ProcessState
	r.times, r.spent = append(r.times, took.Seconds()*1e3), append(r.spent, (state.UserTime()+state.SystemTime()).Seconds()*1e3)
	p, err = l.complete(ctx, ns, dir, l.ferry, "-C")
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(p.output("stdout")); got != fmt.Sprint(entries) {
		return fmt.Errorf("%s: %s entries of %d", r.name, got, entries)
	}
	l.say("  %s: %d entries in %s ms", r.name, entries, number(r.times[len(r.times)-1]))
	return nil
}

// emptyTable removes all flows.
func (l *lab) emptyTable(ctx context.Context, ns *testnet.Namespace) error {
	dir, err := os.MkdirTemp(l.dir, "flush-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, err = l.complete(ctx, ns, dir, l.ferry, "-F")
	return err
}

// complete runs a program on both CPUs to its end.
func (l *lab) complete(ctx context.Context, ns *testnet.Namespace, dir string, argv ...string) (*process, error) {
	p, err := l.launchOn(ns, dir, argv, l.subjectCPU, l.generatorCPU)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		p.kill()
		return nil, ctx.Err()
	case <-p.done:
	}
	if p.err != nil {
		return nil, fmt.Errorf("%s: %w: %.300s", strings.Join(argv, " "), p.err, p.output("stderr"))
	}
	return p, nil
}

// restoreLines are the lines of one size.
func restoreLines(restorers []*restorer, entries int) (lines []line) {
	for _, of := range []struct {
		measure string
		figure  func(*restorer) series
	}{
		{fmt.Sprintf("restore of %d saved entries, wall time", entries), func(r *restorer) series { return r.times }},
		{"CPU of that restore", func(r *restorer) series { return r.spent }},
	} {
		for i, r := range restorers {
			one := line{measure: of.measure, subject: r.name, unit: "ms", values: of.figure(r)}
			if i == 0 && len(restorers) > 1 {
				one.against, one.base = restorers[1].name, of.figure(restorers[1])
				one = one.under(targetRestore)
			}
			lines = append(lines, one)
		}
	}
	return lines
}
