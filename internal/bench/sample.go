package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// errMissing says that a program is not installed: the table says so, and goes on.
var errMissing = errors.New("not installed")

// load is what the generator does in a sample.
type load struct {
	churn testnet.Churn // its namespace is set by the sample
	limit time.Duration // ends it early; 0 is none
	flows int           // real packets instead: so many flows over the loopback device
}

// fullRate is entries that are made and deleted as fast as one CPU can.
func (l *lab) fullRate(events int) load {
	return load{churn: testnet.Churn{Entries: l.scaled(events) / 2}}
}

// sample is what was measured once.
type sample struct {
	made      testnet.Churned
	counted   counted
	cpu       time.Duration // of the subject, for the load
	generator time.Duration // CPU of the generator
	peak      int64         // resident bytes of the subject, its ring too
	ring      int64         // resident bytes of its ring
	waited    float64       // share of the load's time in which it was ready and had no CPU
}

// missing is how many events were made and not received.
func (s sample) missing() int { return s.made.Events() - s.counted.received }

// String is a line of progress.
func (s sample) String() string {
	return fmt.Sprintf("%.0f ns of CPU an event made, generator %.0f, %.0f/s; %d made, %d received, lost %d in the kernel and %d inside",
		s.cpuAnEventMade(), s.generatorAnEvent(), s.made.PerSecond(), s.made.Events(), s.counted.received, s.counted.lost, s.counted.dropped)
}

// cpuAnEvent is in nanoseconds, of events that were received.
func (s sample) cpuAnEvent() float64 {
	return float64(s.cpu.Nanoseconds()) / float64(s.counted.received)
}

// cpuAnEventMade is in nanoseconds, of events that were made, whether or not they were
// to be received.
func (s sample) cpuAnEventMade() float64 {
	return float64(s.cpu.Nanoseconds()) / float64(s.made.Events())
}

// generatorAnEvent is in nanoseconds, of events that were made.
func (s sample) generatorAnEvent() float64 {
	return float64(s.generator.Nanoseconds()) / float64(s.made.Events())
}

// check compares the counts: what was made was received or is known to be lost. How many
// events real packets raise is the kernel's affair; of those none may be lost.
func (s sample) check(of subject, work load) error {
	switch c := s.counted; {
	case work.flows > 0 && (c.received < s.made.Events() || c.lost > 0):
		return fmt.Errorf("%d flows, %d events received and %d lost: expected an event a flow at least, and none lost", s.made.Events(), c.received, c.lost)
	case work.flows > 0:
		return nil
	case of.knowsLoss && s.made.Events() != c.received+c.lost:
		return fmt.Errorf("%d events made, %d received and %d lost: %d unaccounted for", s.made.Events(), c.received, c.lost, s.missing()-c.lost)
	case c.received == 0 && !of.refuses:
		return fmt.Errorf("none of %d events received", s.made.Events())
	}
	return nil
}

// running is a subject that listens, in a namespace and a directory of its own.
type running struct {
	*process
	subject subject
	ns      *testnet.Namespace
	started effort // what it used to start
}

// listenIn starts a subject in a fresh namespace and waits until it listens and is at rest.
func (l *lab) listenIn(ctx context.Context, s subject) (_ *running, err error) {
	r := &running{subject: s}
	dir, err := os.MkdirTemp(l.dir, "sample-")
	if err != nil {
		return nil, err
	}
	argv, err := s.prepare(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if r.ns, err = l.namespace(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if r.process, err = l.launch(r.ns, dir, argv); err != nil {
		return nil, errors.Join(err, r.ns.Close(), os.RemoveAll(dir))
	}
	ready := s.ready
	if ready == nil {
		ready = func(p *process) (bool, error) { return listening(p.pid()) }
	}
	err = r.until(ctx, filepath.Base(argv[0])+" to listen", startTimeout, func() (bool, error) { return ready(r.process) })
	if err == nil {
		r.started, err = r.rest(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// close ends the subject if it still runs, and removes what was made for it.
func (r *running) close() error {
	r.kill()
	return errors.Join(r.ns.Close(), os.RemoveAll(r.dir))
}

// take measures a subject under a load: a namespace, a process, the load, rest, the end.
func (l *lab) take(ctx context.Context, s subject, work load) (out sample, err error) {
	if err := l.warm(s.writes(work)); err != nil {
		return out, err
	}
	r, err := l.listenIn(ctx, s)
	if err != nil {
		return out, fmt.Errorf("%s: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := out.measure(ctx, r, work); err != nil {
		return out, fmt.Errorf("%s: %w", s.name, err)
	}
	if err := out.finish(r, work); err != nil {
		return out, fmt.Errorf("%s: %w", s.name, err)
	}
	return out, nil
}

// measure puts the load on a subject that listens.
func (s *sample) measure(ctx context.Context, r *running, work load) (err error) {
	before, err := r.effort()
	if err != nil {
		return err
	}
	work.churn.NS = r.ns
	if s.made, s.generator, err = generate(ctx, work); err != nil {
		return err
	}
	after, err := r.rest(ctx)
	if err != nil {
		return err
	}
	s.cpu = after.used - before.used
	s.waited = float64(after.waited-before.waited) / float64(s.made.Elapsed)
	if s.peak, err = peakOf(r.pid()); err != nil {
		return err
	}
	s.ring, err = ringOf(r.pid())
	return err
}

// finish ends the subject and counts.
func (s *sample) finish(r *running, work load) (err error) {
	if err := r.stop(); err != nil && r.subject.rate == 0 {
		return fmt.Errorf("%w: %s", err, r.output("stderr"))
	}
	if s.counted, err = r.subject.count(r.process); err != nil {
		return err
	}
	return s.check(r.subject, work)
}

// generate makes the load on this thread and tells what it did and what CPU it took.
// A load whose time is up is a whole load.
func generate(ctx context.Context, work load) (made testnet.Churned, used time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := cpuOfThread()
	if err != nil {
		return made, 0, err
	}
	limited := ctx
	if work.limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, work.limit)
		defer cancel()
	}
	if work.flows > 0 {
		made, err = realTraffic(limited, work)
	} else {
		made, err = work.churn.Run(limited)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	after, clockErr := cpuOfThread()
	return made, after - before, errors.Join(err, clockErr)
}

// realTraffic makes flows of real packets; each counts as one creation.
func realTraffic(ctx context.Context, work load) (made testnet.Churned, err error) {
	start := time.Now()
	tally, err := testnet.Mix{NS: work.churn.NS, Flows: work.flows}.Run(ctx)
	return testnet.Churned{Created: tally.Total(), Elapsed: time.Since(start)}, err
}
