package testnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// MaxFlows is the most flows that one call makes. Source ports and identifiers are handed
// out in turn, and each may be used once while the kernel still remembers the flow; a
// thousand may be passed over because another socket has them.
const MaxFlows = sourcePorts - 1000

const (
	firstPort   = 20000            // source ports begin here
	sourcePorts = 45000            // and there are so many
	stepLimit   = 20 * time.Second // how long one read or write may take
)

// Traffic says between which addresses of a namespace flows run. Its methods send real
// packets through the kernel and return how many flows they made: each is one entry in
// the connection tracking table. When a method returns an error, the count tells the
// flows completed before it. A step that hangs ends after 20 s, or when ctx's deadline passes.
type Traffic struct {
	NS       *Namespace
	Src, Dst netip.Addr     // default 127.0.0.1; one of them given is the default of the other
	Port     uint16         // destination port; 0 is one that the kernel picks
	Listen   netip.AddrPort // where the server is, when a rule translates Dst and Port; default there
	Every    time.Duration  // the time from one flow to the next; 0 is at once
}

// session is the open end of one kind of traffic; flow makes one flow.
type session interface {
	flow(ctx context.Context) error
	io.Closer
}

// opener opens a session; it is called inside the namespace.
type opener func(context.Context, Traffic) (session, error)

// run makes n flows, one after another.
func (t Traffic) run(ctx context.Context, kind string, n int, open opener) (made int, err error) {
	if t, err = t.defaults(); err != nil {
		return 0, fmt.Errorf("%s: %w", kind, err)
	}
	if n < 0 || n > MaxFlows {
		return 0, fmt.Errorf("%s: %d flows: expected 0 to %d in one call", kind, n, MaxFlows)
	}
	err = t.NS.Do(func() error {
		s, err := open(ctx, t)
		if err != nil {
			return err
		}
		made, err = repeat(ctx, n, t.Every, func(int) error { return s.flow(ctx) })
		return errors.Join(err, s.Close())
	})
	if err != nil {
		return made, fmt.Errorf("%s from %s to %s, after %d of %d flows: %w", kind, t.Src, t.Dst, made, n, err)
	}
	return made, nil
}

// repeat calls step n times, spaced evenly, until it fails or ctx is done.
func repeat(ctx context.Context, n int, every time.Duration, step func(i int) error) (done int, err error) {
	start := time.Now()
	for done < n {
		if err := pause(ctx, time.Until(start.Add(time.Duration(done)*every))); err != nil {
			return done, err
		}
		if err := step(done); err != nil {
			return done, blame(ctx, err)
		}
		done++
	}
	return done, nil
}

// blame adds ctx's deadline to a time-out that it caused; the socket's timer may fire a
// moment before the context's own.
func blame(ctx context.Context, err error) error {
	by, ok := ctx.Deadline()
	if ok && !time.Now().Before(by) && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// pause sleeps for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// defaults fills what the caller left out.
func (t Traffic) defaults() (Traffic, error) {
	switch {
	case !t.Src.IsValid() && !t.Dst.IsValid():
		t.Src = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		t.Dst = t.Src
	case !t.Src.IsValid():
		t.Src = t.Dst
	case !t.Dst.IsValid():
		t.Dst = t.Src
	}
	if t.Src.Is4() != t.Dst.Is4() {
		return t, fmt.Errorf("source %s and destination %s are of different families", t.Src, t.Dst)
	}
	if !t.Listen.IsValid() {
		t.Listen = netip.AddrPortFrom(t.Dst, t.Port)
	}
	return t, nil
}

// target is where a client goes, given where its server really listens.
func (t Traffic) target(listening netip.AddrPort) netip.AddrPort {
	if t.Port != 0 {
		return netip.AddrPortFrom(t.Dst, t.Port)
	}
	return netip.AddrPortFrom(t.Dst, listening.Port())
}

// next is the next source port or identifier of the namespace.
func (ns *Namespace) next() uint16 {
	return uint16(firstPort + (ns.ports.Add(1)-1)%sourcePorts)
}

// bind calls try with one source port after another until one is free.
func (t Traffic) bind(try func(src netip.AddrPort) error) (err error) {
	for range sourcePorts {
		err = try(netip.AddrPortFrom(t.Src, t.NS.next()))
		if !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
	return err
}

// limit bounds what comes next on a connection or listener.
func limit(ctx context.Context, c interface{ SetDeadline(time.Time) error }) error {
	by := time.Now().Add(stepLimit)
	if d, ok := ctx.Deadline(); ok && d.Before(by) {
		by = d
	}
	return c.SetDeadline(by)
}
