package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// sighup reloads and waits until the program says what it made of it.
func (p *process) sighup(tb testing.TB, want string) map[string]any {
	tb.Helper()
	n := len(p.said(want))
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		tb.Fatal(err)
	}
	waitFor(tb, want, func() bool { return len(p.said(want)) > n })
	return p.said(want)[n]
}

const (
	reloaded    = "configuration reloaded"
	notReloaded = "configuration not reloaded, the old one stays"
)

// background keeps making entries until the test ends it; the function that it
// gives does that and answers how many events there were.
func background(t *testing.T, ns *testnet.Namespace, rate int) (end func() int) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan int, 1)
	go func() {
		events := 0
		for {
			select {
			case <-stop:
				done <- events
				return
			default:
			}
			made, err := testnet.Churn{NS: ns, Entries: 500, Rate: rate}.Run(t.Context())
			events += made.Events()
			if err != nil {
				t.Error(err)
				done <- events
				return
			}
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}

// TestReloadUnderLoadLosesNothing changes, adds and removes sinks while events
// come: what stays gets every event, and what changed has no hole.
func TestReloadUnderLoadLosesNothing(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	source := "source: {buffer: {size: 8MiB, max: 8MiB}}\n"
	stays := "  stays: {type: file, path: " + dir + "/stays}\n"
	cfg := writeFile(t, dir, "c.yaml", source+"sinks:\n"+stays+"  moves: {type: file, path: "+dir+"/moves1}\n  goes: {type: file, path: "+dir+"/goes}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 10_000)
	time.Sleep(200 * time.Millisecond)

	writeFile(t, dir, "c.yaml", source+"sinks:\n"+stays+"  moves: {type: file, path: "+dir+"/moves2}\n  comes: {type: file, path: "+dir+"/comes}\n")
	p.sighup(t, reloaded)
	time.Sleep(200 * time.Millisecond)

	writeFile(t, dir, "c.yaml", source+"sinks:\n  stays: {type: file, pth: x}\n")
	if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), "c.yaml:3:23: sinks.stays.pth") {
		t.Errorf("a wrong configuration is refused with %v", e)
	}
	writeFile(t, dir, "c.yaml", "node: other\n"+source+"sinks:\n"+stays)
	if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), "node needs a restart") {
		t.Errorf("a node's new name is refused with %v", e)
	}
	made := end()
	books := p.stop(t)

	if lost := books.socket(t, "", "lost"); lost != 0 {
		t.Fatalf("the kernel dropped %d events", lost)
	}
	all := books.sink(t, "stays", "delivered")
	own := all - made // three statuses (start, one reload, stop) and the gap of the start
	if own != 4 || lines(t, filepath.Join(dir, "stays")) != all {
		t.Errorf("%d events were made; the sink that stayed delivered %d and has %d lines", made, all, lines(t, filepath.Join(dir, "stays")))
	}
	first, second := lines(t, filepath.Join(dir, "moves1")), lines(t, filepath.Join(dir, "moves2"))
	if first == 0 || second == 0 || first+second != all || books.sink(t, "moves", "delivered") != all {
		t.Errorf("the sink that moved has %d and %d lines of %d", first, second, all)
	}
	if n := lines(t, filepath.Join(dir, "comes")); n == 0 || n >= all || n != second {
		t.Errorf("the sink that came has %d lines, the one that moved then has %d", n, second)
	}
	if n := lines(t, filepath.Join(dir, "goes")); n == 0 || n != first || books.sink(t, "goes", "delivered") != n {
		t.Errorf("the sink that went has %d lines, the one that moved then had %d", n, first)
	}
}

// TestReloadReopensFiles is logrotate's way: the file is moved away, and SIGHUP
// makes a new one; no line is lost or torn.
func TestReloadReopensFiles(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	path := filepath.Join(dir, "flows")
	cfg := writeFile(t, dir, "c.yaml", "source: {buffer: {size: 8MiB, max: 8MiB}}\nsinks: {out: {type: file, path: "+path+"}}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	churn(t, ns, 300)
	waitFor(t, "the lines", func() bool { return linesSoFar(t, path) == 602 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	p.sighup(t, reloaded)
	churn(t, ns, 300)
	books := p.stop(t)
	if got, want := lines(t, path)+lines(t, path+".1"), books.sink(t, "out", "delivered"); got != want || want != 1204 {
		t.Errorf("%d lines of %d", got, want)
	}
}

// TestTermInTheMiddleOfLoad: what was read is delivered or counted, and the
// program ends within its deadline.
func TestTermInTheMiddleOfLoad(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	path := filepath.Join(dir, "flows")
	cfg := writeFile(t, dir, "c.yaml", "source: {buffer: {size: 8MiB, max: 8MiB}}\nsinks: {out: {type: file, path: "+path+"}}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 0)
	time.Sleep(300 * time.Millisecond)
	books := p.stop(t)
	end()
	emitted := books.socket(t, "", "emitted")
	delivered, dropped := books.sink(t, "out", "delivered"), books.sink(t, "out", "dropped")
	if emitted == 0 || delivered+dropped < emitted || lines(t, path) != delivered || books.sink(t, "out", "held") != 0 {
		t.Errorf("%d events were handed on; %d delivered, %d dropped, %d lines", emitted, delivered, dropped, lines(t, path))
	}
}

// TestReloadsLeakNothing changes a sink again and again: no descriptor and no
// queue stays behind.
func TestReloadsLeakNothing(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	config := func(i int) string {
		return fmt.Sprintf("source: {buffer: {size: 8MiB, max: 8MiB}}\nsinks: {out: {type: file, path: %s/%d}, away: {type: nats, urls: [nats://127.0.0.1:1], drain: %dms}}\n", dir, i%2, 10+i)
	}
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", config(0)))
	waitFor(t, "the file", func() bool { _, err := os.Stat(filepath.Join(dir, "0")); return err == nil })
	before, pid := openFiles(t, p.cmd.Process.Pid), p.cmd.Process.Pid
	for i := range 30 {
		writeFile(t, dir, "c.yaml", config(i+1))
		p.sighup(t, reloaded)
	}
	waitFor(t, "the old sinks to let go", func() bool { return openFiles(t, pid) <= before+2 })
	// Thirty changes of two sinks made sixty queues of 32 MiB.
	if peak := residentPeak(t, pid); peak > 512<<10 {
		t.Errorf("%d MiB were resident", peak>>10)
	}
	books := p.stop(t)
	if got, want := lines(t, filepath.Join(dir, "0"))+lines(t, filepath.Join(dir, "1")), books.sink(t, "out", "delivered"); got != want || want != 33 {
		t.Errorf("%d lines of %d: expected a start and its gap, thirty reloads and a stop", got, want)
	}
	if n := books.sink(t, "away", "dropped"); n != 33 {
		t.Errorf("the sink that was always away has %d records in its account", n)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
