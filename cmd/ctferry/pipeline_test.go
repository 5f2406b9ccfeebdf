package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testbroker"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// pipelineConfig sends the same events six ways.
const pipelineConfig = `
node: edge-1
meta: {site: paris}
source:
  netns: [%[1]s]
  filter: {include: [{netns: %[1]s}]}
  buffer: {size: 8MiB, max: 8MiB}
  tables: [conntrack, expect]
  dump: {interval: 2s}
connections:
  hub: {type: nats, urls: [%[2]s]}
x-everything: &everything {events: [new, update, destroy, dump]}
sinks:
  json:  {<<: *everything, type: file, path: %[3]s/json}
  xml:   {<<: *everything, type: file, path: %[3]s/xml, encoding: xml}
  proto: {<<: *everything, type: file, path: %[3]s/protobuf, encoding: protobuf}
  topic: {<<: *everything, type: kafka, brokers: [%[4]s], topic: conntrack}
  core:  {<<: *everything, type: nats, connection: hub, encoding: xml, subject: "core.{node}.{table}.{event_type}"}
  stream:
    <<: *everything
    type: nats
    connection: hub
    encoding: protobuf
    batch: record_batch
    subject: "js.{node}.{table}.{event_type}"
    jetstream: {stream: CTFERRY, manage: create, max_bytes: 64MiB}
`

// seen is what one consumer read: each record as canonical JSON, in its order.
type seen struct {
	name    string
	records []seenRecord
}

type seenRecord struct {
	seq    uint64
	flowID uint64
	typ    flow.Type
	json   string
}

// reader turns one format's records into seenRecords.
type reader struct {
	dec   encode.Decoder
	enc   encode.Encoder
	batch *flow.Batch
}

func newReader(format string) *reader {
	return &reader{encode.Formats()[format].NewDecoder(), encode.Formats()["json"].NewEncoder(encode.Projection{}), flow.NewBatch(1)}
}

func (r *reader) read(t *testing.T, s *seen, record []byte) {
	t.Helper()
	r.batch.Reset()
	if err := r.dec.Decode(r.batch, record); err != nil {
		t.Fatalf("%s: %v in %q", s.name, err, record)
	}
	e := &r.batch.Events()[0]
	out := seenRecord{seq: e.Seq, typ: e.Type, json: string(r.enc.Append(nil, e))}
	if e.Any(flow.HasFlowID) {
		out.flowID = e.FlowID
	}
	s.records = append(s.records, out)
}

// TestSixWaysOfTheSameEvents is the main job: one configuration, one run, real
// traffic of every kind; a real Kafka topic, a NATS subject, a JetStream stream
// and three files are read back, and hold the same records in the same order
// for each flow.
func TestSixWaysOfTheSameEvents(t *testing.T) {
	kafka := testbroker.Start(t, testbroker.Options{})
	if err := kafka.CreateTopic(t.Context(), "conntrack", 3, nil); err != nil {
		t.Fatal(err)
	}
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = t.TempDir() })
	ns, dir := pipelineNamespace(t), t.TempDir()
	core := subscribe(t, hub)
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(pipelineConfig, filepath.Base(ns.Path()), hub.Config().URLs[0], dir, kafka.Brokers()[0]))
	p := startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	made := pipelineTraffic(t, ns)
	waitFor(t, "a dump's rows", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "json"))
		return err == nil && bytes.Contains(text, []byte(`"event_type":"dump",`))
	})
	books := p.stop(t)

	all := []*seen{readFile(t, dir, "json"), readFile(t, dir, "xml"), readFile(t, dir, "protobuf"),
		readTopic(t, kafka), core.read(t), readStream(t, hub)}
	for _, sink := range []string{"json", "xml", "proto", "topic", "core", "stream"} {
		if n := books.sink(t, sink, "delivered"); n != books.sink(t, sink, "offered") || n != books.sink(t, "json", "offered") {
			t.Errorf("sink %s delivered %d of %d", sink, n, books.sink(t, sink, "offered"))
		}
	}
	if lost := books.socket(t, filepath.Base(ns.Path()), "lost"); lost != 0 {
		t.Fatalf("the kernel dropped %d events", lost)
	}
	checkTold(t, all[0], made, books.socket(t, filepath.Base(ns.Path()), "emitted"))
	for _, s := range all {
		checkFlowOrder(t, s)
		checkSame(t, all[0], s)
	}
}

// pipelineNamespace has a name, because the program finds it by that.
func pipelineNamespace(t *testing.T) *testnet.Namespace {
	t.Helper()
	ns := testnet.NewNamed(t, fmt.Sprintf("ctferry-pipeline-%d", os.Getpid()))
	client, server := demoAddrs()
	if err := errors.Join(ns.Up(client, server), ns.Record()); err != nil {
		t.Fatal(err)
	}
	rules := []testnet.Rule{testnet.Track(), testnet.UseHelper(testnet.Match{Proto: flow.ProtoTCP, DstPort: 2121}, "ftp"),
		testnet.SetMark(testnet.Match{Proto: flow.ProtoUDP}, 7), demoRule()}
	if err := ns.Lay(rules...); err != nil {
		t.Fatal(err)
	}
	return ns
}

// pipelineTraffic makes flows of every kind and gives how many.
func pipelineTraffic(t *testing.T, ns *testnet.Namespace) int {
	t.Helper()
	tally, err := testnet.Mix{NS: ns, Flows: 400}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := tally.Total()
	count := func(n int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		made += n
	}
	plain := testnet.Traffic{NS: ns}
	count(demoNAT(ns).TCP(t.Context(), 20))
	count(plain.GRE(t.Context(), 5))
	count(plain.ESP(t.Context()))
	count(plain.UDPLite(t.Context(), 5))
	return made
}

// checkTold wants as many records as the books say and as many beginnings as flows.
func checkTold(t *testing.T, s *seen, made, emitted int) {
	t.Helper()
	count := map[flow.Type]int{}
	for _, r := range s.records {
		count[r.typ]++
	}
	if count[flow.TypeNew] != made {
		t.Errorf("%d flows were made and %d told", made, count[flow.TypeNew])
	}
	if n := count[flow.TypeNew] + count[flow.TypeUpdate] + count[flow.TypeDestroy]; n != emitted || n == 0 {
		t.Errorf("%d events are in the file, the socket handed on %d", n, emitted)
	}
	if count[flow.TypeDump] == 0 || count[flow.TypeDumpEnd] < 2 || count[flow.TypeStatus] < 2 || count[flow.TypeGap] != 2 { // of the start, for each namespace
		t.Errorf("records by type: %v", count)
	}
}

// checkFlowOrder wants each flow's records in the order in which they were read.
func checkFlowOrder(t *testing.T, s *seen) {
	t.Helper()
	last := map[uint64]uint64{}
	for _, r := range s.records {
		if r.typ == flow.TypeStatus || r.typ == flow.TypeGap || r.typ == flow.TypeDump || r.typ == flow.TypeDumpEnd {
			continue
		}
		if r.seq <= last[r.flowID] {
			t.Fatalf("%s: record %d of flow %x comes after %d", s.name, r.seq, r.flowID, last[r.flowID])
		}
		last[r.flowID] = r.seq
	}
}

// checkSame wants the same records with the same content; a status record has
// the books of its own sink.
func checkSame(t *testing.T, a, b *seen) {
	t.Helper()
	x, y := bySeq(t, a), bySeq(t, b)
	if len(x) != len(y) {
		t.Errorf("%s has %d records, %s has %d", a.name, len(x), b.name, len(y))
	}
	for i := range min(len(x), len(y)) {
		if x[i].seq != y[i].seq || x[i].typ != flow.TypeStatus && x[i].json != y[i].json {
			t.Fatalf("%s and %s differ:\n%s\n%s", a.name, b.name, x[i].json, y[i].json)
		}
	}
}

// bySeq sorts a copy by sequence number, and wants each once.
func bySeq(t *testing.T, s *seen) []seenRecord {
	t.Helper()
	out := slices.SortedFunc(slices.Values(s.records), func(a, b seenRecord) int { return cmp.Compare(a.seq, b.seq) })
	for i := 1; i < len(out); i++ {
		if out[i].seq == out[i-1].seq {
			t.Fatalf("%s has record %d twice", s.name, out[i].seq)
		}
	}
	return out
}

func readFile(t *testing.T, dir, format string) *seen {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, format))
	if err != nil {
		t.Fatal(err)
	}
	s, r := &seen{name: format + " file"}, newReader(format)
	for records := encode.Records(bytes.NewReader(text), encode.Formats()[format].Framing); ; {
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		r.read(t, s, record)
	}
}

func readTopic(t *testing.T, k *testbroker.Kafka) *seen {
	t.Helper()
	records, err := k.Consume(t.Context(), "conntrack")
	if err != nil {
		t.Fatal(err)
	}
	s, r := &seen{name: "Kafka topic"}, newReader("json")
	for _, rec := range records {
		r.read(t, s, rec.Value)
		last := &s.records[len(s.records)-1]
		if want := fmt.Sprintf("%016x", last.flowID); last.flowID != 0 && string(rec.Key) != want {
			t.Fatalf("key %q: expected %q", rec.Key, want)
		}
	}
	return s
}

func readStream(t *testing.T, hub *natstest.Broker) *seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	js, err := jetstream.New(hub.Dial(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, "CTFERRY")
	if err != nil {
		t.Fatal(err)
	}
	s, r := &seen{name: "JetStream"}, newReader("protobuf")
	for seq := stream.CachedInfo().State.FirstSeq; seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		for record, err := range encode.SplitGroup(encode.Delimited, msg.Data) {
			if err != nil {
				t.Fatal(err)
			}
			r.read(t, s, record)
		}
	}
	return s
}

// subscription reads core NATS: it must be there first.
type subscription struct {
	conn *nats.Conn
	mu   sync.Mutex
	msgs [][]byte
}

func subscribe(t *testing.T, hub *natstest.Broker) *subscription {
	t.Helper()
	s := &subscription{conn: hub.Dial(t)}
	_, err := s.conn.Subscribe("core.>", func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.msgs = append(s.msgs, bytes.Clone(m.Data))
	})
	if err := errors.Join(err, s.conn.Flush()); err != nil {
		t.Fatal(err)
	}
	return s
}

// read gives what came; a quiet second means that it was all.
func (s *subscription) read(t *testing.T) *seen {
	t.Helper()
	if err := s.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	out, r := &seen{name: "core NATS"}, newReader("xml")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.msgs {
		r.read(t, out, m)
	}
	return out
}
