package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

// bashComplete asks a real bash, with the script that `completion bash` writes,
// what it offers for a line. bash-completion's one function that the script
// wants is given its plain meaning.
const bashComplete = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
__ltrim_colon_completions() { :; }
compopt() { :; }
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
__start_ctferry
printf '%s\n' "${COMPREPLY[@]}"
`

// bashOffers gives what bash would offer, each word without its description.
func bashOffers(t *testing.T, script, home string, line ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-c", bashComplete, "bash", script, "ctferry"}, line...)...)
	cmd.Env = []string{"PATH=" + filepath.Dir(binary(t)) + ":" + os.Getenv("PATH"), "HOME=" + home}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var words []string
	for l := range strings.Lines(string(out)) {
		if f := strings.Fields(l); len(f) > 0 {
			words = append(words, strings.ReplaceAll(f[0], `\`, "")) // as bash quotes it
		}
	}
	return words
}

func TestCompletionInBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		testnet.Unavailable(t, "no bash")
	}
	dir := t.TempDir()
	code, text, errOut := run("completion", "bash")
	if code != exitOK {
		t.Fatal(errOut)
	}
	script := writeFile(t, dir, "ctferry.bash", text)
	hub := natstest.Start(t)
	for i, name := range []string{"edge-1", "edge-2"} {
		cfg := writeFile(t, dir, fmt.Sprint("n", i, ".yaml"), fmt.Sprintf("node: %s\nsource: {buffer: {size: 1MiB, max: 8MiB}}\nconnections: {hub: {type: nats, urls: [%s]}}\n"+
			"control: {enabled: true, connection: hub, audit: {path: %s/audit%d}}\nsinks: {siem: {type: file, path: %[3]s/f%[4]d}}\n", name, hub.ClientURL(), dir, i))
		startFerry(t, nil, "run", "-c", cfg).served(t)
	}
	server := "--server=" + hub.ClientURL()
	for _, c := range []struct {
		line []string
		want []string // all of these, and if exact nothing else
	}{
		{[]string{""}, []string{"run", "check", "nodes", "spool", "completion", "decode", "demo"}},
		{[]string{"che"}, []string{"check"}},
		{[]string{"spool", "st"}, []string{"status"}},
		{[]string{"check", "--sam"}, []string{"--sample"}},
		{[]string{"check", "--from", ""}, []string{"json", "protobuf", "xml"}},
		{[]string{"run", "-c", filepath.Join(dir, "n0.yaml"), "--set", "sinks."}, []string{"sinks.siem."}},
		{[]string{"-"}, []string{"-L", "-D", "-E", "--dump", "--node", "--fleet", "--help"}},
		{[]string{"-L", "--no"}, []string{"--node"}},
		{[]string{"-L", "-o", "ex"}, []string{"extended"}},
		{[]string{"-L", "-o", "extended,js"}, []string{"extended,json"}},
		{[]string{"-L", "-p", "tcp", "--spo"}, []string{"--sport"}},
		{[]string{"-D", "-f", ""}, []string{"ipv4", "ipv6"}},
		{[]string{"-L", "e"}, []string{"expect"}},
		{[]string{"-L", server, "--node", ""}, []string{"edge-1", "edge-2"}},
		{[]string{"-L", server, "--node", "edge-1,"}, []string{"edge-1,edge-1", "edge-1,edge-2"}},
		{[]string{"nodes", server, "edge-"}, []string{"edge-1", "edge-2"}},
	} {
		got := bashOffers(t, script, dir, c.line...)
		for _, w := range c.want {
			if !slices.Contains(got, w) && !slices.Contains(got, strings.TrimSuffix(w, ".")) {
				t.Errorf("%q: %q is missing in %q", c.line, w, got)
			}
		}
		if len(c.want) < 4 && len(got) > len(c.want) {
			t.Errorf("%q: offers %q", c.line, got)
		}
	}
}

// Every shell's script is there, and bash can read its own.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, errOut := run("completion", shell)
		if code != exitOK || !strings.Contains(out, "__complete") {
			t.Errorf("%s: code %d, %d bytes, %s", shell, code, len(out), errOut)
		}
	}
}

// What a line offers does not depend on NATS being there, nor does it fail.
func TestCompletionWithoutAnything(t *testing.T) {
	for _, line := range [][]string{{"-L", "--server=nats://127.0.0.1:1", "--node", ""}, {"-L", "--netns", "no-such"}, {"-L", "--config", ""}, {"-L", "--limit", ""}, {"-R", ""}} {
		code, out, errOut := run(append([]string{"__complete"}, line...)...)
		if code != exitOK || errOut != "" || !strings.HasPrefix(out, ":") {
			t.Errorf("%q: code %d, %q %q", line, code, out, errOut)
		}
	}
}
