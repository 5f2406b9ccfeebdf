package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// TestMistakes makes the mistakes that people make: each ends with code 2, says
// what was expected, and starts nothing.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	bad := writeFile(t, dir, "bad.yaml", "node: x\nsinks:\n  out:\n    type: file\n    pth: /tmp/x\n")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"rum"}, `"rum" is no command`},
		{[]string{"help", "rum"}, `"rum" is no command`},
		{[]string{"help", "run", "rum"}, `"run rum" is no command`},
		{[]string{"completion", "tcsh"}, "expected a shell, bash, fish, powershell or zsh"},
		{[]string{"run", "extra"}, "expected no argument"},
		{[]string{"run", "--confg", "x"}, "unknown flag: --confg: see ctferry run --help"},
		{[]string{"run", "-c", filepath.Join(dir, "absent.yaml")}, "no such file"},
		{[]string{"run", "-c", bad}, "bad.yaml:5:5: sinks.out.pth: unknown key; did you mean path?"},
		{[]string{"run", "--set", "source.buffer.size=lots"}, "source.buffer.size"},
		{[]string{"run", "--set", "node"}, "expected KEY=VALUE"},
		{[]string{"run", "--log-level", "loud"}, "\"--log-level\" flag: expected debug, info, warn or error"},
		{[]string{"run", "--log-format", "xml"}, "expected text or json"},
		{[]string{"check"}, "expected one FILE"},
		{[]string{"check", bad}, "did you mean path?"},
		{[]string{"decode"}, "expected one FILE"},
		{[]string{"decode", "--from", "csv", "-"}, "expected json, xml or protobuf"},
	} {
		code, out, errOut := run(tt.args...)
		if code != exitUsage || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, output %q, error %q: expected code 2 and %q", tt.args, code, out, errOut, tt.want)
		}
	}
}

func TestHelpIsForNewcomers(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"run", "--help"}, {"check", "--help"}, {"demo", "--help"}, {"decode", "--help"}} {
		code, out, errOut := run(args...)
		if code != exitOK || errOut != "" || !strings.Contains(out, "ctferry") || !strings.Contains(out, "Usage:") {
			t.Errorf("%q: code %d, error %q, output:\n%s", args, code, errOut, out)
		}
	}
	if code, out, _ := run("version"); code != exitOK || !strings.HasPrefix(out, "ctferry "+version) {
		t.Errorf("version: code %d, %q", code, out)
	}
}

func TestCheckReports(t *testing.T) {
	good := writeFile(t, t.TempDir(), "good.yaml", "node: edge-1\nsinks: {out: {type: file, path: /var/log/ctferry/x}}\n")
	code, out, errOut := run("check", good)
	if code != exitOK || !strings.Contains(out, "sink out: file, json") || !strings.Contains(out, "ok, node edge-1, 1 sinks") {
		t.Errorf("code %d, error %q, output:\n%s", code, errOut, out)
	}
	code, out, _ = run("check", "--print-effective", good)
	if code != exitOK || !strings.Contains(out, "path: /var/log/ctferry/x") || !strings.Contains(out, "size: 64MiB") {
		t.Errorf("code %d, effective configuration:\n%s", code, out)
	}
	code, out, errOut = run("check", writeFile(t, t.TempDir(), "eff.yaml", out))
	if code != exitOK {
		t.Errorf("the printed configuration does not load: code %d, %s%s", code, out, errOut)
	}
}

// sampleEvent is one event with what a test of formats needs.
func sampleEvent(b *flow.Batch) *flow.Event {
	e := b.Next()
	e.Type, e.Table, e.TimeSource, e.Time, e.Seq = flow.TypeNew, flow.TableConntrack, flow.TimeReceived, 1e18, 7
	e.Origin = &flow.Origin{Node: "n", Run: [16]byte{1}, BootID: [16]byte{2}}
	e.Family, e.Proto = flow.IPv4, flow.ProtoUDP
	e.Orig = flow.Tuple{
		Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Family: flow.IPv4, Proto: flow.ProtoUDP, SrcPort: 1, DstPort: 2,
		Src: flow.Addr{10, 0, 0, 1}, Dst: flow.Addr{10, 0, 0, 2},
	}
	e.Has = flow.HasOrig
	return e
}

func TestDecodeKnowsEveryFormat(t *testing.T) {
	batch := flow.NewBatch(1)
	e := sampleEvent(batch)
	want := string(encode.Formats()["json"].NewEncoder(encode.Projection{}).Append(nil, e)) + "\n"
	for name, format := range encode.Formats() {
		framed := encode.AppendFramed(nil, format.Framing, format.NewEncoder(encode.Projection{}).Append(nil, e))
		file := filepath.Join(t.TempDir(), "records")
		if err := os.WriteFile(file, bytes.Repeat(framed, 3), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errOut := run("decode", file)
		if code != exitOK || out != strings.Repeat(want, 3) {
			t.Errorf("%s: code %d, error %q, output:\n%s\nexpected three of\n%s", name, code, errOut, out, want)
		}
		if err := os.WriteFile(file, append(framed, framed[:len(framed)/2]...), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errOut = run("decode", file)
		if code != exitError || out != want || !strings.Contains(errOut, "records") {
			t.Errorf("%s, torn: code %d, error %q, output:\n%s", name, code, errOut, out)
		}
	}
}

// What is no record at all is taken for protobuf, and the error tells so.
func TestDecodeTellsWhatItTook(t *testing.T) {
	file := writeFile(t, t.TempDir(), "notes.txt", "hello\n")
	code, out, errOut := run("decode", file)
	if want := "notes.txt, taken for protobuf: offset 0"; code != exitError || out != "" || !strings.Contains(errOut, want) {
		t.Errorf("code %d, output %q, error %q: expected %q", code, out, errOut, want)
	}
	if code, _, errOut := run("decode", "--from", "protobuf", file); code != exitError || strings.Contains(errOut, "taken for") {
		t.Errorf("code %d, error %q", code, errOut)
	}
}

// TestRunStreamsThisHost runs without a configuration and reads standard output.
func TestRunStreamsThisHost(t *testing.T) {
	ns := loadedNamespace(t)
	out := filepath.Join(t.TempDir(), "stdout")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := startFerryTo(t, ns, f, "run", "--set", "source.buffer={size: 8MiB, max: 8MiB}")
	churn(t, ns, 200)
	p.stop(t)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range bytes.Lines(text) {
		var r struct {
			EventType string `json:"event_type"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		count[r.EventType]++
	}
	if count["new"] != 200 || count["destroy"] != 200 || count["status"] != 2 {
		t.Errorf("records: %v", count)
	}
}
