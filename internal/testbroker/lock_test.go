package testbroker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := tryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); !errors.Is(err, errLocked) {
		t.Errorf("second lock: %v, want errLocked", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); !errors.Is(err, errLocked) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lock that stays taken: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = held.Close() })
	again, err := lock(bounded(t), path)
	if err != nil {
		t.Fatalf("lock that becomes free: %v", err)
	}
	_ = again.Close()
	if _, err := tryLock(filepath.Join(path, "below a file")); err == nil {
		t.Error("lock that cannot be made: no error")
	}
}

func TestSweep(t *testing.T) {
	parent := t.TempDir()
	owned, owner, err := newFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close() //nolint:errcheck // read only
	orphaned, formerOwner, err := newFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := formerOwner.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(parent, "other-1")
	file := filepath.Join(parent, folderPrefix+"file")
	if err := errors.Join(os.Mkdir(foreign, 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sweep(parent, now)
	if !exists(orphaned) {
		t.Error("a young folder is gone: its owner might be about to lock it")
	}
	sweep(parent, now.Add(unownedAge+time.Second))
	for path, want := range map[string]bool{owned: true, orphaned: false, foreign: true, file: true} {
		if exists(path) != want {
			t.Errorf("after the sweep %s exists: %t, want %t", filepath.Base(path), !want, want)
		}
	}
}
