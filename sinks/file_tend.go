package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tendEvery is how often rotated files are looked at though nothing was rotated: they grow old too.
const tendEvery = time.Minute

// rotated is a file that was put aside.
type rotated struct {
	name  string // below base
	size  int64
	last  time.Time // last written
	plain bool      // not compressed
}

// Run compresses what was rotated, deletes what the bounds no longer allow and
// syncs the live file, none of it in the writer's way. What is to be done is
// read from the directory each time, so a crash forgets nothing.
func (s *fileSink) Run(ctx context.Context) error {
	trouble := sampler{log: s.env.Log}
	tend := time.NewTicker(tendEvery)
	defer tend.Stop()
	var sync <-chan time.Time
	if s.opt.Fsync == FsyncInterval {
		ticker := time.NewTicker(s.opt.FsyncInterval)
		defer ticker.Stop()
		sync = ticker.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-sync:
			err = s.syncLive()
		case <-tend.C:
			err = s.tendRotated(ctx, time.Now())
		case <-s.tend:
			err = s.tendRotated(ctx, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			trouble.tell(slog.LevelError, "rotated or synced files need attention", "err", err)
		}
	}
}

// syncLive syncs the live file if something was written to it. If that fails,
// what was written since it last succeeded may be lost, though it is acknowledged:
// the kernel says so once, and then that all is well. The next Write fails for it,
// and the file is opened anew.
func (s *fileSink) syncLive() error {
	s.mu.Lock()
	l, dirty := s.live, s.dirty
	s.dirty = false
	s.mu.Unlock()
	if l.file == nil || !dirty {
		return nil
	}
	info, err := l.file.Stat()
	if err == nil {
		err = l.file.Sync()
	}
	if errors.Is(err, os.ErrClosed) {
		return nil // whoever closed it has synced it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.suspect = fmt.Errorf("what was written behind byte %d of %s may be lost: %w", l.synced, l.name, err)
		s.Reopen()
	} else if s.live.file == l.file {
		s.live.synced = info.Size()
	}
	return err
}

// lost tells, once, of what may be lost because a sync failed.
func (s *fileSink) lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.suspect
	s.suspect = nil
	return err
}

// tendRotated compresses first, so that the bounds apply to what then remains.
func (s *fileSink) tendRotated(ctx context.Context, now time.Time) error {
	root, err := os.OpenRoot(s.path.base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Open says so
	} else if err != nil {
		return err
	}
	defer root.Close()
	files, err := s.list(root)
	if err != nil {
		return err
	}
	var faults []error
	if s.opt.Rotate.Compress != CompressNone {
		for _, f := range files {
			if f.plain && ctx.Err() == nil {
				faults = append(faults, s.compress(ctx, root, f))
			}
		}
		if files, err = s.list(root); err != nil {
			return err
		}
	}
	for _, f := range s.excess(files, s.liveSize(root), now) {
		faults = append(faults, remove(root, f))
	}
	return errors.Join(faults...)
}

func (s *fileSink) liveSize(root *os.Root) int64 {
	if info, err := root.Lstat(s.current()); err == nil {
		return info.Size()
	}
	return 0
}

// excess picks what goes: the oldest, until every bound holds.
func (s *fileSink) excess(files []rotated, live int64, now time.Time) []rotated {
	slices.SortFunc(files, func(a, b rotated) int {
		return cmp.Or(b.last.Compare(a.last), strings.Compare(b.name, a.name))
	})
	bounds := s.opt.Rotate
	for i, f := range files {
		live += f.size
		if bounds.Keep > 0 && i >= bounds.Keep ||
			bounds.MaxAge > 0 && now.Sub(f.last) > bounds.MaxAge ||
			bounds.MaxTotal > 0 && live > int64(bounds.MaxTotal) {
			return files[i:]
		}
	}
	return nil
}

// remove deletes a file unless somebody holds it, and the directories that are
// then empty: a path that begins with the day would leave one every day.
func remove(root *os.Root, f rotated) error {
	file, err := root.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	if err := claim(root, file, f.name); err != nil {
		return err
	}
	if err := root.Remove(f.name); err != nil {
		return err
	}
	for dir := path.Dir(f.name); dir != "."; dir = path.Dir(dir) {
		if root.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}

// list finds the rotated files: exactly what this sink's path can become, and
// nothing else that lies beside it.
func (s *fileSink) list(root *os.Root) ([]rotated, error) {
	dirs := []string{"."}
	for i := range len(s.path.elements) - 1 {
		var err error
		if dirs, err = s.descend(root, dirs, i); err != nil {
			return nil, err
		}
	}
	var files []rotated
	for _, dir := range dirs {
		found, err := s.listDir(root, dir)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// descend finds the directories in dirs that element i of the path can be.
func (s *fileSink) descend(root *os.Root, dirs []string, i int) (below []string, err error) {
	re, err := regexp.Compile("^" + s.path.pattern(i) + "$")
	if err != nil {
		return nil, fmt.Errorf("list rotated files: %w", err)
	}
	for _, dir := range dirs {
		entries, err := readDir(root, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() && re.MatchString(e.Name()) {
				below = append(below, path.Join(dir, e.Name()))
			}
		}
	}
	return below, nil
}

func (s *fileSink) listDir(root *os.Root, dir string) ([]rotated, error) {
	re, err := s.path.rotatedPattern()
	if err != nil {
		return nil, fmt.Errorf("list rotated files: %w", err)
	}
	entries, err := readDir(root, dir)
	if err != nil {
		return nil, err
	}
	var files []rotated
	for _, e := range entries {
		match := re.FindStringSubmatch(e.Name())
		name := path.Join(dir, e.Name())
		if match == nil || !e.Type().IsRegular() || name == s.current() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		files = append(files, rotated{name: name, size: info.Size(), last: info.ModTime(), plain: match[1] == ""})
	}
	return files, nil
}

// rotatedPattern matches the last element of a rotated file's path; its first
// group is the ending that compression gave.
func (p filePath) rotatedPattern() (*regexp.Regexp, error) {
	ext := regexp.QuoteMeta(p.extension())
	stem := strings.TrimSuffix(p.pattern(len(p.elements)-1), ext)
	stamp := `-\d{8}T\d{6}\.\d{3}Z`
	if p.changes() {
		stamp = "(?:" + stamp + ")?" // the path itself told the time
	}
	return regexp.Compile("^" + stem + stamp + ext + `(\.gz|\.zst)?$`)
}

func readDir(root *os.Root, dir string) ([]os.DirEntry, error) {
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
