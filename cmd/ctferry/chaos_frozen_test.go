package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks/spool"
)

const chaosFrozenSinks = `
  topic: {type: kafka, brokers: ["%[1]s"], topic: conntrack, memory: 4MiB, drain: 100ms}
  bus:   {type: nats, urls: ["nats://%[1]s"], subject: x, memory: 4MiB, drain: 100ms}
`

// silentServer accepts whoever comes and never says a word.
func silentServer(t *testing.T) (address string, accepted func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return len(conns) }
}

// chaosFrozen adds two sinks whose server never answers to a file that works:
// they alone fall behind, to the event, and what an event costs stays what it
// was, but for what two sinks more cost anyhow.
func chaosFrozen(t *testing.T, f *figures) {
	address, accepted := silentServer(t)
	ns, dir := chaosNamespace(t), t.TempDir()
	netns, out := filepath.Base(ns.Path()), filepath.Join(dir, "out")
	alone := fmt.Sprintf(chaosSource+"sinks:\n  file: {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}\n", netns, dir)
	cfg := writeFile(t, dir, "c.yaml", alone)
	p := startChaos(t, netns, cfg)
	span := inLong(30*time.Second, 1500*time.Millisecond)
	phase := func() (cost time.Duration, still time.Duration, made int) {
		l, began := startLoad(t, testnet.Churn{NS: ns, Rate: 20_000}), cpu(t, p.cmd.Process.Pid)
		still = pacing(t, out, span)
		made = l.stop(t).Events()
		return (cpu(t, p.cmd.Process.Pid) - began) / time.Duration(made), still, made
	}
	before, _, first := phase()
	writeFile(t, dir, "c.yaml", alone+fmt.Sprintf(chaosFrozenSinks, address))
	p.sighup(t, reloaded)
	waitFor(t, "both sinks to connect", func() bool { return accepted() >= 2 })
	after, still, second := phase()
	books := p.stop(t)
	if lost := books.socket(t, netns, "lost"); lost != 0 {
		t.Errorf("the kernel dropped %d events", lost)
	}
	if a := trailOfFiles(t, "protobuf", out); a.records != first+second {
		t.Errorf("%d events were made, the file has %d", first+second, a.records)
	}
	for _, sink := range []string{"topic", "bus"} {
		offered, dropped := books.sink(t, sink, "offered"), books.sink(t, sink, "dropped")
		if offered < second || dropped != offered {
			t.Errorf("sink %s: %d events, %d offered, %d in its account as dropped", sink, second, offered, dropped)
		}
		f.tell("sink %s: offered %d, all of them in its account as dropped (%d)", sink, offered, dropped)
	}
	if after > 3*before {
		t.Errorf("an event costs %s with frozen sinks, %s without", after, before)
	}
	f.tell("an event costs %s of processor with 1 sink, %s with 2 frozen ones more (ratio %.2f); file longest still for %s, nothing lost",
		before, after, float64(after)/float64(before), still.Round(time.Millisecond))
}

const chaosOverflowConfig = chaosSource + `
spool: {mode: overflow, dir: %[2]s/spool, max: 1GiB, min_free: 0, segment: 4MiB}
sinks:
  file:  {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
  topic: {type: kafka, brokers: ["%[3]s"], topic: conntrack, memory: 2MiB, drain: 100ms}
  bus:   {type: nats, urls: ["nats://%[3]s"], subject: x, memory: 2MiB, drain: 100ms}
`

// chaosFrozenOverflow is the same with a spool that is used once memory is full:
// nothing is lost, the file's records are never on disk, and once the program
// has been stopped all that the frozen sinks have not had is in the spool.
func chaosFrozenOverflow(t *testing.T, f *figures) {
	address, accepted := silentServer(t)
	ns, dir := chaosNamespace(t), t.TempDir()
	netns, out := filepath.Base(ns.Path()), filepath.Join(dir, "out")
	p := startChaos(t, netns, writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosOverflowConfig, netns, dir, address)))
	mem := watchMemory(t, p)
	waitFor(t, "both sinks to connect", func() bool { return accepted() >= 2 })
	l := startLoad(t, testnet.Churn{NS: ns, Rate: 20_000})
	still := pacing(t, out, inLong(30*time.Second, 2*time.Second))
	made := l.stop(t).Events()
	books, most := p.stop(t), mem.end()
	if lost := books.socket(t, netns, "lost"); lost != 0 {
		t.Errorf("the kernel dropped %d events", lost)
	}
	if a := trailOfFiles(t, "protobuf", out); a.records != made {
		t.Errorf("%d events were made, the file has %d", made, a.records)
	}
	st, err := spool.ReadStatus(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	waits := map[string]int{}
	for i := range st.Cursors {
		sink, _, _ := strings.Cut(st.Cursors[i].Name, ".")
		waits[sink] += int(st.Cursors[i].Lag.Records)
	}
	for _, sink := range []string{"topic", "bus"} {
		offered, held, dropped := books.sink(t, sink, "offered"), books.sink(t, sink, "held"), books.sink(t, sink, "dropped")
		if offered < made || held != offered || dropped != 0 || waits[sink] != held {
			t.Errorf("sink %s: %d events, %d offered, %d dropped, %d held, %d in the spool", sink, made, offered, dropped, held, waits[sink])
		}
		f.tell("sink %s: offered %d, dropped %d, in the spool after the stop %d", sink, offered, dropped, waits[sink])
	}
	if waits["file"] != 0 || books.sink(t, "file", "held") != 0 {
		t.Errorf("%d records wait in the spool for the sink that keeps up", waits["file"])
	}
	f.tell("%d made, %d MiB resident at most, %d segments; file longest still for %s", made, most, st.Segments, still.Round(time.Millisecond))
}
