package sinks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// fileBuffer is how much is written at once, about. Large writes are what makes
// a file cheap.
const fileBuffer = 1 << 20

// fileSink writes framed records to one file. The outlet's courier calls Open,
// Write and Close; Run, beside it, tends what was rotated and syncs; Reopen may
// be called by anybody.
type fileSink struct {
	opt  FileOptions
	path filePath
	env  Env

	root   *os.Root // of path.base: nothing outside it can be reached, by symbolic links neither
	file   *os.File
	info   os.FileInfo // of file when it was opened, for its identity
	size   int64
	synced int64     // what stands before this is on the disk
	slot   time.Time // the rotation interval that the file belongs to
	stage  stage
	direct direct
	ahead  ahead

	reopen atomic.Bool   // open again before the next write
	tend   chan struct{} // something was rotated

	mu      sync.Mutex // guards what Run reads of the live file
	live    liveFile
	dirty   bool
	suspect error // that Run had when it synced, and nobody was told of
}

// liveFile is the file that is written now, as Run needs to know it.
type liveFile struct {
	file   *os.File
	name   string // below base
	synced int64  // what stands before this was there, or Run has synced it
}

func newFileSink(opt FileOptions, path filePath, env Env) *fileSink {
	return &fileSink{opt: opt, path: path, env: env, tend: make(chan struct{}, 1)}
}

// Reopen has the file opened anew before the next record, for whoever moved it away.
func (s *fileSink) Reopen() { s.reopen.Store(true) }

// Open opens the live file, and mends its end if a crash left half a record.
func (s *fileSink) Open(context.Context) error {
	s.kick()
	return fileError(s.open(time.Now()))
}

// Close gives the file back.
func (s *fileSink) Close(context.Context) error {
	err := s.shut()
	if s.root != nil {
		err = errors.Join(err, s.root.Close())
		s.root = nil
	}
	return err
}

// open opens what the path is now. What has been open is closed.
func (s *fileSink) open(now time.Time) error {
	if err := s.shut(); err != nil {
		return err
	}
	if s.root != nil {
		s.root.Close() // only a directory; it may have been replaced
	}
	root, err := os.OpenRoot(s.path.base)
	if err != nil {
		s.root = nil
		return err
	}
	s.root = root
	name := s.path.at(now)
	if err := s.attach(name); errors.Is(err, errForeign) {
		// Not ours to cut, nor to add to, nor to delete some day.
		if err := s.archive(name, foreignEnding, now); err != nil {
			return err
		}
		s.env.Log.Warn("file does not end with a record, set aside", "file", name)
		return s.attach(name)
	} else if err != nil {
		return err
	}
	s.slot = s.slotOf(now)
	if s.size > 0 && s.slotOf(s.info.ModTime()).Before(s.slot) {
		return s.rotate(now)
	}
	return nil
}

// attach opens a file, makes sure that nobody else writes to it, and heals it.
func (s *fileSink) attach(name string) (err error) {
	defer func() { err = s.placed(err) }()
	if dir := filepath.Dir(name); dir != "." {
		if err := s.root.MkdirAll(dir, s.opt.Mode.dir()); err != nil {
			return err
		}
	}
	there, err := s.root.Lstat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err == nil && there.Mode()&fs.ModeSymlink != 0 {
		// Through a link the path could not tell whether the file was moved.
		return &os.PathError{Op: "open", Path: name, Err: unix.ELOOP}
	}
	f, err := s.root.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND|unix.O_NONBLOCK, fs.FileMode(s.opt.Mode))
	if err != nil {
		return err
	}
	if err := s.adopt(f, name, fresh); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// placed gives an error of the root its whole path.
func (s *fileSink) placed(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) && !filepath.IsAbs(at.Path) {
		at.Path = filepath.Join(s.root.Name(), at.Path)
	}
	return err
}

func (s *fileSink) adopt(f *os.File, name string, fresh bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &os.PathError{Op: "open", Path: name, Err: unix.EISDIR}
	}
	if err := claim(s.root, f, name); err != nil {
		return err
	}
	if fresh {
		// The process's umask must not take what the configuration gives.
		if err := f.Chmod(fs.FileMode(s.opt.Mode)); err != nil {
			return err
		}
		if err := s.syncDir(name); err != nil {
			return err
		}
	}
	size, err := heal(f, s.env.Format.Framing)
	if err != nil {
		return err
	}
	s.file, s.info, s.size, s.synced = f, info, size, size
	s.ahead.begin(f)
	s.setLive(liveFile{f, name, size})
	return nil
}

// shut closes the live file, if there is one.
func (s *fileSink) shut() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	s.direct.close()
	s.ahead.end(f)
	s.setLive(liveFile{})
	err := s.lost()
	if s.opt.Fsync != FsyncNone && s.synced != s.size {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func (s *fileSink) setLive(l liveFile) {
	s.mu.Lock()
	s.live, s.dirty = l, false
	s.mu.Unlock()
}

// current is the live file's name below base, "" if none is open.
func (s *fileSink) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.name
}

// kick tells Run that there may be something to tend.
func (s *fileSink) kick() {
	select {
	case s.tend <- struct{}{}:
	default:
	}
}

// ready makes the right file the open one before a batch is written.
func (s *fileSink) ready(now time.Time) error {
	if s.file == nil || s.reopen.Swap(false) || s.moved() {
		return s.open(now)
	}
	if s.path.changes() && s.path.at(now) != s.current() {
		s.kick()
		return s.open(now)
	}
	if slot := s.slotOf(now); slot.After(s.slot) {
		s.slot = slot
		if s.size > 0 {
			return s.rotate(now)
		}
	}
	return nil
}

// moved reports whether the path leads elsewhere than to the open file, as it
// does after logrotate. It also sees what others did to the file's length
// (copytruncate).
func (s *fileSink) moved() bool {
	there, err := s.root.Lstat(s.current())
	if err != nil || !os.SameFile(there, s.info) {
		return true
	}
	if there.Size() < s.size {
		s.ahead.cut()
	}
	s.size = there.Size()
	s.synced = min(s.synced, s.size)
	return false
}

// syncDir makes a new name last, where the policy asks for it.
func (s *fileSink) syncDir(name string) error {
	if s.opt.Fsync == FsyncNone {
		return nil
	}
	dir, err := s.root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
