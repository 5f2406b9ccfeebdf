package source

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestRestartTellsTheBlindInterval stops a source and starts another: the gap
// between them has its start and its end, and lies around what nobody read.
func TestRestartTellsTheBlindInterval(t *testing.T) {
	ns := tracked(t)
	dir := filepath.Join(t.TempDir(), "made", "when", "needed")
	cfg := small("socket")
	cfg.StateDir = dir
	first := start(t, ns, cfg, &keeper{})
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	blind := time.Now().UnixNano()
	fillTable(t, ns, 10)
	seen := time.Now().UnixNano()
	out := &keeper{}
	second := start(t, ns, cfg, out)
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	gaps := out.of(flow.TypeGap)
	if len(gaps) != 1 {
		t.Fatalf("%d gaps", len(gaps))
	}
	g := gaps[0].gap
	if g.Scope != "restart" || g.Source != "host" || g.Reason != "not_running" || g.Lost != nil || g.LostMax != nil {
		t.Errorf("gap %+v", g)
	}
	if g.Since == 0 || g.Since > blind || g.Until < seen || g.Until > time.Now().UnixNano() {
		t.Errorf("blind from %d to %d, the gap is from %d to %d", blind, seen, g.Since, g.Until)
	}
	if n := len(out.of(flow.TypeNew)); n != 0 {
		t.Errorf("%d events of the blind interval", n)
	}
	checkSequence(t, out)
}

// TestNotebook writes and reads back, and takes what is damaged for nothing.
func TestNotebook(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	open := func() *notebook {
		n, err := openNotebook(dir, logger)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	if at := n.until(""); at != 0 || log.Len() != 0 {
		t.Errorf("an empty directory says %d; %s", at, &log)
	}
	if _, err := openNotebook(dir, logger); err == nil || !strings.Contains(err.Error(), "source.state_dir") || !strings.Contains(err.Error(), dir) {
		t.Errorf("two processes have one state directory: %v", err)
	}
	if err := n.write(&state{Version: 1, Until: map[string]int64{"": 7, "blue": 9, "odd": -3}}); err != nil {
		t.Fatal(err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	n = open()
	if a, b, c, d := n.until(""), n.until("blue"), n.until("red"), n.until("odd"); a != 7 || b != 9 || c != 0 || d != 0 {
		t.Errorf("until %d, %d, %d, %d", a, b, c, d)
	}
	if again := n.until("blue"); again != 0 {
		t.Errorf("told twice: %d", again)
	}
	n.close()
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Errorf("files left: %v", files)
	}
	whole, _ := os.ReadFile(filepath.Join(dir, stateFile))
	for i := range len(whole) - 1 { // a write that was cut short, wherever; the last byte is the newline
		if err := os.WriteFile(filepath.Join(dir, stateFile), whole[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		n := open()
		if at := n.until(""); at != 0 || log.Len() == 0 {
			t.Errorf("%q says %d and the log %q", whole[:i], at, &log)
		}
		n.close()
	}
}

func TestNotebookElsewhere(t *testing.T) {
	if n, err := openNotebook("", slog.Default()); n != nil || err != nil || n.until("") != 0 || n.close() != nil {
		t.Errorf("no directory: %v, %v", n, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openNotebook(file, slog.Default()); err == nil || !strings.HasPrefix(err.Error(), "source.state_dir: ") {
		t.Errorf("a file is no directory: %v", err)
	}
}

// TestStateIsBehind: what a killed run leaves is a time at which all was read.
func TestStateIsBehind(t *testing.T) {
	ns := tracked(t)
	cfg := small("socket")
	cfg.StateDir = t.TempDir()
	out := &keeper{}
	r := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	time.Sleep(20 * time.Millisecond)
	release := r.stall()
	if _, err := (testnet.Churn{NS: ns, Entries: 10}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	held := r.sockets[0].whole.Load() // the lock is the stalled reader's
	release()
	eventually(t, "the events", func() bool { return len(out.of(flow.TypeDestroy)) == 10 })
	for _, e := range out.of(flow.TypeNew) {
		if e.time <= held {
			t.Errorf("an event of %d was unread at %d", e.time, held)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	var s state
	text, err := os.ReadFile(filepath.Join(cfg.StateDir, stateFile))
	if err != nil || json.Unmarshal(text, &s) != nil || !s.Clean || s.Run != "01000000000000000000000000000000" || s.Until[""] <= held {
		t.Errorf("%s: %v", text, err)
	}
}

// TestNewNamespaceIsBlindUntilItIsOpened: its gap begins when it was not there yet.
func TestNewNamespaceIsBlindUntilItIsOpened(t *testing.T) {
	own := tracked(t)
	cfg := small("socket")
	name := "ctferry-" + time.Now().Format("150405.000000")
	cfg.NetNS = []string{name}
	out := &keeper{}
	start(t, own, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	time.Sleep(50 * time.Millisecond)
	before := time.Now().UnixNano()
	ns := testnet.NewNamed(t, name)
	_ = ns
	eventually(t, "its gap", func() bool { return len(out.of(flow.TypeGap)) == 2 })
	g := out.of(flow.TypeGap)[1]
	if g.gap.Source != name || g.netns != name || g.gap.Reason != opened || g.gap.Since == 0 || g.gap.Since > before || g.gap.Until < before {
		t.Errorf("%+v", g.gap)
	}
}
