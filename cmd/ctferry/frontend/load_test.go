package frontend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/control"
)

// TestLoadIsBatched turns 10,000 lines into a few requests, in their order.
func TestLoadIsBatched(t *testing.T) {
	var b strings.Builder
	b.WriteString("-F\n")
	for i := range 10000 {
		fmt.Fprintf(&b, "-A -p udp -s 10.0.%d.%d -d 10.1.0.1 --sport 1 --dport 2 -t 100\n", i/256, i%256)
	}
	b.WriteString("# the end\n-D -p 50\n-I -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 5\n")
	s := script{}
	got := runLine(Local(&s, nil), b.String(), "-R", "-")
	if got.code != 0 || got.errOut != "ctferry v1.2.3 (ctferry): connection tracking table has been emptied.\n" {
		t.Fatalf("%+v", got)
	}
	entries, verbs := 0, ""
	for _, q := range s.asked {
		entries += len(q.Entries)
		verbs += string(q.Verb)[:1]
	}
	if entries != 10001 || verbs != "f"+strings.Repeat("c", 100)+"dc" {
		t.Errorf("%d entries in requests %s", entries, verbs)
	}
}

// TestLoadIssuesEachWhenItIsDue loads a file for longer than a node takes a
// write after it was issued.
func TestLoadIssuesEachWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script{takes: 3 * time.Minute}
		runLine(Local(&s, nil), strings.Repeat("-D -p 50\n", 3), "-R", "-")
		for i, q := range s.asked {
			if age := s.at[i].Sub(q.IssuedAt); age != 0 {
				t.Errorf("request %d was issued %v before it was sent", i, age)
			}
		}
		if len(s.asked) != 3 {
			t.Errorf("%d requests", len(s.asked))
		}
	})
}

// TestLoadTellsWhere names the line of what fails, and goes on.
func TestLoadTellsWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "saved")
	text := "-A -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 5\n\n-I -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 5\n-F\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := script{result: control.Result{Failed: 2, Failures: []control.Failure{{Index: 0, Err: failure("EEXIST")}, {Index: 1, Err: failure("EEXIST")}}}}
	got := runLine(Local(&s, nil), "", "-R", path)
	want := "ctferry v1.2.3 (ctferry): " + path + ":3: Operation failed: Such conntrack exists, try -U to update\n"
	if got.code != 1 || !strings.HasPrefix(got.errOut, want) || len(s.asked) != 2 {
		t.Errorf("%d requests: %+v", len(s.asked), got)
	}
}

// TestLoadRefuses carries out nothing of a file with a fault in it.
func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"-F\n-L\n":                 "-:2: Cannot use command `-L' with --load-file",
		"-F\n-F -x":                "-:2: unknown option `-x'",
		"-D --node a":              "-:1: unknown option `--node'",
		"-D -c 5":                  "-:1: Illegal option `--secmark'",
		strings.Repeat("x", 1<<17): "-:1: ",
	} {
		s := script{}
		got := runLine(Local(&s, nil), text, "-R", "-")
		if got.code != exitUsage || len(s.asked) != 0 || !strings.Contains(got.errOut, want) {
			t.Errorf("%.20q: %+v", text, got)
		}
	}
	if got := runLine(nil, "", "-R", "/no/such/file"); got.code != exitUsage || !strings.Contains(got.errOut, "Failed to open file /no/such/file for reading") {
		t.Errorf("%+v", got)
	}
}
