package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

const (
	dumpEntries = 250_000
	dumpFew     = 25_000
	targetDump  = 1.15
	// ten times the entries, and what a garbage collector may be late by
	targetDumpMemory = 1.25
)

// dumper is a program that reads the whole table once and ends.
type dumper struct {
	name  string
	argv  []string
	mark  string // of a line that is an entry; empty: it prints a count
	tcp4  bool   // it asks for TCP over IPv4 only, one entry of eight
	bound bool   // to the subject's CPU; else it may run on both, as it would for its user
	wants bool   // the targets are about it
	times series // in milliseconds
	spent series // of CPU, all threads, in milliseconds
	peaks series // in MiB
}

// rowDump measures the wall time of reading a large table, and whether memory depends on
// how large it is.
func rowDump(ctx context.Context, l *lab) (lines []line, err error) {
	if err := l.room(1000 * dumpEntries); err != nil {
		return nil, err
	}
	ns, err := l.namespace()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	few, many := l.dumpers(), l.dumpers()
	fill := testnet.Churn{NS: ns, Entries: l.scaled(dumpFew), Keep: true}
	if _, err := fill.Run(ctx); err != nil {
		return nil, err
	}
	err = l.dumpRounds(ctx, ns, few, l.scaled(dumpFew))
	more := testnet.Churn{NS: ns, First: fill.Entries, Entries: l.scaled(dumpEntries) - fill.Entries, Keep: true}
	if _, fillErr := more.Run(ctx); err == nil {
		err = fillErr
	}
	if err == nil {
		err = l.dumpRounds(ctx, ns, many, l.scaled(dumpEntries))
	}
	if err != nil {
		return nil, err
	}
	lines = dumpLines(few, many)
	for _, c := range []testnet.Churn{fill, more} { // the kernel would go on freeing them under the next row
		if _, err := c.Remove(ctx); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// dumpers are what is compared, those that are installed; the bare C dump is the first.
func (l *lab) dumpers() (out []*dumper) {
	if l.dump != "" {
		out = append(out, &dumper{name: "bare C dump", argv: []string{l.dump}})
	}
	json := dumper{name: "ctferry -L -o json", argv: []string{l.ferry, "-L", "-o", "json"}, mark: `"event_type":"dump"`}
	all, one, some := json, json, json
	all.wants = true
	one.name, one.bound = json.name+", on one CPU", true
	some.name, some.argv, some.tcp4 = json.name+" -f ipv4 -p tcp, an eighth", append(slices.Clone(json.argv), "-f", "ipv4", "-p", "tcp"), true
	out = append(out, &all, &one, &some)
	if l.conntrack != "" {
		out = append(out, &dumper{name: "conntrack -L", argv: []string{l.conntrack, "-L"}, mark: "src="})
	}
	return out
}

// dumpRounds runs each in turn, and counts what it wrote.
func (l *lab) dumpRounds(ctx context.Context, ns *testnet.Namespace, dumpers []*dumper, entries int) error {
	for round := range l.rounds {
		for i := range dumpers {
			d := dumpers[(i+round)%len(dumpers)]
			if err := l.dumpOnce(ctx, ns, d, entries); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			n := len(d.times) - 1
			l.say("  round %d: %s: %d entries in %s ms, %s MiB", round+1, d.name, entries, number(d.times[n]), number(d.peaks[n]))
		}
	}
	return nil
}

// dumpOnce runs one to its end, with its output in a file.
func (l *lab) dumpOnce(ctx context.Context, ns *testnet.Namespace, d *dumper, entries int) error {
	if err := l.warm(int64(entries) * recordRoom); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(l.dir, "dump-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cpus := []int{l.subjectCPU, l.generatorCPU}
	if d.bound {
		cpus = cpus[:1]
	}
	start := time.Now()
	p, err := l.launchOn(ns, dir, d.argv, cpus...)
	if err != nil {
		return err
	}
	peak := p.watchPeak(ctx)
	took := time.Since(start)
	p.kill()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if p.err != nil {
		return fmt.Errorf("%w: %s", p.err, p.output("stderr"))
	}
	c, err := countSaid(p)
	if d.mark != "" {
		c, err = countLines(filepath.Join(dir, "stdout"), d.mark)
	}
	if d.tcp4 {
		entries = (entries + 5) / 8 // testnet.ChurnKinds in turn, it is the third
	}
	if err == nil && c.received != entries {
		err = fmt.Errorf("%d entries of %d: %.200s", c.received, entries, strings.TrimSpace(p.output("stderr")))
	}
	state := p.cmd.ProcessState
	d.times, d.peaks = append(d.times, took.Seconds()*1e3), append(d.peaks, mebibytes(peak))
	d.spent = append(d.spent, (state.UserTime()+state.SystemTime()).Seconds()*1e3)
	return err
}

// watchPeak reads the process's resident memory until it ends, or ctx is done: after its
// end nobody can ask, and what wait4(2) tells has our own memory from before exec in it.
func (p *process) watchPeak(ctx context.Context) (peak int64) {
	for {
		if now, err := peakOf(p.pid()); err == nil {
			peak = max(peak, now)
		}
		select {
		case <-ctx.Done():
			return peak
		case <-p.done:
			return peak
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// dumpLines are the lines of both sizes.
func dumpLines(few, many []*dumper) (lines []line) {
	lines = compareDumps(many, "dump of a large table to a file, wall time", func(d *dumper) series { return d.times })
	for i := range lines {
		if d := many[i]; d.wants {
			lines[i] = lines[i].under(targetDump)
		}
	}
	lines = append(lines, compareDumps(many, "CPU of that dump", func(d *dumper) series { return d.spent })...)
	for i, d := range many {
		if d.mark == "" {
			continue
		}
		one := line{measure: "resident memory of that dump, peak", subject: d.name, unit: "MiB", values: d.peaks, against: "a tenth of the entries", base: few[i].peaks}
		if d.wants {
			one = one.under(targetDumpMemory)
		}
		lines = append(lines, one)
	}
	return lines
}

// compareDumps makes a line of each dumper, against the bare one if there is one.
func compareDumps(dumpers []*dumper, measure string, figure func(*dumper) series) (lines []line) {
	for i, d := range dumpers {
		one := line{measure: measure, subject: d.name, unit: "ms", values: figure(d)}
		if bare := dumpers[0]; i > 0 && bare.mark == "" {
			one.against, one.base = bare.name, figure(bare)
		}
		lines = append(lines, one)
	}
	return lines
}
