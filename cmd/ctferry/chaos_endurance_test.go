package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/ctferry/ctferry/internal/testbroker"
	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosEnduranceConfig = chaosSource + `
spool: {mode: always, dir: %[2]s/spool, max: %[5]s, min_free: 0, segment: 4MiB, sync: none}
sinks:
  file:  {type: file, path: %[2]s/out, encoding: protobuf, memory: 16MiB, rotate: {size: 64MiB, keep: 2}}
  topic: {type: kafka, brokers: [%[4]s], topic: endurance, encoding: protobuf, compression: lz4, memory: 16MiB, drain: 2s, retry: {max: 500ms}, request_timeout: 3s}
  stream:
    type: nats
    urls: [%[3]s]
    user: node
    password: pw
    encoding: protobuf
    batch: record_batch
    memory: 16MiB
    subject: "flows.{node}"
    publish_timeout: 1s
    jetstream: {stream: CTFERRY}
`

// chaosEndurance drives three sinks at 100,000 events a second while one of the
// brokers stands still half of the time: longer than the spool has room for. Of
// every event that the kernel raised it is known what became of it.
func chaosEndurance(t *testing.T, f *figures) {
	broker, h := testbroker.Start(t, testbroker.Options{}), startHub(t)
	if err := broker.CreateTopic(t.Context(), "endurance", 3, map[string]string{"retention.bytes": "67108864", "segment.bytes": "16777216"}); err != nil {
		t.Fatal(err)
	}
	h.discardOld(t, 64<<20)
	ns, dir := chaosNamespace(t), t.TempDir()
	netns := filepath.Base(ns.Path())
	cfg := fmt.Sprintf(chaosEnduranceConfig, netns, dir, h.ClientURL(), broker.Brokers()[0], inLong("256MiB", "32MiB"))
	p := startChaos(t, netns, writeFile(t, dir, "c.yaml", cfg))
	mem, began := watchMemory(t, p), cpu(t, p.cmd.Process.Pid)
	l := startLoad(t, testnet.Churn{NS: ns, Rate: 100_000})
	quarter := inLong(150*time.Second, 1500*time.Millisecond)
	for range 2 {
		time.Sleep(quarter)
		if err := broker.Pause(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(quarter)
		if err := broker.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	made := l.stop(t)
	used := cpu(t, p.cmd.Process.Pid) - began
	for end := time.Now().Add(inLong(2*time.Minute, 6*time.Second)); strings.Contains(spoolState(t, dir), "behind") && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	books, most := p.stop(t), mem.end()

	offered, lost := books.socket(t, netns, "offered"), books.socket(t, netns, "lost")
	if offered != made.Events() || offered != lost+books.socket(t, netns, "received") {
		t.Errorf("%d events were made, %d offered, %d lost, %d received", made.Events(), offered, lost, books.socket(t, netns, "received"))
	}
	f.tell("%s at %.0f events/s: %d made = %d received + %d lost by the kernel (and told); %.1f µs of processor an event; %d MiB resident at most",
		made.Elapsed.Round(time.Second), made.PerSecond(), made.Events(), books.socket(t, netns, "received"), lost,
		used.Seconds()*1e6/float64(made.Events()), most)
	for _, sink := range []string{"file", "topic", "stream"} {
		o, d, x, held := books.sink(t, sink, "offered"), books.sink(t, sink, "delivered"), books.sink(t, sink, "dropped"), books.sink(t, sink, "held")
		if o != d+x+held+books.sink(t, sink, "dead_lettered") || o < made.Events()-lost {
			t.Errorf("sink %s: %d offered, %d delivered, %d dropped, %d held", sink, o, d, x, held)
		}
		f.tell("sink %s: %d offered = %d delivered + %d dropped by the caps + %d held in the spool", sink, o, d, x, held)
	}
	// What the broker took while the program no longer waited for its answer is held.
	if n, d := endOffsets(t, broker, "endurance"), books.sink(t, "topic", "delivered"); n < d || n > d+books.sink(t, "topic", "held") {
		t.Errorf("the topic was given %d records, the books say %d and %d held", n, d, books.sink(t, "topic", "held"))
	}
	if most > 256 {
		t.Errorf("%d MiB resident: expected three queues of 16 MiB, the spool's own, and garbage, in 256 MiB", most)
	}
}

// discardOld makes the stream one that lets old messages go.
func (h *hub) discardOld(t *testing.T, bytes int64) {
	t.Helper()
	js := h.admin(t)
	if err := js.DeleteStream(t.Context(), "CTFERRY"); err != nil {
		t.Fatal(err)
	}
	h.stream.MaxBytes, h.stream.Discard = bytes, 0
	if _, err := js.CreateStream(t.Context(), h.stream); err != nil {
		t.Fatal(err)
	}
}

// endOffsets is how many records a topic was ever given.
func endOffsets(t *testing.T, k *testbroker.Kafka, topic string) (n int) {
	t.Helper()
	client, err := k.Client(testbroker.Plaintext, testbroker.Plain)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Transport.(*kafka.Transport).CloseIdleConnections()
	answer, err := client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		topic: {kafka.LastOffsetOf(0), kafka.LastOffsetOf(1), kafka.LastOffsetOf(2)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range answer.Topics[topic] {
		if p.Error != nil {
			t.Fatal(p.Error)
		}
		n += int(p.LastOffset)
	}
	return n
}
