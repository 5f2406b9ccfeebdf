package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosKillConfig = chaosSource + `
spool: {mode: always, dir: %[2]s/spool, max: 1GiB, min_free: 0, segment: 4MiB}
sinks:
  file:  {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
  topic: {type: kafka, brokers: [%[4]s], topic: conntrack, encoding: protobuf, retry: {max: 1s}}
  stream:
    type: nats
    urls: [%[3]s]
    user: node
    password: pw
    encoding: protobuf
    batch: record_batch
    subject: "flows.{node}"
    retry: {max: 500ms}
    publish_timeout: 1s
    jetstream: {stream: CTFERRY}
`

// chaosKill kills the program again and again under load. Whatever can be read
// from a copy of the spool after each kill is in all three places in the end.
func chaosKill(t *testing.T, f *figures) {
	kafka, h := testbroker.Start(t, testbroker.Options{}), startHub(t)
	if err := kafka.CreateTopic(t.Context(), "conntrack", 3, nil); err != nil {
		t.Fatal(err)
	}
	ns, dir := chaosNamespace(t), t.TempDir()
	netns := filepath.Base(ns.Path())
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosKillConfig, netns, dir, h.ClientURL(), kafka.Brokers()[0]))
	spooled, kills, made := map[identity]bool{}, inLong(20, 4), 0
	l := startLoad(t, testnet.Churn{NS: ns, Rate: chaosRate()})
	for range kills {
		p := startChaos(t, netns, cfg)
		time.Sleep(300*time.Millisecond + rand.N(500*time.Millisecond))
		p.kill(t)
		readCopy(t, filepath.Join(dir, "spool"), spooled)
	}
	made = l.stop(t).Events()
	p := startChaos(t, netns, cfg)
	waitFor(t, "what was recovered", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books := p.stop(t)

	file, topic, stream := newTrail("file", "protobuf"), newTrail("topic", "protobuf"), newTrail("stream", "protobuf")
	topic.runs, stream.runs = file.runs, file.runs
	file.readFiles(t, "protobuf", filepath.Join(dir, "out"))
	topic.readTopic(t, kafka)
	h.readInto(t, stream)
	for _, s := range []*trail{file, topic, stream} {
		missing := 0
		for id := range spooled {
			var run [16]byte
			if _, err := hex.Decode(run[:], []byte(id.run)); err != nil {
				t.Fatal(err)
			}
			if !s.seqs[s.place(run, id.seq)] {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%s: %d of %d spooled records are missing", s.name, missing, len(spooled))
		}
		f.tell("%s: %d events, 0 missing of %d records spooled, %d repeats, 0 out of order", s.name, s.records, len(spooled), s.repeats)
		sink := s.name
		if books.sink(t, sink, "held") != 0 || books.sink(t, sink, "dropped") != 0 {
			t.Errorf("%s: %d held, %d dropped", sink, books.sink(t, sink, "held"), books.sink(t, sink, "dropped"))
		}
	}
	if len(spooled) < kills*100 {
		t.Errorf("only %d records were spooled", len(spooled))
	}
	f.tell("%d kills, %d events made all the while", kills, made)
}
