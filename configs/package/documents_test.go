package packaging

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// told is a command that a document tells the reader to run.
type told struct {
	place string // file:line
	line  string
}

// document is what a page tells the reader to run, in its order, and the files
// that it shows whole: those whose first line is a comment with their name.
type document struct {
	name     string
	commands []told
	files    map[string]string
}

// programs are those that an indented line may begin with to be a command; in a
// block that is marked sh every line is one.
var programs = regexp.MustCompile(`^(sudo |bin/)*(ctferry|conntrack|make|nats|dpkg|rpm|systemctl|cp|curl|kcat|docker|sysctl|journalctl|kill) `) //nolint:gochecknoglobals // a table

func readDocument(t *testing.T, path string) document {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := document{name: filepath.Base(path), files: map[string]string{}}
	var fence, block string
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		trimmed := strings.TrimRight(line, "\n")
		command, _, _ := strings.Cut(strings.TrimSpace(trimmed), "  # ")
		command, _, _ = strings.Cut(command, " # ")
		command = strings.TrimSpace(command)
		place := fmt.Sprintf("%s:%d", d.name, number)
		switch {
		case strings.HasPrefix(trimmed, "```") && fence == "":
			fence, block = trimmed, ""
		case strings.HasPrefix(trimmed, "```"):
			if name, rest, _ := strings.Cut(block, "\n"); strings.HasPrefix(name, "# ") && strings.HasSuffix(name, ".yaml") {
				d.files[name[2:]] = rest
			}
			fence = ""
		case fence == "```sh":
			d.commands = append(d.commands, told{place, command})
		case fence != "":
			block += line
		case strings.HasPrefix(line, "    ") && programs.MatchString(command+" "):
			d.commands = append(d.commands, told{place, command})
		}
	}
	if fence != "" {
		t.Errorf("%s: a block does not end", path)
	}
	return d
}

// way is how a command is run, where it is not simply run to its end with exit
// code 0.
type way struct {
	want      string // in what it prints, a regular expression
	serves    bool   // it runs until the next that serves, or the page's end
	interrupt bool   // it would go on for ever: it is interrupted after 2 s
	stage     bool   // the stage's own service runs by then, not the page's
	finds     bool   // exit code 1 is an answer: there is something to mend on this machine
	before    string // a command that lays the ground for it
	elsewhere string // it is not run here, and why not
}

// stale makes an entry to delete.
const stale = "ctferry -I -p udp -s 192.0.2.1 -d 192.0.2.10 --sport 1 --dport 53 -t 600"

// ways are the commands that are run in another way than the rest.
func ways() map[string]way {
	return map[string]way{
		"make demo":    {elsewhere: "TestDemo"},
		"make test":    {elsewhere: "this is it"},
		"make build":   {elsewhere: "the packages are built by it"},
		"make package": {elsewhere: "the machine has them"},
		"make release": {elsewhere: "TestReproducible"},

		"dpkg -i ctferry_VERSION_amd64.deb": {elsewhere: "newMachine"},
		"dpkg -r ctferry":                   {elsewhere: "TestDebianLife"},
		"dpkg -P ctferry":                   {elsewhere: "TestDebianLife"},
		"systemctl restart systemd-modules-load systemd-sysctl": {elsewhere: "TestExamplesAreAccepted"},

		"sudo bin/ctferry run":                                                 {interrupt: true, want: `"schema":"ctferry.v1"`},
		"sudo bin/ctferry -E -e DESTROY -o timestamp":                          {interrupt: true, want: `DESTROY`},
		"sudo bin/ctferry run -c my.yaml":                                      {serves: true},
		"sudo bin/ctferry run -c configs/single.yaml":                          {serves: true},
		"sudo ctferry run -c configs/single.yaml":                              {serves: true},
		"sudo ctferry run -c kafka.yaml":                                       {serves: true},
		"sudo ctferry run -c single.yaml":                                      {serves: true},
		"kcat -C -b 127.0.0.1:9092 -t conntrack -o beginning -c 1":             {want: `"schema":"ctferry.v1"`},
		"sudo ctferry nodes":                                                   {want: "edge-1"},
		"sudo bin/ctferry nodes":                                               {want: "edge-1"},
		"sudo bin/ctferry run -c kafka.yaml":                                   {serves: true},
		"curl -s http://127.0.0.1:9479/metrics":                                {want: "ctferry_build_info"},
		"curl -s http://127.0.0.1:9479/healthz":                                {stage: true},
		"ctferry doctor --netns blue":                                          {before: "ip netns add blue", finds: true},
		"ctferry doctor --strict":                                              {finds: true, want: "clock|sound"},
		"sudo systemctl reload ctferry":                                        {before: "systemctl start ctferry"},
		"bin/ctferry -D -p udp --dport 53 --node edge-1":                       {stage: true, before: stale},
		"ctferry -D -p udp --orig-dst 192.0.2.10 --dport 53 --fleet --dry-run": {stage: true, before: stale, want: "1 flow entries would have been deleted"},
		"ctferry -D -p udp --orig-dst 192.0.2.10 --dport 53 --node edge-1":     {want: "1 flow entries have been deleted"},
		"ctferry -D -p udp --orig-dst 192.0.2.10 --dport 53 --fleet":           {before: stale},
		"bin/ctferry -U -s 10.0.0.0/24 -m 7/0xff --fleet --dry-run":            {before: "ctferry -I -p udp -s 10.0.0.1 -d 192.0.2.10 --sport 1 --dport 5 -t 600"},
		"nats req --wait-for-empty ctferry.v1.default.node.edge-1.conntrack.watch '{\"v\":1,\"timeout\":\"60s\"}'": {interrupt: true, want: `"schema":"ctferry.v1"`},
	}
}

// TestDocumentedCommands runs every command that a page tells its reader to run,
// as it stands there and in its order, on a machine with the package installed,
// a Kafka in reach, and traffic.
func TestDocumentedCommands(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%v, %v", pages, err)
	}
	known, met := ways(), map[string]bool{}
	m := newReadersMachine(t)
	for _, page := range append(pages, "../../README.md") {
		d := readDocument(t, page)
		if len(d.commands) == 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			r := m.opens(t, d)
			for _, c := range d.commands {
				met[c.line] = true
				r.run(t, c, known[c.line])
			}
		})
	}
	for line, w := range known {
		if !met[line] && w.elsewhere == "" {
			t.Errorf("no page says %q any more", line)
		}
	}
}
