package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

const cgnatConfig = `
node: cgn-1
source:
  netns: [%[1]s]
  filter: {include: [{netns: %[1]s}]}
  buffer: {size: 8MiB, max: 8MiB}
sinks:
  json:  {type: file, profile: cgnat, path: %[2]s/json}
  xml:   {type: file, profile: cgnat, path: %[2]s/xml, encoding: xml}
  proto: {type: file, profile: cgnat, path: %[2]s/protobuf, encoding: protobuf}
  topic: {type: kafka, profile: cgnat, brokers: ["%[3]s"], topic: nat}
  open:  {type: file, profile: cgnat, omit_destination: false, path: %[2]s/open}
`

// cgnatAddrs are two subscribers, the address that stands for them, a server
// outside, and a subscriber who serves behind a port forward.
type cgnatAddrs struct{ a, b, outside, other, server netip.Addr }

func newCGNATAddrs() cgnatAddrs {
	at := netip.MustParseAddr
	return cgnatAddrs{at("100.64.0.7"), at("100.64.0.8"), at("203.0.113.9"), at("198.51.100.77"), at("100.64.0.9")}
}

// TestCGNATOnRealTraffic: subscribers behind a translation, one behind a port
// forward, and traffic that nobody translates; into three files and a topic.
func TestCGNATOnRealTraffic(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "nat"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	ns := testnet.NewNamed(t, fmt.Sprintf("ctferry-cgnat-%d", os.Getpid()))
	dir, addrs := t.TempDir(), newCGNATAddrs()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(cgnatConfig, filepath.Base(ns.Path()), dir, broker.ListenAddrs()[0]))
	layCGNAT(t, ns, addrs)
	p := startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	port := cgnatTraffic(t, ns, addrs)
	if err := ns.Do(func() error { return exec.Command(binary(t), "-F").Run() }); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	books := p.stop(t)
	for _, sink := range []string{"json", "xml", "proto", "topic", "open"} {
		if n := books.sink(t, sink, "delivered"); n != books.sink(t, sink, "offered") || n < 2*(5+5+4) {
			t.Errorf("sink %s delivered %d of %d", sink, n, books.sink(t, sink, "offered"))
		}
	}
	keys := map[string]int{}
	for _, m := range readKafka(t, broker.ListenAddrs()[0], "nat", 4) {
		keys[string(m.Key)]++
		checkHidden(t, "Kafka", m.Value, addrs.other, port)
		checkHidden(t, "Kafka", m.Key, addrs.other, port)
	}
	// new and destroy of five flows each, and of the forwarded four
	if keys["100.64.0.7"] != 10 || keys["100.64.0.8"] != 10 || keys["100.64.0.9"] != 8 {
		t.Errorf("keys %v", keys)
	}
	for name := range encode.Formats() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		checkHidden(t, name, text, addrs.other, port)
		checkCGNAT(t, name, text, addrs)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "open")); err != nil || !bytes.Contains(text, []byte(addrs.other.String())) {
		t.Errorf("what was asked for is not there: %v", err)
	}
}

func layCGNAT(t *testing.T, ns *testnet.Namespace, a cgnatAddrs) {
	t.Helper()
	rules := []testnet.Rule{
		testnet.Track(),
		testnet.SourceNAT(testnet.Match{Src: a.a}, a.outside), testnet.SourceNAT(testnet.Match{Src: a.b}, a.outside),
		testnet.DestinationNAT(testnet.Match{Proto: flow.ProtoTCP, Dst: a.outside, DstPort: 8080}, netip.AddrPortFrom(a.server, 80)),
	}
	if err := errors.Join(ns.Up(a.a, a.b, a.outside, a.other, a.server), ns.Record(), ns.Lay(rules...)); err != nil {
		t.Fatal(err)
	}
}

// cgnatTraffic gives the port that the server outside had.
func cgnatTraffic(t *testing.T, ns *testnet.Namespace, a cgnatAddrs) uint16 {
	t.Helper()
	const port = 47873
	made := 0
	for _, try := range []func() (int, error){
		func() (int, error) {
			return testnet.Traffic{NS: ns, Src: a.a, Dst: a.other, Port: port}.TCP(t.Context(), 5)
		},
		func() (int, error) {
			return testnet.Traffic{NS: ns, Src: a.b, Dst: a.other, Port: port}.UDP(t.Context(), 5, true)
		},
		func() (int, error) {
			return testnet.Traffic{NS: ns, Src: a.other, Dst: a.outside, Port: 8080, Listen: netip.AddrPortFrom(a.server, 80)}.TCP(t.Context(), 4)
		},
		func() (int, error) { return testnet.Traffic{NS: ns}.UDP(t.Context(), 7, true) }, // nobody's subscriber
	} {
		n, err := try()
		if err != nil {
			t.Fatal(err)
		}
		made += n
	}
	if made != 21 {
		t.Fatalf("%d flows", made)
	}
	return port
}

// checkHidden wants no trace of the other end.
func checkHidden(t *testing.T, where string, text []byte, other netip.Addr, port uint16) {
	t.Helper()
	raw := other.AsSlice()
	for _, form := range [][]byte{[]byte(other.String()), raw, fmt.Appendf(nil, "%x", raw), fmt.Appendf(nil, `port":%d`, port), fmt.Appendf(nil, `port>%d`, port)} {
		if i := bytes.Index(text, form); i >= 0 {
			t.Fatalf("%s tells the other end (%q): %q", where, form, text[max(0, i-300):min(len(text), i+60)])
		}
	}
}

// checkCGNAT reads a file back: each record is a translation with its inside and outside.
func checkCGNAT(t *testing.T, name string, text []byte, a cgnatAddrs) {
	t.Helper()
	inside := map[netip.Addr]int{}
	format := encode.Formats()[name]
	dec, b := format.NewDecoder(), flow.NewBatch(1)
	for records := encode.Records(bytes.NewReader(text), format.Framing); ; {
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		b.Reset()
		if err := errors.Join(err, dec.Decode(b, record)); err != nil {
			t.Fatal(err)
		}
		countInside(t, &b.Events()[0], inside)
	}
	if inside[a.a] != 10 || inside[a.b] != 10 || inside[a.server] != 8 || len(inside) != 3 {
		t.Errorf("%s: records by inside address: %v", name, inside)
	}
}

func countInside(t *testing.T, e *flow.Event, inside map[netip.Addr]int) {
	t.Helper()
	if flow.AlwaysTypes.Has(e.Type) {
		return
	}
	nat, ok := e.NAT()
	want := map[flow.Type]uint8{flow.TypeNew: 4, flow.TypeDestroy: 5}[e.Type]
	if !ok || nat.IPFIXEvent != want {
		t.Errorf("%v: translated %v, natEvent %d", e.Type, ok, nat.IPFIXEvent)
	}
	if e.Type == flow.TypeDestroy && (!e.Got(flow.HasOrigCounters) || e.OrigCounters.Bytes == 0 || !e.Got(flow.HasStart|flow.HasStop)) {
		t.Errorf("an end without bytes or times: %+v", e)
	}
	if nat.Kind == flow.NATDest {
		inside[nat.Dst.In(flow.IPv4)]++
		return
	}
	inside[e.Orig.SrcAddr()]++
}

// readKafka reads a topic from its beginning, partition by partition.
func readKafka(t *testing.T, broker, topic string, partitions int) (all []kafka.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for p := range partitions {
		leader, err := kafka.DialLeader(ctx, "tcp", broker, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		end, err := leader.ReadLastOffset()
		if err := errors.Join(err, leader.Close()); err != nil {
			t.Fatal(err)
		}
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: topic, Partition: p, MaxWait: 100 * time.Millisecond})
		for n := int64(0); n < end; n++ {
			m, err := r.ReadMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
