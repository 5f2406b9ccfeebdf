package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testdisk"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// feed keeps what it is given.
type feed struct{ records []string }

func (f *feed) Audited(record []byte) { f.records = append(f.records, string(record)) }

// watched looks at the audit at the moment of a write.
type watched struct {
	Session
	look func()
}

func (w watched) Apply(ctx context.Context, changes []flow.Change) []error {
	w.look()
	return w.Session.Apply(ctx, changes)
}

func (w watched) Flush(ctx context.Context, o flow.FlushOptions) error {
	w.look()
	return w.Session.Flush(ctx, o)
}

// TestAuditIntent proves that the intent stands in the file when the kernel is told.
func TestAuditIntent(t *testing.T) {
	ns := sample(t)
	x := executor(ns)
	var seen []string
	path := ""
	open := x.Open
	x.Open = func(name string) (Session, error) {
		s, err := open(name)
		return watched{s, func() { seen = phases(t, path) }}, err
	}
	f := &feed{}
	g, p := guarded(t, x, nil)
	g.audit.o.Feed = f
	path = p
	ctx := WithPeer(t.Context(), Peer{Subject: "s.u.b", User: "ann@host"})
	q := issue(t, "w-1", `"verb":"update","table":"conntrack","netns":"blue","filter":{"sport":1},"change":{"mark":"0x5/0xff"},"limit":3`)
	if _, err := g.Call(ctx, q, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "at the write", seen, []string{"intent update"})
	list := audited(t, path)
	if len(list) != 2 || len(f.records) != 2 {
		t.Fatalf("%v, fed %v", list, f.records)
	}
	for _, m := range list {
		for key, want := range map[string]any{"request": "w-1", "verb": "update", "table": "conntrack", "netns": "blue", "subject": "s.u.b", "claimed_user": "ann@host"} {
			if m[key] != want {
				t.Errorf("%v: %s is %v", m["phase"], key, m[key])
			}
		}
		if _, err := time.Parse(time.RFC3339Nano, m["time"].(string)); err != nil || len(m["time"].(string)) != 30 {
			t.Error(m["time"])
		}
	}
	if text, _ := json.Marshal(list[0]["filter"]); string(text) != `{"include":[{"sport":1}]}` {
		t.Errorf("%s", text)
	}
	if text, _ := json.Marshal(list[0]["change"]); string(text) != `{"mark":"0x5/0xff"}` || list[0]["limit"] != 3.0 {
		t.Errorf("%v", list[0])
	}
	if list[1]["count"] != 1.0 || list[1]["duration_ns"].(float64) <= 0 {
		t.Errorf("%v", list[1])
	}
	var fed map[string]any
	if err := json.Unmarshal([]byte(f.records[1]), &fed); err != nil || fed["phase"] != "done" || strings.Contains(f.records[0], "\n") {
		t.Errorf("%v: %q", err, f.records)
	}
	q = issue(t, "w-2", `"verb":"delete","table":"conntrack","keys":[%s,"id":1}]`, key1)
	called(t, g, q)
	list = audited(t, path)
	if last := list[len(list)-1]; last["failed"] != 1.0 || last["errno"] != "ENOENT" || last["code"] != 404.0 {
		t.Errorf("%v", last)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestAuditUnwritable refuses writes that cannot be written down, and lets reads pass.
func TestAuditUnwritable(t *testing.T) {
	ns := sample(t)
	var log bytes.Buffer
	a := NewAuditor(AuditOptions{Config: Audit{Path: "/dev/full"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := DefaultConfig()
	c.Allow = Verbs()
	g, err := NewGuard(c, executor(ns), a)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "a", "b"} { // nothing was begun, so it is no repetition
		refused(t, g, issue(t, id, `"verb":"delete","table":"conntrack","filter":{"sport":1}`), CodeUnavailable, "")
	}
	called(t, g, request(t, `"verb":"list","table":"conntrack"`))
	equal(t, "left", left(t, ns), []int{1, 2, 3, 4, 5, 6, 7, 8})
	if s := a.Stats(); s.Written != 0 || s.Failed != 6 || strings.Count(log.String(), "audit record not written") != 3 {
		t.Errorf("%+v, %s", s, log.String())
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "such"), ""} {
		if _, err := NewGuard(c, executor(ns), NewAuditor(AuditOptions{Config: Audit{Path: path}})); err == nil || !strings.Contains(err.Error(), "audit") {
			t.Errorf("%q: %v", path, err)
		}
	}
	c.Allow = []Verb{VerbList}
	f := &feed{}
	g, err = NewGuard(c, executor(ns), NewAuditor(AuditOptions{Feed: f}))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, g, issue(t, "a", `"verb":"flush","table":"conntrack"`), CodeOff, "")
	if len(f.records) != 1 || !strings.Contains(f.records[0], `"code":501`) {
		t.Error(f.records)
	}
}

// TestAuditDiskFull fills a real file system: no line is ever torn, and it goes
// on when there is room again.
func TestAuditDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=16k"); err != nil {
		testnet.Unavailable(t, "a small file system needs root: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	a := NewAuditor(AuditOptions{Config: Audit{Path: filepath.Join(dir, "audit")}, Node: "edge"})
	defer a.Close()
	q := &Request{ID: strings.Repeat("x", 60), Verb: VerbFlush, Table: TableConntrack}
	written := 0
	for a.intent(t.Context(), q) == nil {
		written++
	}
	if list := audited(t, filepath.Join(dir, "audit")); len(list) != written || written < 50 {
		t.Errorf("%d of %d lines", len(list), written)
	}
	if err := os.Truncate(filepath.Join(dir, "audit"), 0); err != nil {
		t.Fatal(err)
	}
	if err := a.intent(t.Context(), q); err != nil {
		t.Error(err)
	}
	if list := audited(t, filepath.Join(dir, "audit")); len(list) != 1 {
		t.Errorf("%d lines", len(list))
	}
}

// TestAuditCutShortByOthers has the disk fill up behind a file that somebody has
// emptied (copytruncate): taking back half a line makes it no longer than it is.
func TestAuditCutShortByOthers(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=32k"); err != nil {
		testnet.Unavailable(t, "a small file system needs root: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path, ballast := filepath.Join(dir, "audit"), filepath.Join(dir, "ballast")
	a := NewAuditor(AuditOptions{Config: Audit{Path: path}, Node: "edge"})
	defer a.Close()
	q := &Request{ID: strings.Repeat("x", 60), Verb: VerbFlush, Table: TableConntrack}
	for range 40 {
		if err := a.intent(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ballast, make([]byte, 24<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	written := 0
	for a.intent(t.Context(), q) == nil {
		written++
	}
	if data, _ := os.ReadFile(path); bytes.IndexByte(data, 0) >= 0 || len(data) > 8<<10 {
		t.Errorf("%d bytes", len(data))
	}
	if list := audited(t, path); len(list) != written || written == 0 {
		t.Errorf("%d of %d lines", len(list), written)
	}
}

// TestAuditNotSynced has a disk that takes intents and then cannot sync them: what
// is refused for that is not in the file as if it had been carried out, and what
// was not refused is there when the disk shows what it really has.
func TestAuditNotSynced(t *testing.T) {
	thin := testdisk.NewThin(t)
	path := filepath.Join(thin.Dir, "audit")
	a := NewAuditor(AuditOptions{Config: Audit{Path: path}, Node: "edge"})
	defer a.Close()
	q := &Request{Verb: VerbFlush, Table: TableConntrack, NetNS: strings.Repeat("n", 1000)}
	var want []string
	refused := 0
	for n := 0; refused < 5; n++ {
		q.ID = fmt.Sprint("w-", n)
		if a.intent(t.Context(), q) == nil {
			want = append(want, q.ID)
		} else {
			refused++
		}
	}
	thin.Keep(t)
	for n := range 10 {
		q.ID = fmt.Sprint("again-", n)
		if err := a.intent(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		want = append(want, q.ID)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"in memory", "on the disk"} {
		var got []string
		for _, m := range audited(t, path) {
			got = append(got, m["request"].(string))
		}
		equal(t, when, got, want)
		thin.Remount(t)
	}
}

func TestAuditTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	if err := os.WriteFile(path, []byte("{\"a\":1}\n{\"b\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := NewAuditor(AuditOptions{Config: Audit{Path: path, Max: 1 << 20}})
	a.refused(t.Context(), &Request{}, &Error{Code: CodeInvalid, Message: "x"})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	lines := strings.Split(string(data), "\n")
	if len(lines) != 4 || lines[1] != `{"b":` || !json.Valid([]byte(lines[2])) {
		t.Errorf("%q", lines)
	}
}

func TestAuditRotation(t *testing.T) {
	for _, keep := range []int{0, 2} {
		dir := t.TempDir()
		path := filepath.Join(dir, "audit")
		a := NewAuditor(AuditOptions{Config: Audit{Path: path, Max: 1000, Keep: keep}, Node: "edge"})
		for i := range 50 {
			if err := a.intent(t.Context(), &Request{ID: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		a.Close()
		names, _ := os.ReadDir(dir)
		if len(names) != keep+1 {
			t.Fatalf("%d files", len(names))
		}
		next := 49 // the newest record stands at the end of the file, older ones in the renamed ones
		for n := range keep + 1 {
			name := path
			if n > 0 {
				name += fmt.Sprint(".", n)
			}
			info, _ := os.Stat(name)
			if info.Size() > 1000 || info.Size() == 0 || info.Mode().Perm() != 0o640 {
				t.Errorf("%s: %d bytes, %v", name, info.Size(), info.Mode())
			}
			list := audited(t, name)
			for i := len(list) - 1; i >= 0; i-- {
				if list[i]["request"] != fmt.Sprint(next) {
					t.Fatalf("%s: %v, want %d", name, list[i]["request"], next)
				}
				next--
			}
		}
	}
	// A record that is longer than the file may be is written all the same.
	a := NewAuditor(AuditOptions{Config: Audit{Path: filepath.Join(t.TempDir(), "audit"), Max: 10, Keep: 1}})
	for range 3 {
		if err := a.intent(t.Context(), &Request{}); err != nil {
			t.Error(err)
		}
	}
	a.Close()
}

// TestAuditFlood has more refusals than may be written.
func TestAuditFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		a := NewAuditor(AuditOptions{Config: Audit{Path: path}, Node: "edge"})
		flood := func(n int) {
			for range n {
				a.refused(t.Context(), &Request{Verb: VerbFlush, Table: TableConntrack}, &Error{Code: CodeOff, Message: "off"})
			}
		}
		flood(refusalBurst + 40)
		if list := audited(t, path); len(list) != refusalBurst {
			t.Fatalf("%d records", len(list))
		}
		time.Sleep(2 * refusalPause)
		flood(5)
		list := audited(t, path)[refusalBurst:]
		if len(list) != 2 || list[0]["omitted"] != 40.0 || list[1]["omitted"] != nil {
			t.Errorf("%v", list)
		}
		if err := a.intent(t.Context(), &Request{}); err != nil { // writes are never left out
			t.Error(err)
		}
		if list := audited(t, path); list[len(list)-1]["omitted"] != 3.0 {
			t.Errorf("%v", list[len(list)-1])
		}
		flood(7)
		a.Close()
		list = audited(t, path)
		if last := list[len(list)-1]; last["omitted"] != 7.0 || last["phase"] != "refused" {
			t.Errorf("%v", last)
		}
		if s := a.Stats(); s.Omitted != 50 || s.Failed != 0 || s.Written != uint64(len(list)) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		flood(refusalBurst + 1)
		if n := len(audited(t, path)) - len(list); n != refusalBurst {
			t.Errorf("%d more", n)
		}
		a.Close()
	})
}

// TestAuditOutside tells what comes from outside, cut where it is long.
func TestAuditOutside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	a := NewAuditor(AuditOptions{Config: Audit{Path: path}, Node: "edge"})
	defer a.Close()
	long := strings.Repeat("é", 5000)
	var sports []string
	for n := range 2000 {
		sports = append(sports, fmt.Sprint(2*n))
	}
	q := request(t, `"verb":"delete","table":"conntrack","filter":{"sport":[%s]}`, strings.Join(sports, ","))
	q.NetNS = long
	for _, info := range []string{"{\n\"acc\":\"A\"\n}", `{"acc":`, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, long, "\xff\n\"", `{"a":1}` + "\n" + `{"schema":"forged"}`} {
		ctx := WithPeer(t.Context(), Peer{Subject: "a\nb", User: "\x1b[31m\xff" + long, Info: info})
		a.refused(ctx, q, &Error{Code: CodeTooLarge, Message: long, Field: long})
	}
	list := audited(t, path)
	if len(list) != 6 {
		t.Fatalf("%d records", len(list))
	}
	for i, m := range list {
		if _, parsed := m["request_info"].(map[string]any); parsed != (i == 0) {
			t.Errorf("%d: %v", i, m["request_info"])
		}
		if text, _ := m["filter"].(string); !strings.HasPrefix(text, `{"include":[{"sport":[0,2,`) || len(text) > maxRefusal+10 {
			t.Errorf("%v", m["filter"])
		}
	}
	if info, _ := os.Stat(path); info.Size() > 6*16<<10 {
		t.Errorf("%d bytes", info.Size())
	}
	if err := a.intent(t.Context(), q); err != nil { // what was done is told in full
		t.Fatal(err)
	}
	list = audited(t, path)
	if f, ok := list[6]["filter"].(map[string]any); !ok || len(fmt.Sprint(f)) < 8000 {
		t.Errorf("%v", list[6]["filter"])
	}
}

// TestGuardTogether has many callers at once; run with -race.
func TestGuardTogether(t *testing.T) {
	ns := sample(t)
	g, path := guarded(t, executor(ns), func(c *Config) { c.Concurrent = 64 })
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 5 {
				q := issue(t, fmt.Sprint(i%4, "-", n), `"verb":"update","table":"conntrack","filter":{"sport":1},"change":{"mark":%d}`, i%4*100+n)
				_, _ = g.Call(t.Context(), q, nil)
				_, _ = g.Call(t.Context(), request(t, `"verb":"list","table":"conntrack"`), nil)
			}
		})
	}
	wg.Wait()
	begun := map[any]int{}
	for _, m := range audited(t, path) {
		if m["phase"] == "intent" {
			begun[m["request"]]++
		}
	}
	for id, n := range begun {
		if n != 1 {
			t.Errorf("%v was begun %d times", id, n)
		}
	}
}

// TestAuditApart has a file that a file sink writes, as its lock says, be no audit.
func TestAuditApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	records, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	if err := unix.Flock(int(records.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	a := NewAuditor(AuditOptions{Config: Audit{Path: path}, Node: "edge"})
	defer a.Close()
	if err := a.Open(); !errors.Is(err, unix.EWOULDBLOCK) || !strings.Contains(err.Error(), path+" is being written by somebody else") {
		t.Fatal(err)
	}
	if err := unix.Flock(int(records.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := a.Open(); err != nil {
		t.Fatal(err)
	}
}
