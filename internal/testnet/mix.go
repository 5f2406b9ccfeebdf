package testnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Mix is a mixture of flows over IPv4 and IPv6: TCP that closes or is reset, UDP with
// and without an answer, ICMP, SCTP.
type Mix struct {
	NS       *Namespace
	Flows    int            // how many, at most MaxFlows
	Over     time.Duration  // spread evenly over this time; 0 is at once
	Progress func(made int) // called after each flow, on the calling goroutine; may be nil
}

// Tally counts flows by protocol and family.
type Tally map[Kind]int

// Kind is a protocol by conntrack's name for it ("tcp", "icmpv6") and an IP version, 4 or 6.
type Kind struct {
	Proto  string
	Family int
}

// Total is the sum of a tally.
func (t Tally) Total() int {
	sum := 0
	for _, n := range t {
		sum += n
	}
	return sum
}

// ingredient is one kind of flow in a mixture.
type ingredient struct {
	kind Kind
	open opener
	src  netip.Addr
}

// ingredients is the recipe: flows are made of these in turn.
func ingredients() []ingredient {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	return []ingredient{
		{Kind{"tcp", 4}, openTCP(false), v4},
		{Kind{"udp", 4}, openUDP(true), v4},
		{Kind{"tcp", 6}, openTCP(false), v6},
		{Kind{"udp", 6}, openUDP(true), v6},
		{Kind{"icmp", 4}, openICMP, v4},
		{Kind{"tcp", 4}, openTCP(true), v4},
		{Kind{"udp", 4}, openUDP(false), v4},
		{Kind{"icmpv6", 6}, openICMP, v6},
		{Kind{"sctp", 4}, openSCTP(true), v4},
		{Kind{"sctp", 6}, openSCTP(true), v6},
	}
}

// Run makes the mixture and returns what it made, also with an error. On a kernel
// without IPv6 it is a mixture of the rest.
func (m Mix) Run(ctx context.Context) (Tally, error) {
	tally := Tally{}
	if m.Flows < 0 || m.Flows > MaxFlows {
		return tally, fmt.Errorf("mix of %d flows: expected 0 to %d", m.Flows, MaxFlows)
	}
	err := m.NS.Do(func() error {
		parts, err := m.open(ctx)
		if err == nil {
			err = m.make(ctx, parts, tally)
		}
		for _, p := range parts {
			err = errors.Join(err, p.Close())
		}
		return err
	})
	if err != nil {
		return tally, fmt.Errorf("mix, after %d of %d flows: %w", tally.Total(), m.Flows, err)
	}
	return tally, nil
}

// part is an open session of a mixture.
type part struct {
	session
	kind Kind
}

// open opens a session for every ingredient that the kernel has.
func (m Mix) open(ctx context.Context) (parts []part, err error) {
	for _, in := range ingredients() {
		t := Traffic{NS: m.NS, Src: in.src}
		if t, err = t.defaults(); err != nil {
			return parts, err
		}
		s, err := in.open(ctx, t)
		if in.kind.Family == 6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			continue
		}
		if err != nil {
			return parts, fmt.Errorf("%s over IPv%d: %w", in.kind.Proto, in.kind.Family, err)
		}
		parts = append(parts, part{s, in.kind})
	}
	return parts, nil
}

// make makes flows of the parts in turn.
func (m Mix) make(ctx context.Context, parts []part, tally Tally) error {
	every := m.Over / time.Duration(max(m.Flows, 1))
	_, err := repeat(ctx, m.Flows, every, func(i int) error {
		p := parts[i%len(parts)]
		if err := p.flow(ctx); err != nil {
			return fmt.Errorf("%s over IPv%d: %w", p.kind.Proto, p.kind.Family, err)
		}
		tally[p.kind]++
		if m.Progress != nil {
			m.Progress(i + 1)
		}
		return nil
	})
	return err
}
