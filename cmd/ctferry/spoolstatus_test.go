package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/sinks/spool"
)

func TestTellSpool(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	st := spool.Status{
		Dir: "/s", Segments: 3, Bytes: 5 << 20, Max: 10 << 30, Free: 1536, MinFree: 1 << 30, Frames: 20, Records: 4000, Damaged: true,
		Cursors: []spool.CursorStatus{
			{Name: "archive", Next: 20},
			{Name: "siem", Next: 7, Lag: spool.Tally{Frames: 13, Records: 2600, Bytes: 70_000}, Oldest: now.Add(-90 * time.Second),
				Losses: spool.Losses{Dropped: spool.Tally{Records: 11}, Damaged: spool.Tally{Records: 2}, Refused: spool.Tally{Records: 1}}},
		},
	}
	var out bytes.Buffer
	if err := tellSpool(&out, &st, false, now); err != nil {
		t.Fatal(err)
	}
	const want = `/s: 3 segments, 5.0 MiB of 10GiB, 1.5 KiB free, keeps 1GiB
4000 records in 20 frames ever stored
the file of cursors is damaged: every sink will begin with the oldest frame
     sink  next frame   lag     bytes    age  dropped  damaged  refused
  archive          20     0       0 B      -        0        0        0
     siem           7  2600  68.4 KiB  1m30s       11        2        1
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

// TestSpoolStatus asks while the service runs, and after it.
func TestSpoolStatus(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", storeSource+storeSection(dir, "")+"sinks: {out: {type: file, path: "+dir+"/out}, away: {type: kafka, brokers: [127.0.0.1:1], topic: t, drain: 100ms}}\n")
	if code, _, said := run("spool", "status", "-c", cfg); code != exitError || !strings.Contains(said, "there is no spool in "+dir) {
		t.Errorf("before there is one: %d %s", code, said)
	}
	p := startFerry(t, ns, "run", "-c", cfg)
	churn(t, ns, 300)
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) == 602 })
	if code, out, said := run("spool", "status", "-c", cfg); code != exitOK || !strings.Contains(out, "away") || !strings.Contains(out, " of 256MiB") {
		t.Errorf("while it runs: %d %s %s", code, out, said)
	}
	held := p.stop(t).sink(t, "away", "held")
	code, out, said := run("spool", "status", "--dir", dir+"/spool", "--json")
	var st spool.Status
	if err := json.Unmarshal([]byte(out), &st); code != exitOK || err != nil {
		t.Fatalf("%d %s %s: %v", code, out, said, err)
	}
	if len(st.Cursors) != 2 || int(st.Cursors[0].Lag.Records) != held || st.Cursors[0].Oldest.IsZero() || st.Cursors[1].Lag.Records != 0 || held != 603 {
		t.Errorf("%d are held: %+v", held, st)
	}
}

func TestSpoolUsage(t *testing.T) {
	for _, args := range [][]string{{"spool", "status", "x"}, {"spool", "empty"}, {"spool", "status", "-c", "/nowhere.yaml"}, {"spool", "status", "--dir", "/a", "-c", "b"}} {
		if code, _, said := run(args...); code != exitUsage || said == "" {
			t.Errorf("%q: code %d, %s", args, code, said)
		}
	}
}
