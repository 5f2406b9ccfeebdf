package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosSource = `
node: edge-1
source:
  netns: [%[1]s]
  filter: {include: [{netns: %[1]s}]}
  buffer: {size: 16MiB, max: 64MiB}
`

const chaosKafkaConfig = chaosSource + `
spool: {mode: always, dir: %[2]s/spool, max: 1GiB, min_free: 0, segment: 4MiB}
sinks:
  file:  {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
  topic: {type: kafka, brokers: [%[3]s], topic: conntrack, encoding: protobuf, memory: 32MiB, retry: {max: 1s}}
`

// chaosKafka kills a real broker under load and brings it back: the topic then
// has all that the file has, each once and each flow in order, and the file was
// never behind.
func chaosKafka(t *testing.T, f *figures) {
	kafka := testbroker.Start(t, testbroker.Options{})
	if err := kafka.CreateTopic(t.Context(), "conntrack", 3, nil); err != nil {
		t.Fatal(err)
	}
	ns, dir := chaosNamespace(t), t.TempDir()
	netns := filepath.Base(ns.Path())
	p := startChaos(t, netns, writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosKafkaConfig, netns, dir, kafka.Brokers()[0])))
	down := inLong(30*time.Second, 5*time.Second)
	l := startLoad(t, testnet.Churn{NS: ns, Rate: chaosRate()})
	time.Sleep(time.Second)
	mem := watchMemory(t, p)
	before := mem.now()
	if err := kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	file := pacing(t, filepath.Join(dir, "out"), down)
	if err := kafka.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	made := l.stop(t)
	waitFor(t, "the kafka sink to take part again", func() bool { return len(p.said("sink works again")) > 0 })
	waitFor(t, "what waits in the spool", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books, most := p.stop(t), mem.end()

	lost := books.socket(t, netns, "lost")
	if offered := books.socket(t, netns, "offered"); offered != made.Events() || lost != 0 {
		t.Errorf("%d events were made, %d offered, %d lost by the kernel", made.Events(), offered, lost)
	}
	a, b := trailOfFiles(t, "protobuf", filepath.Join(dir, "out")), trailOfTopic(t, kafka, "protobuf")
	if a.records != made.Events() || b.missing(a) != 0 || b.records != a.records || b.repeats != 0 {
		t.Errorf("%d events: the file has %d, the topic %d, of which %d twice", made.Events(), a.records, b.records, b.repeats)
	}
	if most > before+32+64 {
		t.Errorf("%d MiB resident, %d before: expected no more than the queue's 32 MiB, and some garbage", most, before)
	}
	f.tell("broker dead %s at %.0f events/s: %d made, %d in the file, %d in the topic, %d twice, 0 out of order", down, made.PerSecond(), made.Events(), a.records, b.records, b.repeats)
	f.tell("file meanwhile: longest still for %s; resident %d MiB before, %d at most", file.Round(time.Millisecond), before, most)
	f.tell("its leader moved: sinks.TestKafkaLeaderMoves (kfake)")
}

// startChaos starts the program and waits until it reads the namespace.
func startChaos(t *testing.T, netns, cfg string) *process {
	t.Helper()
	p := startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool {
		for _, e := range p.said("network namespace opened") {
			if e["netns"] == netns {
				return true
			}
		}
		return false
	})
	return p
}

// pacing looks at a file for some time and gives the longest for which it did
// not grow; it fails the test if that is seconds.
func pacing(t *testing.T, path string, d time.Duration) (longest time.Duration) {
	t.Helper()
	size, grown := fileSize(t, path), time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n := fileSize(t, path); n != size {
			size, grown = n, time.Now()
			continue
		}
		longest = max(longest, time.Since(grown))
	}
	if longest > 3*time.Second {
		t.Errorf("%s stood still for %s", path, longest)
	}
	return longest
}

func trailOfTopic(t *testing.T, k *testbroker.Kafka, format string) *trail {
	t.Helper()
	s := newTrail("topic", format)
	s.readTopic(t, k)
	return s
}

func (s *trail) readTopic(t *testing.T, k *testbroker.Kafka) {
	t.Helper()
	records, err := k.Consume(t.Context(), "conntrack")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		s.read(t, r.Value)
	}
}

const chaosKafkaStopConfig = chaosSource + `
spool: {mode: %[4]s, dir: %[2]s/spool, max: 1GiB, min_free: 0, segment: 4MiB}
sinks:
  file:  {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
  topic: {type: kafka, brokers: [%[3]s], topic: conntrack, encoding: protobuf, memory: 2MiB, drain: %[5]s, retry: {max: 500ms}}
`

// chaosKafkaStop kills a real broker, then stops the program, with much that
// the broker has not had; the broker comes back, and the program: all is in the
// topic then, in order. The long form does it with every record on disk too.
func chaosKafkaStop(t *testing.T, f *figures) {
	kafka := testbroker.Start(t, testbroker.Options{})
	if err := kafka.CreateTopic(t.Context(), "conntrack", 3, nil); err != nil {
		t.Fatal(err)
	}
	ns, dir := chaosNamespace(t), t.TempDir()
	netns := filepath.Base(ns.Path())
	made, recovered := 0, 0
	for _, mode := range inLong([]string{"always", "overflow"}, []string{"overflow"}) {
		start := func(drain string) *process {
			return startChaos(t, netns, writeFile(t, dir, mode+".yaml", fmt.Sprintf(chaosKafkaStopConfig, netns, dir, kafka.Brokers()[0], mode, drain)))
		}
		p := start("300ms")
		l := startLoad(t, testnet.Churn{NS: ns, Rate: 8000})
		time.Sleep(inLong(5*time.Second, 500*time.Millisecond))
		if err := kafka.Kill(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(inLong(20*time.Second, 1500*time.Millisecond))
		made += l.stop(t).Events()
		first := p.stop(t)
		held := first.sink(t, "topic", "held")
		if held == 0 || first.sink(t, "topic", "dropped") != 0 || first.socket(t, netns, "lost") != 0 {
			t.Errorf("mode %s: %d held, %d dropped, %d lost by the kernel", mode, held, first.sink(t, "topic", "dropped"), first.socket(t, netns, "lost"))
		}
		if err := kafka.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p = start("20s")
		waitFor(t, "what waits in the spool", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
		books := p.stop(t)
		if r := books.sink(t, "topic", "recovered"); r != held || books.sink(t, "topic", "held") != 0 || books.sink(t, "topic", "dropped") != 0 {
			t.Errorf("mode %s: %d of %d recovered, %d held, %d dropped", mode, r, held, books.sink(t, "topic", "held"), books.sink(t, "topic", "dropped"))
		}
		recovered += held
	}
	a, b := newTrail("file", "protobuf"), newTrail("topic", "protobuf")
	b.runs = a.runs
	a.readFiles(t, "protobuf", filepath.Join(dir, "out"))
	b.readTopic(t, kafka)
	if a.records != made || b.missing(a) != 0 || b.records != a.records {
		t.Errorf("%d events: the file has %d, the topic %d", made, a.records, b.records)
	}
	f.tell("broker dead at each stop: %d made, %d of them left in the spool and recovered; %d in the topic, %d twice, 0 out of order", made, recovered, b.records, b.repeats)
}
