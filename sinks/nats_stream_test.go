package sinks

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

const natsDefaultSubject = "ctferry.v1.default.evt.{node}.{table}.{event_type}"

func TestNATSStreamFaults(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	js := natsClient(nc)
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "OTHER", Subjects: []string{"other.>"}},
		{Name: "MINE", Subjects: []string{"ctferry.v1.default.evt.edge-1.>"}},
		{Name: "NEWONLY", Subjects: []string{"ctferry.v1.lab.evt.*.*.new", "ctferry.v1.lab.evt.*.*.gap"}},
		{Name: "NOACK", Subjects: []string{"noack"}, NoAck: true},
		{Name: "MIRROR", Mirror: &jetstream.StreamSource{Name: "OTHER"}},
	} {
		if _, err := js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		stream, subject string
		want            []string // in the error; none if there must be none
	}{
		{"MINE", natsDefaultSubject, nil},
		{"NOWHERE", natsDefaultSubject, []string{"stream NOWHERE: does not exist", "jetstream.manage: create"}},
		{"OTHER", natsDefaultSubject, []string{"stream OTHER: does not take subject ctferry.v1.default.evt.edge-1.conntrack.status: its subjects are other.>"}},
		{"NEWONLY", "ctferry.v1.lab.evt.{node}.{table}.{event_type}", []string{"stream NEWONLY: does not take subject ctferry.v1.lab.evt.edge-1.conntrack.status"}},
		{"NOACK", "noack", []string{"stream NOACK: no_ack is set"}},
		{"MIRROR", "x", []string{"stream MIRROR: is a mirror"}},
	} {
		n := newTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.JetStream.Stream, o.Subject = tt.stream, tt.subject }, nil)
		err := n.Open(t.Context())
		if tt.want == nil && err != nil {
			t.Errorf("%s: %v", tt.stream, err)
		}
		if tt.want != nil {
			mustFail(t, err, Configuration, tt.want...)
		}
		_ = n.Close(t.Context())
	}
}

// What nobody takes is found out when it occurs, by the subject's name.
func TestNATSSubjectWithoutStream(t *testing.T) {
	b := natstest.Start(t)
	natsStream(t, b.Dial(t), func(c *jetstream.StreamConfig) {
		c.Subjects = []string{"flows.status", "flows.gap", "flows.new"}
	})
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { inStream(o); o.Subject = "flows.{event_type}" }, nil)
	batch := &Batch{Records: natsRecords(0, 10)}
	mustFail(t, natsWrite(t, n, batch), Configuration, "stream CTFERRY: does not take subject flows.update: its subjects are flows.status, flows.gap, flows.new")
	if done := doneOf(batch); !slices.Equal(done, []uint64{0, 1, 2, 3, 4, 5, 6}) {
		t.Fatalf("done %v", done)
	}
}

// A subject that another stream takes must not fill that one.
func TestNATSWrongStream(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	s := natsStream(t, nc, func(c *jetstream.StreamConfig) { c.Subjects = []string{"flows.status", "flows.gap"} })
	if _, err := natsClient(nc).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"flows.new"}}); err != nil {
		t.Fatal(err)
	}
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { inStream(o); o.Subject = "flows.{event_type}" }, nil)
	mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 1)}), Configuration, "stream CTFERRY: subject flows.new: expected stream does not match")
	if len(natsStored(t, s)) != 0 {
		t.Fatal("stored")
	}
}

func TestNATSStreamGoes(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	natsStream(t, nc, nil)
	n := openTestNATS(t, b.ClientURL(), inStream, nil)
	if err := natsClient(nc).DeleteStream(t.Context(), "CTFERRY"); err != nil {
		t.Fatal(err)
	}
	mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 3)}), Configuration, "stream CTFERRY: does not exist")
	natsStream(t, nc, nil)
	natsFerry(t, n, natsRecords(0, 3))
}

func TestNATSWithoutJetStream(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = "" })
	n := newTestNATS(t, b.ClientURL(), inStream, nil)
	mustFail(t, n.Open(t.Context()), Retry, "stream CTFERRY: no JetStream answers: it is starting, or off on this server")
	_ = n.Close(t.Context())
}

func TestNATSStreamCreate(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	change := func(o *NATSOptions) {
		o.Subject = natsDefaultSubject
		o.JetStream = NATSJetStream{Stream: "CTFERRY", Manage: natsManageCreate, Storage: natsMemory, MaxBytes: option.MiB,
			MaxAge: time.Hour, Replicas: 1, Discard: natsDiscardNew, DuplicateWindow: time.Minute}
	}
	n := openTestNATS(t, b.ClientURL(), change, nil)
	natsFerry(t, n, natsRecords(0, 50))
	s, err := natsClient(nc).Stream(t.Context(), "CTFERRY")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if !slices.Equal(cfg.Subjects, []string{"ctferry.v1.default.evt.*.*.*"}) || cfg.Storage != jetstream.MemoryStorage || cfg.MaxBytes != 1<<20 ||
		cfg.MaxAge != time.Hour || cfg.Discard != jetstream.DiscardNew || cfg.Duplicates != time.Minute {
		t.Fatalf("%+v", cfg)
	}
	// Another node, and other wishes: the stream that is there stays.
	openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { change(o); o.JetStream.MaxBytes = 2 * option.MiB }, func(e *Env) { e.Node = "edge-2" })
	if s, err = natsClient(nc).Stream(t.Context(), "CTFERRY"); err != nil || s.CachedInfo().Config.MaxBytes != 1<<20 {
		t.Fatalf("changed: %v", err)
	}
}

func TestNATSStreamUpdate(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	natsStream(t, nc, func(c *jetstream.StreamConfig) {
		c.Subjects, c.Description, c.MaxMsgs = []string{"theirs", "ctferry.v1.default.evt.edge-1.>"}, "kept", 1000
	})
	update := func(o *NATSOptions) {
		o.Subject = "ctferry.v1.default.evt.{node}.{event_type}"
		o.JetStream = NATSJetStream{Stream: "CTFERRY", Manage: natsManageUpdate, MaxBytes: option.MiB}
	}
	// Ours would overlap theirs partly: the server's words, and nothing changed.
	n := newTestNATS(t, b.ClientURL(), update, nil)
	mustFail(t, n.Open(t.Context()), Configuration, "stream CTFERRY: ", "overlap")
	_ = n.Close(t.Context())
	cfg := info(t, nc)
	cfg.Subjects = []string{"theirs", "ctferry.v1.default.evt.edge-1.new"}
	if _, err := natsClient(nc).UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	n = openTestNATS(t, b.ClientURL(), update, nil)
	natsFerry(t, n, natsRecords(0, 50))
	cfg = info(t, nc)
	if !slices.Equal(cfg.Subjects, []string{"theirs", "ctferry.v1.default.evt.*.*"}) || cfg.Description != "kept" || cfg.MaxMsgs != 1000 || cfg.MaxBytes != 1<<20 {
		t.Fatalf("%+v", cfg)
	}
	// What cannot be changed is refused by name.
	n = newTestNATS(t, b.ClientURL(), func(o *NATSOptions) { update(o); o.JetStream.Storage = natsMemory }, nil)
	mustFail(t, n.Open(t.Context()), Configuration, "stream CTFERRY: ", "storage")
	_ = n.Close(t.Context())
}

func info(tb testing.TB, nc *nats.Conn) jetstream.StreamConfig {
	tb.Helper()
	s, err := natsClient(nc).Stream(tb.Context(), "CTFERRY")
	if err != nil {
		tb.Fatal(err)
	}
	return s.CachedInfo().Config
}
