package control

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// errNoAudit is told where a write is to be audited and the configuration names no file.
var errNoAudit = errors.New("path: expected a file, since writes are allowed")

// auditFile is a file of lines that is begun anew when it is full.
type auditFile struct {
	cfg  Audit
	file *os.File
	size int64
}

// open opens the file, readable by owner and group, and mends a last line that
// a crash left torn by ending it.
func (f *auditFile) open() error {
	if f.file != nil {
		return nil
	}
	if f.cfg.Path == "" {
		return errNoAudit
	}
	file, err := os.OpenFile(f.cfg.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	f.file = file
	if err = f.share(); err == nil {
		err = f.ready()
	}
	if err != nil {
		return errors.Join(err, f.close())
	}
	return nil
}

// share makes sure that no file sink has the file, however its path is spelled: it
// would be cut and put aside. A file system without locks cannot tell.
func (f *auditFile) share() error {
	if err := unix.Flock(int(f.file.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s is being written by somebody else: %w", f.cfg.Path, err)
	}
	return nil
}

func (f *auditFile) ready() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	if f.size == 0 {
		return syncDir(f.cfg.Path)
	}
	var last [1]byte
	if _, err := f.file.ReadAt(last[:], f.size-1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if last[0] != '\n' {
		return f.write([]byte{'\n'})
	}
	return nil
}

// endBytes is how much of the file end gives.
const endBytes = 1 << 20

// end gives the last lines of the file, if it is open. The first may be torn.
func (f *auditFile) end() []byte {
	if f.file == nil {
		return nil
	}
	b := make([]byte, min(f.size, endBytes))
	n, _ := f.file.ReadAt(b, f.size-int64(len(b))) // as much as can be read
	return b[:n]
}

// append appends a line. With sync it is on the disk when there is no error;
// with an error nothing of it is in the file, as far as that can be had.
func (f *auditFile) append(line []byte, sync bool) error {
	if err := f.open(); err != nil {
		return err
	}
	if most := int64(f.cfg.Max); most > 0 && f.size > 0 && f.size+int64(len(line)) > most {
		if err := f.rotate(); err != nil {
			return fmt.Errorf("begin the file anew: %w", err)
		}
	}
	if err := f.write(line); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		// Asked again, the kernel would say that all is well, and what was not carried
		// out must not stand there. What comes next writes the page anew in which it began.
		return errors.Join(err, f.takeBack(len(line)), f.close())
	}
	return nil
}

// write writes all of b or, if it can be helped, nothing.
func (f *auditFile) write(b []byte) error {
	n, err := f.file.Write(b)
	f.size += int64(n)
	if err == nil {
		return nil
	}
	if n > 0 {
		if undo := f.takeBack(n); undo != nil {
			return errors.Join(err, undo, f.close()) // opening mends the torn line
		}
	}
	return err
}

// takeBack cuts off the last n bytes. The file may be shorter than it was: others
// may have emptied it.
func (f *auditFile) takeBack(n int) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = max(0, info.Size()-int64(n))
	return f.file.Truncate(f.size)
}

// rotate renames the files, each to the next number, the last one away, and
// begins a new one.
func (f *auditFile) rotate() error {
	if err := errors.Join(f.file.Sync(), f.close()); err != nil {
		return err
	}
	name := func(n int) string {
		if n == 0 {
			return f.cfg.Path
		}
		return f.cfg.Path + "." + strconv.Itoa(n)
	}
	if f.cfg.Keep == 0 {
		if err := os.Remove(f.cfg.Path); err != nil {
			return err
		}
		return f.open()
	}
	for n := f.cfg.Keep; n > 0; n-- {
		if err := os.Rename(name(n-1), name(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return f.open()
}

func (f *auditFile) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// syncDir makes a file's name durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
