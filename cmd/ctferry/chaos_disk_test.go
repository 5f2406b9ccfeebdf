package main

import (
	"fmt"
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
