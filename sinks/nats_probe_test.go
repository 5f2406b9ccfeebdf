package sinks

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// TestNATSProbe asks servers that are right and servers that are wrong in one
// way each; nobody who listens there sees anything of it.
func TestNATSProbe(t *testing.T) {
	few := []string{"$JS.API.STREAM.INFO.*", "flows.edge-1.status", "flows.edge-1.gap", "flows.edge-1.new"}
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.StoreDir = t.TempDir()
		c.Users = append(c.Users,
			natstest.User("all", "pw", nil, nil),
			natstest.User("some", "pw", append(few, "_INBOX.>"), []string{"_INBOX.>"}),
			natstest.User("closed", "pw", few, []string{"_INBOX.>"})) // and so not where a trace could go
	})
	nc := hub.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "all", option.NewSecret("pw") })
	seen, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for name, subjects := range map[string][]string{"GOOD": {"flows.>"}, "NARROW": {"other.*.status", "other.*.gap"}} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects}); err != nil {
			t.Fatal(err)
		}
	}
	type change = func(*NATSOptions)
	as := func(user string, more change) change {
		return func(o *NATSOptions) {
			o.User, o.Password, o.Subject = user, option.NewSecret("pw"), "flows.{node}.{event_type}"
			if more != nil {
				more(o)
			}
		}
	}
	in := func(stream, manage string) change {
		return func(o *NATSOptions) {
			o.JetStream.Stream, o.JetStream.Manage = stream, manage
			if manage != "none" {
				o.JetStream.MaxBytes = option.MiB
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(*NATSOptions)
		types  flow.Types
		step   ProbeStep
		place  string // "" is that nothing is wrong
	}{
		"core":             {as("all", nil), flow.TypesOf(flow.TypeNew), 0, ""},
		"stream":           {as("all", in("GOOD", "none")), flow.TypesOf(flow.TypeNew), 0, ""},
		"no stream":        {as("all", in("ABSENT", "none")), 0, ProbePlace, "ABSENT"},
		"stream to come":   {as("all", in("ABSENT", "create")), 0, 0, ""},
		"uncovered":        {as("all", in("NARROW", "none")), 0, ProbePlace, "NARROW"},
		"uncovered yet":    {as("all", in("NARROW", "update")), 0, 0, ""},
		"allowed":          {as("some", nil), flow.TypesOf(flow.TypeNew), 0, ""},
		"not allowed":      {as("some", nil), flow.TypesOf(flow.TypeNew, flow.TypeDestroy), ProbeWrite, "flows.edge-1.destroy"},
		"cannot be told":   {as("closed", nil), flow.TypesOf(flow.TypeNew), ProbeUnsure, "?"},
		"allowed stream":   {as("closed", in("GOOD", "none")), flow.TypesOf(flow.TypeNew), 0, ""},
		"stranger":         {as("nobody", nil), 0, ProbeReach, "?"},
		"nobody there":     {func(o *NATSOptions) { o.URLs = []string{"nats://127.0.0.1:1"} }, 0, ProbeReach, "?"},
		"denied in stream": {as("closed", in("GOOD", "none")), flow.TypesOf(flow.TypeUpdate), ProbeWrite, "flows.edge-1.update"},
	} {
		n := newTestNATS(t, hub.Config().URLs[0], tt.change, nil)
		err := n.Probe(t.Context(), tt.types)
		var fault *ProbeError
		if tt.place == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.As(err, &fault) || fault.Step != tt.step || tt.place != "?" && fault.Place != tt.place {
			t.Errorf("%s: %v (%+v)", name, err, fault)
		}
	}
	if s, err := js.Stream(t.Context(), "GOOD"); err != nil || s.CachedInfo().State.Msgs != 0 {
		t.Errorf("the stream has taken something: %v", err)
	}
	if _, err := js.Stream(t.Context(), "ABSENT"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a probe made a stream: %v", err)
	}
	onlyTraces(t, nc, seen)
}

// onlyTraces wants that nobody got a message of a sink's subjects.
func onlyTraces(t *testing.T, nc *nats.Conn, seen *nats.Subscription) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := seen.NextMsg(1)
		if err != nil {
			return
		}
		if natsWithin("flows.>", m.Subject) {
			t.Errorf("a message on %s", m.Subject)
		}
	}
}

func TestNATSTraces(t *testing.T) {
	for version, want := range map[string]bool{"2.11.0": true, "2.10.29": false, "3.0.1": true, "2.15.2-dev": true, "": false, "dev": false} {
		if natsTraces(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}
