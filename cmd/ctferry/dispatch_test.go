package main

import (
	"strings"
	"testing"
)

// TestHelpHasConntrack: the options that need no subcommand are found by help.
func TestHelpHasConntrack(t *testing.T) {
	code, out, errOut := run("help", "conntrack")
	if code != exitOK || errOut != "" || !strings.Contains(out, "-L, --dump") || !strings.Contains(out, "--fleet") {
		t.Errorf("code %d, %q\n%s", code, errOut, out)
	}
	if code, out, _ := run("--version"); code != exitOK || !strings.Contains(out, version) {
		t.Errorf("--version: code %d, %q", code, out)
	}
}

func TestAsConntrack(t *testing.T) {
	for line, want := range map[string]bool{
		"conntrack": true, "/usr/sbin/conntrack -L": true, "./conntrack --help": true, "conntrack run": true, "conntrackd run": false,
		"ctferry": false, "ctferry run": false, "ctferry run -c x": false, "ctferry rum": false, "ctferry -": false, "ctferry --": false,
		"ctferry -- -L": false, "ctferry demo --help": false,
		"ctferry -L": true, "ctferry -L expect": true, "ctferry --dump": true, "ctferry --du": true, "ctferry -s 1.1.1.1 -L": true,
		"ctferry -o xml -L": true, "ctferry --node a -L": true, "ctferry -p tcp": true, "ctferry -x": true, "ctferry -R -": true, "ctferry -Lz": true,
		"ctferry --help": false, "ctferry -h": false, "ctferry --version": false, "ctferry -v": false, "ctferry --help run": false,
		"ctferry -h -p tcp": true, "ctferry -p tcp -h": true, "ctferry -V -L": true, "ctferry -V": true, "ctferry --help --node": true, "ctferry --hel": true,
		"ctferry -c x": true, "ctferry --config x": true,
	} {
		if got := asConntrack(strings.Fields(line)); got != want {
			t.Errorf("%s: %v, expected %v", line, got, want)
		}
	}
}
