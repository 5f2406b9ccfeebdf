package frontend

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
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
		runLine(Local(&s, nil), strings.Repeat("-U -p 50 -m 1\n", 3), "-R", "-")
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

// TestLoadKeepsOrder has entries, which wait for others, made before what
// follows them, and tells of each failure where its line stands.
func TestLoadKeepsOrder(t *testing.T) {
	const make2 = "-I -p 50 -s 1.1.1.1 -d 2.2.2.%d -t %d\n"
	var b strings.Builder
	for i := range 250 { // lines 1 to 250
		fmt.Fprintf(&b, make2, i%250, 5)
	}
	b.WriteString("-D -s 1.1.1.1\n# nothing\n-U -s 1.1.1.1 -m 3\n-G -p 50 -s 1.1.1.1 -d 2.2.2.2\n")
	fmt.Fprintf(&b, make2, 1, 6) // line 255
	s := script{result: control.Result{Failed: 1, Failures: []control.Failure{{Index: 0, Err: failure("EEXIST")}}}}
	got := runLine(Local(&s, nil), b.String(), "-R", "-")
	var verbs []string
	for _, q := range s.asked {
		verbs = append(verbs, fmt.Sprintf("%s %d", q.Verb, len(q.Entries)))
	}
	if want := "create 100,create 100,create 50,delete 0,update 0,get 0,create 1"; strings.Join(verbs, ",") != want {
		t.Errorf("asked %s, expected %s", strings.Join(verbs, ","), want)
	}
	at := -1
	for _, line := range []string{"-:1: ", "-:101: ", "-:201: ", "-:251: ", "-:253: ", "-:254: ", "-:255: "} {
		next := strings.Index(got.errOut, "(ctferry): "+line)
		if next <= at {
			t.Errorf("%q is not told, or not in order:\n%s", line, got.errOut)
		}
		at = next
	}
	if got.code != exitFailed {
		t.Errorf("code %d", got.code)
	}
}

// TestLoadLends proves that entries share memory from request to request, and
// still are each line's own.
func TestLoadLends(t *testing.T) {
	var b strings.Builder
	for i := range 230 {
		fmt.Fprintf(&b, "-A -p udp -s 10.0.0.1 -d 10.1.0.1 --sport 1 --dport %d -t %d", i+1, i+1)
		if i%3 == 0 {
			b.WriteString(" -m 7 -n 3.3.3.3 -u ASSURED")
		}
		b.WriteString("\n")
	}
	n := 0
	hosts := Local(callerFunc(func(q *control.Request) error {
		for i := range q.Entries {
			e := q.Entries[i].Event
			marked := n%3 == 0
			if e.Orig.DstPort != uint16(n+1) || e.Timeout != uint32(n+1) || e.Got(flow.HasMark) != marked || e.Got(flow.HasStatus) != marked ||
				(q.Entries[i].SrcNAT != nil) != marked || e.Mark != 0 && !marked {
				t.Errorf("entry %d: %+v", n, e)
			}
			n++
		}
		return q.Validate()
	}), nil)
	if got := runLine(hosts, b.String(), "-R", "-"); got.code != exitOK || n != 230 {
		t.Errorf("%d entries: %+v", n, got)
	}
}

// callerFunc is a Caller without rows.
type callerFunc func(q *control.Request) error

// Call implements control.Caller.
func (f callerFunc) Call(_ context.Context, q *control.Request, _ func(*flow.Batch) error) (*control.Result, error) {
	return &control.Result{}, f(q)
}

// TestLoadDeletesTogether makes one request of -D that follow one another, where
// that comes to the same.
func TestLoadDeletesTogether(t *testing.T) {
	deletes := func(n int, more string) (text string) {
		for i := range n {
			text += fmt.Sprintf("-D -s 10.0.0.%d%s\n", i%250, more)
		}
		return text
	}
	for _, c := range []struct {
		text  string
		terms string // of each request
		extra []string
	}{
		{deletes(3, ""), "3", nil},
		{deletes(150, ""), "64,64,22", nil},
		{deletes(2, "") + "-U -m 1\n" + deletes(2, ""), "2,0,2", nil},
		{deletes(2, "") + "-A -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 5\n" + deletes(2, ""), "2,0,2", nil},
		{deletes(2, "") + deletes(2, " -o id"), "2,2", nil}, // what is printed differs
		{"-D -s 1.1.1.1\n-D -s ::1\n-D -p 50\n", "1,1,1", nil},
		{"-D -s 1.1.1.1\n-D\n-D -s 1.1.1.1\n", "1,0,1", nil},
		{"-D -s 1.1.1.1\n-D -s 1.1.1.1 -m 8/7\n", "1,1", nil}, // what means nothing at all
		{deletes(2, " -o xml"), "1,1", nil},                   // a document each
		{deletes(2, ""), "1,1", []string{"--dry-run"}},
		{deletes(2, ""), "1,1", []string{"--limit", "5"}},
		{deletes(2, ""), "1,1", []string{"--node", "x"}},
	} {
		s := script{}
		got := runLine(Local(&s, nil), c.text, append(c.extra, "-R", "-")...)
		var terms []string
		for _, q := range s.asked {
			n := 0
			if q.Filter != nil {
				n = len(q.Filter.Include)
			}
			terms = append(terms, fmt.Sprint(n))
		}
		if strings.Join(terms, ",") != c.terms || got.code != exitOK {
			t.Errorf("%.60q %v: terms %s, expected %s: %+v", c.text, c.extra, strings.Join(terms, ","), c.terms, got)
		}
	}
}
