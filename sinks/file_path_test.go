package sinks

import (
	"strings"
	"testing"
	"time"
)

func TestFilePath(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("east", 2*3600))
	tests := []struct {
		path, base, node string
		wantBase, want   string
	}{
		{"/var/log/ctferry/flows.jsonl", "", "n", "/var/log/ctferry", "flows.jsonl"},
		{"/data/%Y/%m/%d/flows-%H%M%S.jsonl", "", "n", "/data", "2026/03/04/flows-030607.jsonl"},
		{"/data/%y-%j/100%%.pb", "", "n", "/data", "26-063/100%.pb"},
		{"/data/{node}/{sink}.jsonl", "", "edge-1", "/data", "edge-1/archive.jsonl"},
		{"/data/{node}/f", "", "../../etc", "/data", "_._.._etc/f"},
		{"/data/{node}/f", "", "..", "/data", "_./f"},
		{"/data/{node}/f", "", "a/b\x00c d", "/data", "a_b_c_d/f"},
		{"/data/{node}/f", "", "", "/data", "_/f"},
		{"/srv/logs/a/b", "/srv", "n", "/srv", "logs/a/b"},
	}
	for _, tt := range tests {
		p, err := parseFilePath(tt.path, tt.base)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if got := p.bind(tt.node, "archive").at(at); p.base != tt.wantBase || got != tt.want {
			t.Errorf("%s: %s below %s, expected %s below %s", tt.path, got, p.base, tt.want, tt.wantBase)
		}
	}
}

func TestFilePathFaults(t *testing.T) {
	tests := []struct{ path, base, fault string }{
		{"", "", "path: missing"},
		{"flows.jsonl", "", "path: \"flows.jsonl\": expected an absolute path"},
		{"/var/log/../etc/passwd", "", "path: "},
		{"/var/log/%Y/../../etc/x", "", "path: "},
		{"/var/log/./x", "", "path: "},
		{"/var/log/", "", "path: "},
		{"//server/x", "", "path: "},
		{"/flows.jsonl", "", "path: \"/flows.jsonl\": expected a directory below /"},
		{"/%Y/flows.jsonl", "", "path: \"/%Y/flows.jsonl\": expected a directory below /"},
		{"/var/log/x", "relative", "base: "},
		{"/var/log/x", "/", "base: "},
		{"/var/log/x", "/var/lo", "path: \"/var/log/x\" is not below base"},
		{"/var/log/x", "/var/log/x", "path: \"/var/log/x\" is not below base"},
		{"/var/log/a\x00b", "", "path: "},
		{"/var/log/a\nb", "", "path: "},
		{"/var/log/a\xffb", "", "path: "},
		{"/var/log/%q", "", "path: \"%q\" is no verb"},
		{"/var/log/x%", "", "path: \"%\" is no verb"},
		{"/var/log/{netns}", "", "path: \"{netns}\": expected {node} or {sink}"},
		{"/var/log/{node", "", "path: "},
		{"/var/log/a}", "", "path: "},
	}
	for _, tt := range tests {
		if _, err := parseFilePath(tt.path, tt.base); err == nil || !strings.HasPrefix(err.Error(), tt.fault) {
			t.Errorf("path %q base %q: %v, expected %s…", tt.path, tt.base, err, tt.fault)
		}
	}
}

// FuzzFilePath: no path and no node leads out of the base, and what a path
// becomes is what its pattern expects.
func FuzzFilePath(f *testing.F) {
	f.Add("/data/%Y/{node}.jsonl", "..", int64(0))
	f.Add("/a/b{sink}%j.%%", "a/../b", int64(1<<40))
	f.Fuzz(func(t *testing.T, path, node string, at int64) {
		p, err := parseFilePath(path, "")
		if err != nil {
			return
		}
		p = p.bind(node, "s")
		now := time.Unix(at%(1<<37), 0)
		rel := p.at(now)
		for _, e := range strings.Split(rel, "/") {
			if e == "" || e == "." || e == ".." {
				t.Fatalf("%q with node %q becomes %q", path, node, rel)
			}
		}
		if strings.Count(rel, "/") != len(p.elements)-1 {
			t.Fatalf("%q with node %q becomes %q, of another depth", path, node, rel)
		}
		if _, err := p.rotatedPattern(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRotatedPattern(t *testing.T) {
	tests := []struct {
		path   string
		match  []string
		refuse []string
	}{
		{"/d/flows.jsonl",
			[]string{"flows-20260102T030405.678Z.jsonl", "flows-20260102T030405.678Z.jsonl.gz", "flows-20260102T030405.678Z.jsonl.zst"},
			[]string{"flows.jsonl", "flows.jsonl.gz", "flows-20260102T030405.678Z.jsonl.zst.part", "other-20260102T030405.678Z.jsonl",
				"xflows-20260102T030405.678Z.jsonl", "flows-20260102.jsonl", "flows-20260102T030405.678ZXjsonl", "flows-20260102T030405.678Z.jsonl.foreign"}},
		{"/d/flows-%Y%m%d.jsonl",
			[]string{"flows-20260102.jsonl", "flows-20260102-20260102T030405.678Z.jsonl", "flows-20260102.jsonl.zst"},
			[]string{"flows-.jsonl", "flows-2026010.jsonl", "flows-20260102.json", "flows.jsonl"}},
		{"/d/all", []string{"all-20260102T030405.678Z"}, []string{"all", "all.gz"}},
		{"/d/.hidden", []string{".hidden-20260102T030405.678Z"}, []string{".hidden"}},
	}
	for _, tt := range tests {
		p, err := parseFilePath(tt.path, "")
		if err != nil {
			t.Fatal(err)
		}
		re, err := p.bind("n", "s").rotatedPattern()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tt.match {
			if !re.MatchString(name) {
				t.Errorf("%s does not know %s as its own", tt.path, name)
			}
		}
		for _, name := range tt.refuse {
			if re.MatchString(name) {
				t.Errorf("%s takes %s for its own", tt.path, name)
			}
		}
	}
}
