package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFerryYAML(t *testing.T) {
	for _, c := range []struct {
		way  ferryWay
		want string
	}{
		{ferryFile("ring"), "source: {receive: ring}\nsinks:\n  s0: {type: file, path: /d/out0, encoding: json, rotate: {size: 0}}\n"},
		{
			ferryWay{encodings: []string{"xml", "protobuf"}, source: "filter: {include: [{mark: 7}]}", rotate: "size: 1MiB, keep: 2"},
			"source: {filter: {include: [{mark: 7}]}}\nsinks:\n" +
				"  s0: {type: file, path: /d/out0, encoding: xml, rotate: {size: 1MiB, keep: 2}}\n" +
				"  s1: {type: file, path: /d/out1, encoding: protobuf, rotate: {size: 1MiB, keep: 2}}\n",
		},
	} {
		if got := c.way.yaml("/d"); got != c.want {
			t.Errorf("%+v:\n%s\nexpected\n%s", c.way, got, c.want)
		}
	}
}

// TestFerryTakesTheConfigurations has ctferry check every configuration that rows use.
func TestFerryTakesTheConfigurations(t *testing.T) {
	ferry, dir := built(t), t.TempDir()
	ways := []ferryWay{
		ferryFile("ring"), ferryFile("socket"),
		{receive: "auto", encodings: []string{"json", "protobuf", "xml"}, rotate: "size: 256MiB, keep: 2"},
		{receive: "auto", encodings: []string{"json"}, source: "netns: [a, b], track: {enabled: true, max_flows: 2000000}"},
	}
	for _, term := range []string{"proto: gre", "addr: 192.0.2.0/24", "dport: 9", "mark: 77", "family: ipv6"} {
		ways = append(ways, ferryWay{encodings: []string{"json"}, source: "filter: {include: [{" + term + "}]}"})
	}
	for _, w := range ways {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(w.yaml(dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), ferry, "check", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", w.yaml(dir), err, out)
		}
	}
}

const goodLog = `{"msg":"started"}
{"msg":"event socket closed","netns":"","offered":10,"received":9,"lost":1,"emitted":9,"excluded":2}
{"msg":"event socket closed","netns":"a","offered":5,"received":5,"lost":0}
{"msg":"sink closed","sink":"s0","offered":12,"delivered":10,"dropped":1,"held":1}
{"msg":"sink closed","sink":"s1","delivered":12}
`

func TestAccounts(t *testing.T) {
	socket, sinks, err := accounts(goodLog)
	if err != nil || socket.Offered != 15 || socket.Received != 14 || socket.Lost != 1 || socket.Excluded != 2 {
		t.Errorf("%+v, %v", socket, err)
	}
	if len(sinks) != 2 || sinks[0].Delivered != 10 || sinks[0].Dropped != 1 || sinks[1].Sink != "s1" {
		t.Errorf("%+v", sinks)
	}
	for _, log := range []string{"", "{", `{"msg":"started"}`, goodLog + `{"msg":"books do not balance: please report this"}`} {
		if _, _, err := accounts(log); err == nil {
			t.Errorf("%q was accepted", log)
		}
	}
}

// ended is a process that has ended, with what it left.
func ended(t *testing.T, files map[string]string) *process {
	t.Helper()
	p := &process{dir: t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestFerryCountComparesWithItsFiles(t *testing.T) {
	w := ferryWay{encodings: []string{"json", "xml"}}
	log := goodLog
	right := map[string]string{"stderr": log, "out0": strings.Repeat("{}\n", 10), "out1": "<a/>"}
	c, err := w.count(ended(t, right))
	if err != nil || c != (counted{received: 14, lost: 1, dropped: 2, bytes: 34}) {
		t.Errorf("%+v, %v", c, err)
	}
	right["out0"] += "{}\n"
	if _, err := w.count(ended(t, right)); err == nil || !strings.Contains(err.Error(), "11 lines") {
		t.Errorf("a line too many: %v", err)
	}
	w.rotate = "keep: 1" // then the file is not all
	if _, err := w.count(ended(t, right)); err != nil {
		t.Errorf("rotated: %v", err)
	}
	delete(right, "out1")
	if _, err := w.count(ended(t, right)); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestCountSaid(t *testing.T) {
	if c, err := countSaid(ended(t, map[string]string{"stdout": "received 12 lost 3\n"})); err != nil || c != (counted{received: 12, lost: 3}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, text := range []string{"", "received 12\n", "hello"} {
		if _, err := countSaid(ended(t, map[string]string{"stdout": text})); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestCountLines(t *testing.T) {
	p := ended(t, map[string]string{"x": "src=1\nother\nsrc=2 src=3\nsrc=half"})
	if c, err := countLines(filepath.Join(p.dir, "x"), "src="); err != nil || c.received != 3 || c.bytes != 32 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := countLines(filepath.Join(p.dir, "nosuch"), "x"); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestCheck(t *testing.T) {
	s := func(made, received, lost int) sample {
		out := sample{counted: counted{received: received, lost: lost}}
		out.made.Created = made
		return out
	}
	knows, guesses, refuses := subject{knowsLoss: true}, subject{}, subject{refuses: true}
	for _, c := range []struct {
		sample sample
		of     subject
		work   load
		good   bool
	}{
		{s(10, 10, 0), knows, load{}, true},
		{s(10, 7, 3), knows, load{}, true},
		{s(10, 7, 2), knows, load{}, false}, // one unaccounted for
		{s(10, 11, 0), knows, load{}, false},
		{s(10, 7, 0), guesses, load{}, true},
		{s(10, 0, 0), guesses, load{}, false},
		{s(10, 0, 0), refuses, load{}, true},
		{s(10, 0, 10), knows, load{}, false},
		{s(10, 39, 0), knows, load{flows: 10}, true},
		{s(10, 9, 0), knows, load{flows: 10}, false},
		{s(10, 39, 1), knows, load{flows: 10}, false},
	} {
		if err := c.sample.check(c.of, c.work); (err == nil) != c.good {
			t.Errorf("%v: %v", c.sample, err)
		}
	}
}
