package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// sampleRecords are n records of as many translated flows, ten a second.
func sampleRecords(t *testing.T, n int, format encode.Format) []byte {
	t.Helper()
	var text []byte
	enc := format.NewEncoder(encode.Projection{})
	for i := range n {
		b := flow.NewBatch(1)
		e := sampleEvent(b)
		e.Seq, e.Time = uint64(i), 1e18+int64(i)*1e8
		e.Type = []flow.Type{flow.TypeNew, flow.TypeDestroy}[i%2]
		e.Orig.SrcPort = uint16(i)
		e.Reply = e.Orig
		e.Reply.Src, e.Reply.Dst = e.Orig.Dst, flow.Addr{192, 0, 2, 9}
		e.Reply.SrcPort, e.Reply.DstPort = 2, uint16(i+9)
		e.Has |= flow.HasReply | flow.HasFlowID
		e.FlowID = uint64(i)*0x9e3779b97f4a7c15 + 1
		text = encode.AppendFramed(text, format.Framing, enc.Append(nil, e))
	}
	return text
}

const replayConfig = `
sinks:
  all:   {type: file, path: /nowhere/all, rotate: {compress: zstd}}
  bus:   {type: nats, urls: ["nats://nowhere"], batch: ndjson, flush: {count: 100}}
  nat:   {type: kafka, brokers: ["nowhere:1"], topic: t, profile: cgnat, encoding: protobuf}
  lines: {type: kafka, brokers: ["nowhere:1"], topic: "t.{event_type}", encoding: xml, batch: ndjson, compression: none}
  dumps: {type: file, path: /nowhere/dumps, events: [dump]}
  none:  {type: file, path: /nowhere/none, filter: {proto: sctp}}
  often: {type: file, path: /nowhere/often, events: [interim]}
`

// replayed runs check --replay --json over records in a format.
func replayed(t *testing.T, file string, args ...string) sampleReport {
	t.Helper()
	cfg := writeFile(t, t.TempDir(), "c.yaml", replayConfig)
	code, out, errOut := run(append([]string{"check", "--json", "--replay", file, cfg}, args...)...)
	var r sampleReport
	if err := json.Unmarshal([]byte(out), &r); code != exitOK || err != nil {
		t.Fatalf("code %d, %v, %s%s", code, err, out, errOut)
	}
	return r
}

func (r *sampleReport) sink(t *testing.T, name string) *sinkReport {
	t.Helper()
	i := slices.IndexFunc(r.Sinks, func(s sinkReport) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no sink %s in %+v", name, r)
	}
	return &r.Sinks[i]
}

// TestReplay: the same records in three formats and compressed give the same
// volumes, which are those of the records as the sinks encode them.
func TestReplay(t *testing.T) {
	const n = 2001
	var first []byte
	for _, name := range []string{"json", "xml", "protobuf", "zstd"} {
		format := encode.Formats()[strings.Replace(name, "zstd", "json", 1)]
		text := sampleRecords(t, n, format)
		if name == "zstd" {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			text = w.EncodeAll(text, nil)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r := replayed(t, file)
		r.From = ""
		for i := range r.Sinks { // how records fall into batches is a matter of time, and what is compressed together too
			r.Sinks[i].Messages, r.Sinks[i].MessagesPerSecond = min(r.Sinks[i].Messages, 1), nil
			if r.Sinks[i].Type != "file" {
				r.Sinks[i].Bytes, r.Sinks[i].BytesPerSecond, r.Sinks[i].GBPerDay, r.Sinks[i].Compression = 0, nil, nil, nil
			}
		}
		got, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if !bytes.Equal(got, first) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, first)
		}
	}
}

func TestReplayFigures(t *testing.T) {
	const n = 2001
	format := encode.Formats()["json"]
	text := sampleRecords(t, n, format)
	file := writeFile(t, t.TempDir(), "r.jsonl", string(text))
	r := replayed(t, file)
	if r.Seconds != 200 || r.Events["new"] != 1001 || r.Events["destroy"] != 1000 {
		t.Errorf("%+v", r)
	}
	all := r.sink(t, "all")
	if all.Bytes != uint64(len(text)) || all.Records != n || all.Messages != 0 || !alike(*all.RecordsPerSecond, 10.005) ||
		!alike(*all.GBPerDay, float64(len(text))/200*86400/1e9) {
		t.Errorf("all: %+v, want %d bytes", all, len(text))
	}
	if c := all.Compression; c == nil || c.Codec != "zstd" || c.Ratio < 0.02 || c.Ratio > 0.5 || !alike(*c.GBPerDay, c.Ratio**all.GBPerDay) {
		t.Errorf("compression %+v", c)
	}
	if bus := r.sink(t, "bus"); bus.Messages < n/100 || bus.Messages > n/10 || bus.Compression != nil || bus.Bytes < all.Bytes {
		t.Errorf("bus: %+v", bus)
	}
	nat := r.sink(t, "nat")
	if nat.Messages != n || nat.Compression.Codec != "lz4" || len(nat.Samples) != 3 || !strings.Contains(nat.Samples[0].Record, `"nat":{"type":"snat"`) {
		t.Errorf("nat: %+v", nat)
	}
	if lines := r.sink(t, "lines"); lines.Compression != nil || lines.Messages == 0 || lines.Messages > n/4 || !strings.HasPrefix(lines.Samples[0].Record, "<flow") {
		t.Errorf("lines: %+v", lines)
	}
	for name, why := range map[string]string{
		"dumps": "source.dump.interval is 0s", "none": "its filter leaves out all 2001 events of its types", "often": "source.interim is 0s",
	} {
		if s := r.sink(t, name); s.Records != 0 || !strings.Contains(s.Why, why) {
			t.Errorf("%s: %+v, want %q", name, s, why)
		}
	}
}

func alike(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }

// The source's own keys hold for records of a file too.
func TestReplayThroughTheSource(t *testing.T) {
	file := writeFile(t, t.TempDir(), "r.jsonl", string(sampleRecords(t, 100, encode.Formats()["json"])))
	r := replayed(t, file, "--set", "source.events=[destroy]")
	if r.Events["new"] != 0 || r.Events["destroy"] != 50 {
		t.Errorf("%v", r.Events)
	}
	r = replayed(t, file, "--set", "source.filter={sport: 0-9}", "--set", "sinks.all.events=[update]")
	if r.Events["new"] != 5 || !strings.Contains(r.sink(t, "all").Why, "it asks for update, and what came was new 5, destroy 5") {
		t.Errorf("%+v", r)
	}
	r = replayed(t, file, "--set", "source.events=[new]", "--set", "sinks.all.events=[destroy]")
	if !strings.Contains(r.sink(t, "all").Why, "it asks for destroy, and source.events does not") {
		t.Errorf("%+v", r.sink(t, "all"))
	}
}

func TestReplayAsText(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, "r.jsonl", string(sampleRecords(t, 100, encode.Formats()["json"])))
	code, out, errOut := run("check", "--replay", file, writeFile(t, dir, "c.yaml", replayConfig))
	for _, want := range []string{
		"9.9s of records of " + file + ": new 50, destroy 50", "sink nat: kafka, protobuf, 100 records", " GB/day after zstd (", " messages/s",
		"  nothing: its filter leaves out all 100 events", `"event_type":"new"`, "Nothing was sent.",
	} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("code %d, %q is missing in\n%s%s", code, want, out, errOut)
		}
	}
}

func TestSampleMistakes(t *testing.T) {
	dir := t.TempDir()
	good := writeFile(t, dir, "good.yaml", replayConfig)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--sample", "10ms", good}, exitUsage, "expected 1s to 24h"},
		{[]string{"--sample", "ten", good}, exitUsage, "--sample"},
		{[]string{"--sample", "1s", "--replay", "x", good}, exitUsage, "expected one of them"},
		{[]string{"--json", good}, exitUsage, "--json and --from go with"},
		{[]string{"--sample", "1s", "--from", "xml", good}, exitUsage, "--from goes with --replay"},
		{[]string{"--replay", "x", "--print-effective", good}, exitUsage, "--print-effective"},
		{[]string{"--json", "--replay", filepath.Join(dir, "absent"), good}, exitUsage, "no such file"},
		{[]string{"--json", "--replay", writeFile(t, dir, "torn", `{"schema":"ctferry.v1","event_ty`), good}, exitError, "record"},
		{[]string{"--json", "--replay", writeFile(t, dir, "wrong", "{}\n"), good}, exitError, "record 1"},
	} {
		code, out, errOut := run(append([]string{"check"}, tt.args...)...)
		if code != tt.code || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, output %q, error %q: expected code %d and %q", tt.args, code, out, errOut, tt.code, tt.want)
		}
	}
}

const sampleConfig = `
source: {buffer: {size: 8MiB, max: 8MiB}, reliable: true, dump: {at_start: true, zero: true}, state_dir: %[1]s/state}
spool: {mode: always, dir: %[1]s/spool}
sinks:
  all:  {type: file, path: %[1]s/all}
  k:    {type: kafka, brokers: ["127.0.0.1:1"], topic: t, dead_letter: {path: %[1]s/dead}}
  dump: {type: file, path: %[1]s/dumps, events: [dump]}
`

// TestSampleOfThisHost reads real events, is ended early, and has written nothing.
func TestSampleOfThisHost(t *testing.T) {
	ns := loadedNamespace(t)
	if err := ns.Lay(testnet.Track()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(sampleConfig, dir))
	cmd := exec.Command(binary(t), "check", "--sample", "1m", "--json", cfg)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // until it listens; a flow that comes before is missed, and not counted on
	made := 0
	for range 4 {
		n, err := testnet.Traffic{NS: ns, Src: netip.MustParseAddr("127.0.0.1")}.UDP(t.Context(), 5, true)
		if err != nil {
			t.Fatal(err)
		}
		made += n
		time.Sleep(200 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &errOut)
	}
	var r sampleReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	all, k := r.sink(t, "all"), r.sink(t, "k")
	if r.From != "host" || r.Kernel == nil || r.Kernel.Offered < 5 || all.Records < 5 || k.Messages != all.Records || *all.RecordsPerSecond <= 0 {
		t.Errorf("%d flows: %+v %+v %+v %s", made, r.Kernel, all, k, &errOut)
	}
	if why := r.sink(t, "dump").Why; !strings.Contains(why, "a dump at the start is not sampled") {
		t.Errorf("dump: %q", why)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

// A meter makes of a batch the messages that the sink makes; see sinks.
func TestMeterKnowsEveryKind(t *testing.T) {
	for kind := range sinks.Kinds() {
		c, err := sinks.NewConfig("s", kind)
		if err != nil {
			t.Fatal(err)
		}
		switch o := c.Options.(type) {
		case *sinks.FileOptions:
			o.Path = "/nowhere/x"
		case *sinks.KafkaOptions:
			o.Brokers, o.Topic = []string{"a:1"}, "t"
		case *sinks.NATSOptions:
			o.URLs = []string{"nats://a"}
		}
		metered, meter := sinks.Metered(c)
		if _, err := metered.Options.New(sinks.Env{Format: encode.Formats()["json"], Group: sinks.GroupNone}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if v := meter.Volume(); (v.Codec != "") != (kind == "kafka") {
			t.Errorf("%s: %+v", kind, v)
		}
	}
}
