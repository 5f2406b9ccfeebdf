package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

const storeSource = "source: {buffer: {size: 8MiB, max: 64MiB}}\n"

// storeSection is a spool for a test; more are further keys.
func storeSection(dir, more string) string {
	return fmt.Sprintf("spool: {mode: always, dir: %s/spool, max: 256MiB, min_free: 0, segment: 1MiB%s}\n", dir, more)
}

// kill is kill -9, and waits for the end.
func (p *process) kill(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		tb.Fatal("the program does not end")
	}
}

// entry is what a test wants to know of a record.
type entry struct {
	Run    string `json:"run"`
	Seq    uint64 `json:"seq"`
	Type   string `json:"event_type"`
	FlowID string `json:"flow_id"`
}

// records reads a file of JSON lines.
func records(tb testing.TB, path string) (all []entry) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for one := range strings.Lines(string(text)) {
		var r entry
		if err := json.Unmarshal([]byte(one), &r); err != nil {
			tb.Fatalf("%v: %q", err, one)
		}
		all = append(all, r)
	}
	return all
}

type identity struct {
	run string
	seq uint64
}

// withoutRepeats drops what came twice, and wants every run's records in their order.
func withoutRepeats(tb testing.TB, all []entry) (once []entry) {
	tb.Helper()
	seen, last := map[identity]bool{}, map[string]uint64{}
	run := ""
	for _, r := range all {
		if seen[identity{r.Run, r.Seq}] {
			continue
		}
		if r.Seq < last[r.Run] {
			tb.Fatalf("record %d of run %s stands behind %d", r.Seq, r.Run, last[r.Run])
		}
		if _, begun := last[r.Run]; begun && r.Run != run {
			tb.Fatalf("record %d of run %s stands behind those of another run", r.Seq, r.Run)
		}
		run = r.Run
		seen[identity{r.Run, r.Seq}], last[r.Run] = true, r.Seq
		once = append(once, r)
	}
	return once
}

// TestStopWithDeadSinkAndStartAgain: what a broker that is away has not had is
// delivered by the next run, beside what that one reads itself.
func TestStopWithDeadSinkAndStartAgain(t *testing.T) {
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = t.TempDir() })
	url := hub.Config().URLs[0]
	hub.Stop()
	ns, dir := pipelineNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", storeSection(dir, "")+fmt.Sprintf(`
source: {netns: [%[3]s], filter: {include: [{netns: %[3]s}]}, buffer: {size: 8MiB, max: 8MiB}}
sinks:
  file: {type: file, path: %[1]s/out}
  bus: {type: nats, urls: [%[2]s], subject: "js.{node}.{event_type}", drain: 200ms, retry: {initial: 10ms, max: 100ms}, jetstream: {stream: S, manage: create, max_bytes: 64MiB}}
`, dir, url, filepath.Base(ns.Path())))
	p := startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	churn(t, ns, 1000)
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= 2001 })
	first := p.stop(t)
	held := first.sink(t, "bus", "held")
	if held != first.sink(t, "file", "delivered") || first.sink(t, "bus", "dropped") != 0 || first.sink(t, "file", "held") != 0 {
		t.Errorf("%d records are held of %d", held, first.sink(t, "file", "delivered"))
	}

	hub.Restart(t)
	p = startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	churn(t, ns, 100)
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= held+201 })
	waitFor(t, "the stream", func() bool { return messagesOf(t, hub, "S") >= held+201 })
	second := p.stop(t)
	own := second.sink(t, "bus", "offered")
	if r := second.sink(t, "bus", "recovered"); r != held || second.sink(t, "bus", "delivered") != held+own || second.sink(t, "bus", "held") != 0 {
		t.Errorf("%d of %d recovered, %d of %d delivered", r, held, second.sink(t, "bus", "delivered"), held+own)
	}
	if second.sink(t, "file", "recovered") != 0 || second.sink(t, "file", "offered") != own {
		t.Error("the file's records came again")
	}
	if n := messagesOf(t, hub, "S"); n != held+own {
		t.Errorf("the stream has %d messages of %d", n, held+own)
	}
}

// TestKillUnderLoadAndStartAgain kills the program again and again. Every frame
// that can be read from a copy of the spool afterwards is in the file in the end.
func TestKillUnderLoadAndStartAgain(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	out := filepath.Join(dir, "out")
	cfg := writeFile(t, dir, "c.yaml", storeSource+storeSection(dir, "")+"sinks: {out: {type: file, path: "+out+"}}\n")
	spooled := map[identity]bool{}
	for range 3 {
		p := startFerry(t, ns, "run", "-c", cfg)
		end := background(t, ns, 20_000)
		time.Sleep(500 * time.Millisecond)
		p.kill(t)
		end()
		readCopy(t, filepath.Join(dir, "spool"), spooled)
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	waitFor(t, "what was recovered", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books := p.stop(t)
	if books.sink(t, "out", "held") != 0 || books.sink(t, "out", "dropped") != 0 {
		t.Errorf("%d are held", books.sink(t, "out", "held"))
	}
	all := records(t, out)
	once := withoutRepeats(t, all)
	for _, r := range once {
		delete(spooled, identity{r.Run, r.Seq})
	}
	t.Logf("%d records, %d of them repeats", len(all), len(all)-len(once))
	if len(spooled) > 0 || len(once) < 5000 {
		t.Errorf("%d records were in the spool and are not in the file of %d", len(spooled), len(once))
	}
}

// TestReloadUnderLoadWithSpool changes, adds, removes and disables sinks while
// events come: there is no hole, and the books are one account a sink.
func TestReloadUnderLoadWithSpool(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	top := storeSource + storeSection(dir, "") + "sinks:\n"
	stays := "  stays: {type: file, path: " + dir + "/stays}\n"
	cfg := writeFile(t, dir, "c.yaml", top+stays+"  moves: {type: file, path: "+dir+"/moves1}\n  rests: {type: file, path: "+dir+"/rests}\n  goes: {type: file, path: "+dir+"/goes}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 10_000)
	time.Sleep(200 * time.Millisecond)
	writeFile(t, dir, "c.yaml", top+stays+"  moves: {type: file, path: "+dir+"/moves2}\n  rests: {enabled: false, type: file, path: "+dir+"/rests}\n  comes: {type: file, path: "+dir+"/comes}\n")
	p.sighup(t, reloaded)
	waitFor(t, "the removed sink's end", func() bool { return !strings.Contains(spoolState(t, dir), "goes") })
	if s := spoolState(t, dir); !strings.Contains(s, "rests") || !strings.Contains(s, "comes") {
		t.Errorf("cursors:\n%s", s)
	}
	writeFile(t, dir, "c.yaml", strings.Replace(top, "256MiB", "128MiB", 1)+stays)
	if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), "spool needs a restart") {
		t.Errorf("another spool is refused with %v", e)
	}
	writeFile(t, dir, "c.yaml", top+stays+"  moves: {type: file, path: "+dir+"/moves2}\n  rests: {type: file, path: "+dir+"/rests}\n  comes: {type: file, path: "+dir+"/comes}\n")
	p.sighup(t, reloaded)
	end()
	books := p.stop(t)
	all := books.sink(t, "stays", "delivered")
	if books.socket(t, "", "lost") != 0 || lines(t, filepath.Join(dir, "stays")) != all || all < 1000 {
		t.Fatalf("the sink that stayed delivered %d and has %d lines", all, lines(t, filepath.Join(dir, "stays")))
	}
	first, second := lines(t, filepath.Join(dir, "moves1")), lines(t, filepath.Join(dir, "moves2"))
	if first == 0 || second == 0 || first+second != all || books.sink(t, "moves", "delivered") != all || books.sink(t, "moves", "offered") != all {
		t.Errorf("the sink that moved has %d and %d lines of %d", first, second, all)
	}
	if n := lines(t, filepath.Join(dir, "rests")); n != all || books.sink(t, "rests", "delivered") != all || books.sink(t, "rests", "held") != 0 {
		t.Errorf("the sink that rested has %d lines of %d, %d held", n, all, books.sink(t, "rests", "held"))
	}
	if n := lines(t, filepath.Join(dir, "comes")); n == 0 || n != books.sink(t, "comes", "delivered") {
		t.Errorf("the sink that came has %d lines", n)
	}
	if n := lines(t, filepath.Join(dir, "goes")); n == 0 || books.sink(t, "goes", "delivered") != n || books.sink(t, "goes", "held") != 0 {
		t.Errorf("the sink that went has %d lines", n)
	}
}

// TestFullSpoolIsCounted has a sink that takes nothing until the cap has
// dropped segments: what it misses is what its books say.
func TestFullSpoolIsCounted(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	small := fmt.Sprintf("spool: {mode: always, dir: %s/spool, max: 1MiB, min_free: 0, segment: 256KiB, compress: none}\n", dir)
	file := "  file: {type: file, path: " + dir + "/out}\n"
	dead := "  late: {type: file, path: " + dir + "/late, drain: 100ms, retry: {initial: 10ms, max: 50ms}}\n"
	cfg := writeFile(t, dir, "c.yaml", storeSource+small+"sinks:\n"+file+dead)
	if err := os.Mkdir(filepath.Join(dir, "late"), 0o700); err != nil {
		t.Fatal(err) // a directory stands where the file would be
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	if _, err := (testnet.Churn{NS: ns, Entries: 5000, Rate: 4000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= 10_001 })
	books := p.stop(t)
	all := books.sink(t, "file", "delivered")
	dropped, held := books.sink(t, "late", "dropped"), books.sink(t, "late", "held")
	own := books.sink(t, "late", "offered") - all // gap records that it was told, and did not take yet
	if dropped == 0 || held == 0 || dropped+held != all+own || books.sink(t, "file", "dropped") != 0 {
		t.Errorf("%d dropped and %d held of %d", dropped, held, all)
	}
	if err := os.Remove(filepath.Join(dir, "late")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "c.yaml", storeSource+small+"sinks:\n"+file+strings.Replace(dead, "100ms", "30s", 1))
	p = startFerry(t, ns, "run", "-c", cfg)
	waitFor(t, "the late file", func() bool { _, err := os.Stat(filepath.Join(dir, "late")); return err == nil })
	books = p.stop(t)
	late := records(t, filepath.Join(dir, "late"))
	if n := books.sink(t, "late", "recovered"); n != held || len(late) != books.sink(t, "late", "delivered") || books.sink(t, "late", "dropped") != 0 {
		t.Errorf("%d of %d recovered, %d lines", n, held, len(late))
	}
	everything := records(t, filepath.Join(dir, "out"))
	if missed := len(everything) - len(late) + countGaps(t, filepath.Join(dir, "late")); missed != dropped {
		t.Errorf("the late file misses %d records, %d were counted", missed, dropped)
	}
}

// countGaps counts the gap records of the sink itself, which are its alone.
func countGaps(tb testing.TB, path string) (n int) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Count(string(text), `"scope":"sink"`)
}

// TestOneServiceASpool starts a second service on the same directory.
func TestOneServiceASpool(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", storeSource+storeSection(dir, "")+"sinks: {out: {type: file, path: "+dir+"/out}}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	code, _, said := run("run", "-c", cfg)
	if want := fmt.Sprintf("spool.dir: spool %s/spool: %[1]s/spool/lock: the spool is in use by another process (process %d)", dir, p.cmd.Process.Pid); code != exitError || !strings.Contains(said, want) {
		t.Errorf("code %d, %s", code, said)
	}
	if p.stop(t); len(p.said("spool closed")) != 1 {
		t.Error("the log does not tell of the spool's end")
	}
	writeFile(t, dir, "c.yaml", storeSource+storeSection(dir, "")+"sinks: {other: {type: file, path: "+dir+"/out}}\n")
	p = startFerry(t, ns, "run", "-c", cfg)
	if p.stop(t); len(p.said("spool forgets a sink that is not configured")) != 1 {
		t.Error("the cursor of a sink that was renamed is kept")
	}
}
