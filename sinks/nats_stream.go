package sinks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/source/flow"
)

// openStream makes JetStream's client, then the stream if it may, and checks it.
func (n *NATS) openStream(ctx context.Context) error {
	var err error
	n.js, err = jetstream.New(n.link.nc) // for the stream's management; messages are ours, see natsAnswers
	if err != nil {
		return n.fail("jetstream", err)
	}
	if n.o.JetStream.Manage != natsManageNone {
		if err := n.manageStream(ctx); err != nil {
			return n.manageFault(err)
		}
	}
	if err := n.checkStream(ctx, n.certain()...); err != nil {
		return err
	}
	if n.answers, err = listenNATS(ctx, n.link, &n.o); err != nil {
		return n.fail("stream "+n.o.JetStream.Stream, err)
	}
	return nil
}

// certain are the subjects that the sink is sure to need: those of status and
// gap records, which pass every filter. The others depend on what is asked of
// the kernel; one that the stream does not take is an error when it occurs.
func (n *NATS) certain() []string {
	var subjects []string
	for _, event := range []flow.Type{flow.TypeStatus, flow.TypeGap} {
		subjects = append(subjects, n.subject.expand(templateKey{node: n.env.Node, event: event}))
	}
	return subjects
}

// streamInfo asks for the stream's configuration.
func (n *NATS) streamInfo(ctx context.Context) (cfg jetstream.StreamConfig, err error) {
	err = n.link.ask(ctx, n.o.PublishTimeout, func(ctx context.Context) error {
		stream, err := n.js.Stream(ctx, n.o.JetStream.Stream)
		if err == nil {
			cfg = stream.CachedInfo().Config
		}
		return err
	})
	return cfg, err
}

// checkStream sees that the stream exists, acknowledges, and takes the subjects.
func (n *NATS) checkStream(ctx context.Context, subjects ...string) error {
	cfg, err := n.streamInfo(ctx)
	if err != nil {
		return n.streamFault(err)
	}
	n.stored = max(0, int(cfg.MaxMsgSize))
	name := n.o.JetStream.Stream
	switch {
	case cfg.Mirror != nil:
		return natsConfiguration("stream %s: is a mirror: nothing can be published to it", name)
	case cfg.Sealed:
		return natsConfiguration("stream %s: is sealed", name)
	case cfg.NoAck:
		return natsConfiguration("stream %s: no_ack is set: nothing could be accounted for", name)
	}
	for _, s := range subjects {
		if !natsCovers(cfg.Subjects, s) {
			return natsConfiguration("stream %s: does not take subject %s: its subjects are %s", name, s, strings.Join(cfg.Subjects, ", "))
		}
	}
	return nil
}

// streamFault makes the error of a request about the stream.
func (n *NATS) streamFault(err error) error {
	where := "stream " + n.o.JetStream.Stream
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		e := natsConfiguration("%s: does not exist: create it, or set jetstream.manage: create", where)
		e.Err = natsCause{e.Err, err}
		return e
	case errors.Is(err, nats.ErrNoResponders):
		e := n.fail(where, err)
		e.Err = natsCause{fmt.Errorf("%s: no JetStream answers: it is starting, or off on this server", where), err}
		return e
	}
	return n.fail(where, err)
}

// manageFault makes the error of an order about the stream: what JetStream
// refuses, and is not merely too busy for, a person has to put right.
func (n *NATS) manageFault(err error) error {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil && js.APIError().Code != http.StatusServiceUnavailable {
		return natsConfiguration("stream %s: jetstream.manage: %s: %w", n.o.JetStream.Stream, n.o.JetStream.Manage, natsPlain(err))
	}
	return n.streamFault(err)
}

// natsCause shows the first error and unwraps to the second.
type natsCause struct{ shown, cause error }

func (c natsCause) Error() string { return c.shown.Error() }
func (c natsCause) Unwrap() error { return c.cause }

// manageStream creates the stream, or changes what the configuration names.
func (n *NATS) manageStream(ctx context.Context) error {
	have, err := n.streamInfo(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		want := n.wanted(jetstream.StreamConfig{Name: n.o.JetStream.Stream})
		err = n.link.ask(ctx, n.o.PublishTimeout, func(ctx context.Context) error {
			_, err := n.js.CreateStream(ctx, want)
			return err
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil // another node was quicker
		}
		if err == nil {
			n.env.Log.Info("nats stream created", "stream", want.Name, "subjects", want.Subjects)
		}
		return err
	}
	if err != nil || n.o.JetStream.Manage != natsManageUpdate {
		return err
	}
	want := n.wanted(have)
	if reflect.DeepEqual(want, have) {
		return nil
	}
	err = n.link.ask(ctx, n.o.PublishTimeout, func(ctx context.Context) error {
		_, err := n.js.UpdateStream(ctx, want)
		return err
	})
	if err == nil {
		n.env.Log.Info("nats stream updated", "stream", want.Name, "subjects", want.Subjects)
	}
	return err
}

// wanted is a stream's configuration with what ours names put in.
func (n *NATS) wanted(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	j := &n.o.JetStream
	if all := n.subject.wildcard(); !natsCovers(cfg.Subjects, all) {
		others := slices.DeleteFunc(slices.Clone(cfg.Subjects), func(s string) bool { return natsWithin(all, s) })
		cfg.Subjects = append(others, all)
	}
	if j.Storage != "" {
		cfg.Storage = map[string]jetstream.StorageType{natsFile: jetstream.FileStorage, natsMemory: jetstream.MemoryStorage}[j.Storage]
	}
	if j.Discard != "" {
		cfg.Discard = map[string]jetstream.DiscardPolicy{natsDiscardOld: jetstream.DiscardOld, natsDiscardNew: jetstream.DiscardNew}[j.Discard]
	}
	if j.MaxBytes > 0 {
		cfg.MaxBytes = int64(j.MaxBytes)
	}
	if j.MaxAge > 0 {
		cfg.MaxAge = j.MaxAge
	}
	if j.Replicas > 0 {
		cfg.Replicas = j.Replicas
	}
	if j.DuplicateWindow > 0 {
		cfg.Duplicates = j.DuplicateWindow
	}
	return cfg
}
