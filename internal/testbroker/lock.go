package testbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// errLocked is returned by tryLock when another open file holds the lock.
var errLocked = errors.New("locked by another process")

// tryLock takes an exclusive flock(2) on path, which is created. The kernel drops the lock when the returned file is closed or this
// process dies; Go opens files close-on-exec, so no child keeps it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// lock is tryLock that waits until the lock is free or ctx ends.
func lock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// sleep waits for d or for the end of ctx, whose cause it returns.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const (
	folderPrefix = "ctferry-kafka-"
	ownerFile    = "owner.lock"
	// unownedAge is the age from which a folder without an owner is litter; a younger one may be about to be locked.
	unownedAge = time.Minute
)

// newFolder makes a folder below parent that belongs to this process while the returned lock is open.
func newFolder(parent string) (string, *os.File, error) {
	dir, err := os.MkdirTemp(parent, folderPrefix)
	if err != nil {
		return "", nil, err
	}
	owner, err := tryLock(filepath.Join(dir, ownerFile))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, owner, nil
}

// sweep removes the folders of newFolder below parent whose process is gone.
func sweep(parent string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*")) // the pattern is constant but for parent: at worst nothing matches
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < unownedAge {
			continue
		}
		owner, err := tryLock(filepath.Join(dir, ownerFile))
		if err != nil {
			continue // it lives, or it is another user's
		}
		_ = os.RemoveAll(dir)
		_ = owner.Close()
	}
}
