package main

import (
	"strings"
	"testing"
)

// TestCheckTellsWhereTermsRun reads where each term of a filter runs, in the
// report and beside the effective configuration, which still loads.
func TestCheckTellsWhereTermsRun(t *testing.T) {
	const sink = "sinks: {out: {type: file, path: /var/log/ctferry/x}}\n"
	for _, c := range []struct {
		text string
		want []string
	}{
		{"node: a\n", nil},
		{"source: {filter: {exclude: [{proto: udp, port: 53}, {addr: 127.0.0.0/8, helper: ftp}]}}\n", []string{
			`source.filter.exclude[0]: user: {"addr":"127.0.0.0/8","helper":"ftp"}`,
			`source.filter.exclude[1]: kernel: {"proto":"udp","port":53}`,
		}},
		{"source: {filter: {include: [{mark: 1, state: ESTABLISHED}], exclude: [{family: ipv6}]}}\n", []string{
			`source.filter.include[0]: kernel (mark), user (state): {"mark":1,"state":"ESTABLISHED"}`,
			`source.filter.exclude[0]: kernel: {"family":"ipv6"}`,
		}},
		{"source: {track: true, filter: {mark: 1}}\n", []string{`source.filter.include[0]: user: {"mark":1}`, `source.filter in dumps: kernel (mark), then user (all of it)`}},
		{"source: {dump: {interval: 1h}, filter: {src: 10.0.0.1, state: ESTABLISHED}}\n", []string{
			`source.filter.include[0]: kernel (orig_src), user (state): {"state":"ESTABLISHED","orig_src":"10.0.0.1"}`,
			`source.filter in dumps: kernel (family, orig_src), then user (all of it)`,
		}},
		{"source: {dump: {at_start: true, zero: true}, filter: {mark: 1}}\n", []string{
			`source.filter.include[0]: kernel: {"mark":1}`, `source.filter in dumps: user`,
		}},
		{"source: {dump: {at_start: true}}\n", nil},
	} {
		file := writeFile(t, t.TempDir(), "a.yaml", c.text+sink)
		for _, flag := range []string{"", "--print-effective"} {
			args := []string{"check", file}
			if flag != "" {
				args = []string{"check", flag, file}
			}
			code, out, errOut := run(args...)
			if code != exitOK || strings.Count(out, "source.filter") != len(c.want) {
				t.Errorf("%q %s: code %d, %s%s", c.text, flag, code, errOut, out)
			}
			for _, line := range c.want {
				if !strings.Contains(out, line+"\n") {
					t.Errorf("%q %s: lacks %s:\n%s", c.text, flag, line, out)
				}
			}
			if flag != "" {
				if code, _, errOut := run("check", writeFile(t, t.TempDir(), "b.yaml", out)); code != exitOK {
					t.Errorf("what is printed does not load: %s", errOut)
				}
			}
		}
	}
}
