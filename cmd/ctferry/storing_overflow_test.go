package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks/spool"
)

// TestKillAgainAndAgain kills the program several times within each second, so
// that the file of cursors is hardly ever written between two deaths. A record
// is in the file once, or twice if a death came between its delivery and the
// note of it.
func TestKillAgainAndAgain(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	out := filepath.Join(dir, "out")
	cfg := writeFile(t, dir, "c.yaml", storeSource+storeSection(dir, "")+"sinks: {out: {type: file, path: "+out+"}}\n")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 20_000)
	for kill := range 6 {
		waitFor(t, "the file to grow", grows(t, out))
		time.Sleep(rand.N(100 * time.Millisecond))
		if kill == 5 {
			break
		}
		p.kill(t)
		p = startFerry(t, ns, "run", "-c", cfg)
	}
	end()
	waitFor(t, "what was recovered", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	p.stop(t)
	all := records(t, out)
	times, twice, more := map[identity]int{}, 0, 0
	for _, r := range all {
		switch times[identity{r.Run, r.Seq}]++; times[identity{r.Run, r.Seq}] {
		case 1:
		case 2:
			twice++
		default:
			more++
		}
	}
	t.Logf("%d records in 6 runs, %d came twice, %d more often", len(times), twice, more)
	if more > 0 || twice > 5*4096 || len(withoutRepeats(t, all)) != len(times) {
		t.Errorf("%d records came twice, %d more often", twice, more)
	}
}

// grows reports whether a file has grown since it was asked first.
func grows(t *testing.T, path string) func() bool {
	size := int64(-1)
	return func() bool {
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		was := size
		if size = info.Size(); was < 0 {
			return false
		}
		return size > was
	}
}

const overflowSinks = `
spool: {mode: overflow, dir: %[1]s/spool, max: 256MiB, min_free: 0, segment: 1MiB}
sinks:
  file: {type: file, path: %[1]s/out}
  late: {type: file, path: %[1]s/late/out, memory: 2MiB, drain: 100ms, retry: {initial: 10ms, max: 50ms}}
`

// mend puts a folder where the file stood.
func mend(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Remove(filepath.Join(dir, "late")), os.Mkdir(filepath.Join(dir, "late"), 0o700)); err != nil {
		t.Fatal(err)
	}
}

// TestOverflowStopAndStart has a sink that cannot write until its memory has
// overflowed, and a stop: what was in memory and what is on disk come in the
// next run, in their order, and nothing of the other sink was ever on disk.
func TestOverflowStopAndStart(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", storeSource+fmt.Sprintf(overflowSinks, dir))
	writeFile(t, dir, "late", "a file stands where the folder would be")
	p := startFerry(t, ns, "run", "-c", cfg)
	if _, err := (testnet.Churn{NS: ns, Entries: 5000, Rate: 10_000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= 10_001 })
	waitFor(t, "the overflow", func() bool { return strings.Contains(spoolState(t, dir), "late behind") })
	if strings.Contains(spoolState(t, dir), "file behind") {
		t.Error("records wait on disk for the sink that keeps up")
	}
	first := p.stop(t)
	held, all := first.sink(t, "late", "held"), first.sink(t, "file", "delivered")
	if first.sink(t, "late", "dropped") != 0 || held != all || !strings.Contains(spoolState(t, dir), "late.memory behind") {
		t.Errorf("%d dropped, %d held of %d; the spool:\n%s", first.sink(t, "late", "dropped"), held, all, spoolState(t, dir))
	}

	mend(t, dir)
	p = startFerry(t, ns, "run", "-c", cfg)
	waitFor(t, "what waits", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	churn(t, ns, 100)
	second := p.stop(t)
	if r, d := second.sink(t, "late", "recovered"), second.sink(t, "late", "delivered"); r != held || d != held+second.sink(t, "late", "offered") {
		t.Errorf("%d of %d recovered, %d delivered of %d", r, held, d, held+second.sink(t, "late", "offered"))
	}
	late, out := records(t, filepath.Join(dir, "late", "out")), records(t, filepath.Join(dir, "out"))
	if len(late) != len(out) || len(withoutRepeats(t, late)) != len(late) {
		t.Errorf("%d records in the late file, %d in the other", len(late), len(out))
	}
	if strings.Contains(spoolState(t, dir), ".memory") {
		t.Error("an empty place is left")
	}
}

// TestOverflowReloadUnderLoad sends SIGHUP with another configuration of the
// sink again and again, while it overflows: no hole, no repeat, one account.
func TestOverflowReloadUnderLoad(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	text := func(drain int) string {
		return storeSource + strings.Replace(fmt.Sprintf(overflowSinks, dir), "drain: 100ms", fmt.Sprintf("drain: %dms", drain), 1)
	}
	cfg := writeFile(t, dir, "c.yaml", text(100))
	writeFile(t, dir, "late", "a file stands where the folder would be")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 20_000)
	for i := range 6 {
		time.Sleep(150 * time.Millisecond)
		if i == 3 {
			mend(t, dir)
		}
		writeFile(t, dir, "c.yaml", text(101+i))
		p.sighup(t, reloaded)
	}
	end()
	waitFor(t, "what waits", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books := p.stop(t)
	late, out := records(t, filepath.Join(dir, "late", "out")), records(t, filepath.Join(dir, "out"))
	all := books.sink(t, "file", "delivered")
	if len(late) != len(out) || len(late) != all || books.sink(t, "late", "delivered") != all || books.sink(t, "late", "held") != 0 || len(withoutRepeats(t, late)) != all {
		t.Errorf("%d records in the late file, %d in the other; %d delivered of %d", len(late), len(out), books.sink(t, "late", "delivered"), all)
	}
}

// TestOverflowKill kills the program while a sink overflows: what is on disk is
// delivered by the next run, what was in memory alone is gone.
func TestOverflowKill(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", storeSource+fmt.Sprintf(overflowSinks, dir))
	writeFile(t, dir, "late", "a file stands where the folder would be")
	p := startFerry(t, ns, "run", "-c", cfg)
	end := background(t, ns, 20_000)
	waitFor(t, "the overflow", func() bool { return strings.Contains(spoolState(t, dir), "late behind") })
	p.kill(t)
	end()
	st, err := spool.ReadStatus(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	onDisk := 0
	for i := range st.Cursors {
		onDisk += int(st.Cursors[i].Lag.Records)
	}
	mend(t, dir)
	p = startFerry(t, ns, "run", "-c", cfg)
	waitFor(t, "what waits", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books := p.stop(t)
	if r := books.sink(t, "late", "recovered"); onDisk == 0 || r != onDisk || books.sink(t, "late", "held") != 0 || books.sink(t, "late", "dropped") != 0 {
		t.Errorf("%d of %d recovered", r, onDisk)
	}
	if late := records(t, filepath.Join(dir, "late", "out")); len(withoutRepeats(t, late)) < onDisk {
		t.Errorf("%d records of %d", len(late), onDisk)
	}
}
