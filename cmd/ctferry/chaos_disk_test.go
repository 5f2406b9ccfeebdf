package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// smallDisk mounts a file system of a size, such as "4m", of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		testnet.Unavailable(t, "a full disk needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// grow makes room on a small disk.
func grow(t *testing.T, dir, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size="+size); err != nil {
		t.Fatal(err)
	}
}

const chaosDiskConfig = `
source: {buffer: {size: 16MiB, max: 64MiB}}
sinks:
  small: {type: file, path: %[1]s/out, encoding: protobuf, memory: 96MiB, rotate: {size: 0}, retry: {max: 200ms}}
  other: {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
`

// chaosDisk fills the disk below one file: the log says so, the other file goes
// on, and once there is room the first has everything.
func chaosDisk(t *testing.T, f *figures) {
	disk, dir, ns := smallDisk(t, "256k"), t.TempDir(), loadedNamespace(t)
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosDiskConfig, disk, dir)))
	l := startLoad(t, testnet.Churn{NS: ns, Rate: chaosRate()})
	p.complained(t, "no space left on device")
	full := time.Now()
	still := pacing(t, filepath.Join(dir, "out"), inLong(10*time.Second, time.Second))
	size := fileSize(t, filepath.Join(disk, "out"))
	grow(t, disk, "1g")
	waitFor(t, "the file to grow again", func() bool { return fileSize(t, filepath.Join(disk, "out")) > 2*size })
	lasted := time.Since(full)
	made := l.stop(t)
	books := p.stop(t)
	a, b := trailOfFiles(t, "protobuf", filepath.Join(disk, "out")), trailOfFiles(t, "protobuf", filepath.Join(dir, "out"))
	if a.records != made.Events() || b.records != a.records || a.repeats != 0 || books.sink(t, "small", "dropped") != 0 {
		t.Errorf("%d events: the full disk's file has %d and %d twice, the other %d", made.Events(), a.records, a.repeats, b.records)
	}
	if a.errors == 0 || b.errors != 0 {
		t.Error("the status record of the end counts no failed attempt, or the wrong sink's")
	}
	f.tell("file sink: disk full for %s, said so; %d made, %d in its file, %d in the other, which stood still %s at most; failed attempts in its status: %d",
		lasted.Round(100*time.Millisecond), made.Events(), a.records, b.records, still.Round(time.Millisecond), a.errors)
}

const chaosSpoolDiskConfig = `
source: {buffer: {size: 16MiB, max: 64MiB}}
spool: {mode: always, dir: %[1]s/spool, max: 1GiB, min_free: 0, segment: 256KiB, compress: none}
sinks:
  dead: {type: kafka, brokers: ["127.0.0.1:1"], topic: nowhere, drain: 100ms}
  file: {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
`

// chaosSpoolDisk fills the disk below the spool: first with what a dead sink
// has not read, whose oldest goes and is counted to that sink alone; then with
// what is not the spool's, so that nothing can be stored. That is said and
// counted to each sink, and ends by itself.
func chaosSpoolDisk(t *testing.T, f *figures) {
	disk, dir, ns := smallDisk(t, "3m"), t.TempDir(), loadedNamespace(t)
	out := filepath.Join(dir, "out")
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosSpoolDiskConfig, disk, dir)))
	l := startLoad(t, testnet.Churn{NS: ns, Rate: 8000})
	waitFor(t, "the oldest to go", func() bool { return len(p.said("spool is full, dropped its oldest segment")) > 0 })
	still := pacing(t, out, time.Second)
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	full := func() bool {
		_, _ = ballast.Write(make([]byte, 64<<10)) // whatever the spool lets go
		_, _ = ballast.Write(make([]byte, 512))
		return len(p.said("spool takes nothing, records are dropped")) > 0
	}
	waitFor(t, "the spool to take nothing", full)
	for end := time.Now().Add(inLong(5*time.Second, 500*time.Millisecond)); time.Now().Before(end); full() {
		time.Sleep(time.Millisecond)
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	size := fileSize(t, out)
	waitFor(t, "the file to grow again", func() bool { return fileSize(t, out) > size+200<<10 })
	made := l.stop(t)
	books := p.stop(t)
	a := trailOfFiles(t, "protobuf", out)
	dropped := books.sink(t, "file", "dropped")
	why, _ := p.said("spool takes nothing, records are dropped")[0]["err"].(string)
	if lost := books.socket(t, "", "lost"); lost != 0 || dropped == 0 || a.records+dropped < made.Events() || a.gaps != uint64(dropped) {
		t.Errorf("%d events: the file has %d, gaps for %d, %d dropped by the books; the kernel dropped %d", made.Events(), a.records, a.gaps, dropped, lost)
	}
	for _, sink := range []string{"file", "dead"} {
		o, d, x, held := books.sink(t, sink, "offered"), books.sink(t, sink, "delivered"), books.sink(t, sink, "dropped"), books.sink(t, sink, "held")
		if o != d+x+held {
			t.Errorf("sink %s: %d offered, %d delivered, %d dropped, %d held", sink, o, d, x, held)
		}
		f.tell("sink %s: %d offered = %d delivered + %d dropped + %d held", sink, o, d, x, held)
	}
	f.tell("%d made, %d in the file, %d told as gaps; file still for %s while only the dead sink's frames went; the log: %s",
		made.Events(), a.records, a.gaps, still.Round(time.Millisecond), why)
}
