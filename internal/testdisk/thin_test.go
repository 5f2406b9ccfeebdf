package testdisk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThin proves that the disk does what disks do: it takes bytes, says once that
// they could not be written, then that all is well, and does not have them.
func TestThin(t *testing.T) {
	d := NewThin(t)
	path := filepath.Join(d.Dir, "f")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	block, written, synced := bytes.Repeat([]byte{1}, 20_091), 0, 0
	for err == nil && written < 16<<20 {
		synced = written
		if _, err = f.Write(block); err != nil {
			t.Fatal(err)
		}
		written += len(block)
		err = f.Sync()
	}
	if !errors.Is(err, unix.EIO) && !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("%d bytes synced: %v", written, err)
	}
	d.Keep(t)
	if err := f.Sync(); err != nil {
		t.Fatalf("the error is told twice: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	d.Remount(t)
	after, err := os.ReadFile(path)
	inMemory, onDisk := bytes.Count(before, []byte{1}), bytes.Count(after, []byte{1})
	if err != nil || inMemory != written || onDisk >= written || onDisk < synced {
		t.Errorf("%d bytes synced and %d written, %d in memory, %d on the disk: %v", synced, written, inMemory, onDisk, err)
	}
}
