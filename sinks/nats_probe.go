package sinks

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/source/flow"
)

// The headers by which a message is looked at on its way and delivered to nobody
// (nats-server 2.11, ADR-41), but judged like any other. What was seen goes to
// the trace's destination, to which the user must be allowed to publish too.
const (
	natsTraceDest  = "Nats-Trace-Dest"
	natsTraceOnly  = "Nats-Trace-Only"
	natsTraceMajor = 2
	natsTraceMinor = 11
)

// Probe implements Prober: the connection and the stream as Open has them, but
// nothing is created or changed; that the stream takes every subject of the
// types; and the right to publish to each. Fields of the subject that depend on
// traffic are tried as a TCP connection over IPv4 has them.
func (n *NATS) Probe(ctx context.Context, types flow.Types) error {
	defer n.hangUp()
	manage := n.o.JetStream.Manage
	n.o.JetStream.Manage = natsManageNone
	defer func() { n.o.JetStream.Manage = manage }()
	subjects := n.probed(types)
	err := n.Open(ctx)
	if err == nil && n.o.JetStream.On() {
		err = n.checkStream(ctx, subjects...)
	}
	switch {
	case n.link == nil:
		return &ProbeError{Step: ProbeReach, Err: err}
	case err == nil || n.willMend(ctx, manage, err):
		return n.probePublish(ctx, subjects)
	}
	return &ProbeError{ProbePlace, n.o.JetStream.Stream, err}
}

// willMend tells whether Open, which may manage the stream, would put right what
// is wrong with it.
func (n *NATS) willMend(ctx context.Context, manage string, err error) bool {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return manage != natsManageNone
	}
	cfg, err := n.streamInfo(ctx)
	return manage == natsManageUpdate && err == nil && cfg.Mirror == nil && !cfg.Sealed && !cfg.NoAck
}

// probed are the subjects that records of the types will have.
func (n *NATS) probed(types flow.Types) []string {
	subjects := n.certain()
	seen := map[string]bool{}
	for _, s := range subjects {
		seen[s] = true
	}
	for _, t := range []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeDump, flow.TypeInterim} {
		s := n.subject.expand(templateKey{node: n.env.Node, table: flow.TableConntrack, event: t, family: flow.IPv4, proto: flow.ProtoTCP})
		if types.Has(t) && !seen[s] {
			seen[s] = true
			subjects = append(subjects, s)
		}
	}
	return subjects
}

// probePublish asks whether the user may publish to the subjects.
func (n *NATS) probePublish(ctx context.Context, subjects []string) error {
	nc, dest := n.link.nc, n.traceDest()
	if v := nc.ConnectedServerVersion(); !natsTraces(v) {
		return &ProbeError{ProbeUnsure, subjects[0], fmt.Errorf("nats-server %s cannot be asked what this user may publish: that takes %d.%d", v, natsTraceMajor, natsTraceMinor)}
	}
	n.link.forget()
	for _, subject := range subjects {
		err := nc.PublishMsg(&nats.Msg{Subject: subject, Header: nats.Header{natsTraceOnly: {"true"}, natsTraceDest: {dest}}})
		if err != nil {
			return &ProbeError{ProbeReach, subject, err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.PublishTimeout)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return &ProbeError{ProbeReach, "", err}
	}
	n.link.settled(ctx)
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	for _, subject := range subjects {
		if denied := n.link.denied[subject]; denied != nil {
			return &ProbeError{ProbeWrite, subject, fmt.Errorf("subject %s: %w", subject, denied)}
		}
	}
	if n.link.denied[dest] != nil {
		return &ProbeError{ProbeUnsure, subjects[0], errors.New("what this user may publish cannot be asked: it may not publish to its inbox, where the answer would go")}
	}
	return nil
}

// traceDest is where the server sends what it saw: nobody listens there. With a
// stream it is the request that was just made of it, which goes unanswered
// without a reply subject and was allowed a moment ago.
func (n *NATS) traceDest() string {
	if n.o.JetStream.On() {
		return "$JS.API.STREAM.INFO." + n.o.JetStream.Stream
	}
	return n.link.nc.NewInbox()
}

// natsTraces tells whether a server of this version knows of tracing.
func natsTraces(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > natsTraceMajor || major == natsTraceMajor && minor >= natsTraceMinor
}
