package sinks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ctferry/ctferry/encode"
	"golang.org/x/sys/unix"
)

// Write appends the batch's records, whole ones only: what a full disk cut
// short is taken back. With fsync: every_batch it returns when they are on the disk.
func (s *fileSink) Write(_ context.Context, b *Batch) error {
	if err := s.ready(time.Now()); err != nil {
		return fileError(err)
	}
	p := filePass{s: s, b: b}
	if b.frames != nil && s.opt.Direct != DirectAuto {
		return fileError(p.lend())
	}
	return fileError(p.gather())
}

// filePass is the way of one batch into the file.
type filePass struct {
	s       *fileSink
	b       *Batch
	written int // records before this one are in the file
	acked   int // and before this one are acknowledged
}

// lend writes records as they stand in the queue.
func (p *filePass) lend() error {
	for _, f := range p.b.frames {
		for f.records > 0 {
			part, err := p.room(f)
			if err != nil {
				return err
			}
			p.s.ahead.want(p.s.file, p.s.size, len(part.bytes), int64(p.s.opt.Rotate.Size))
			n, err := p.s.file.Write(part.bytes)
			if err != nil {
				return errors.Join(err, p.takeBack(n))
			}
			p.wrote(n, p.written+part.records)
			f.records -= part.records
			f.bytes = f.bytes[n:]
		}
	}
	return p.sync()
}

// room gives the part of frames that the file has room for, and rotates where it is full.
func (p *filePass) room(f frames) (frames, error) {
	s, limit := p.s, int64(p.s.opt.Rotate.Size)
	if limit == 0 || s.size+int64(len(f.bytes)) <= limit {
		return f, nil
	}
	part := frames{}
	for size := int64(0); part.records < f.records; part.records++ {
		size += framedLen(s.env.Format.Framing, p.b.Records[p.written+part.records].Value)
		if s.size+size > limit && (s.size > 0 || part.records > 0) {
			break
		}
		part.bytes = f.bytes[:size]
	}
	if part.records > 0 {
		return part, nil
	}
	if err := p.turn(); err != nil {
		return part, err
	}
	return p.room(f)
}

// turn begins a new file.
func (p *filePass) turn() error {
	if err := p.sync(); err != nil {
		return err
	}
	return p.s.rotate(time.Now())
}

// gather writes records that stand anywhere, some at once.
func (p *filePass) gather() error {
	s := p.s
	if s.stage.mem == nil {
		s.stage = newStage(fileBuffer)
	}
	s.stage.begin(s.size)
	for i := range p.b.Records {
		if err := p.add(i); err != nil {
			return err
		}
	}
	if err := p.flush(len(p.b.Records)); err != nil {
		return err
	}
	return p.sync()
}

// add frames a record, and writes and rotates when it is time.
func (p *filePass) add(i int) error {
	s, value := p.s, p.b.Records[i].Value
	if s.opt.Rotate.Size > 0 && p.over(value) {
		if err := p.rotate(i); err != nil {
			return err
		}
	}
	if most := len(value) + binary.MaxVarintLen64; !s.stage.fits(most) {
		if err := p.flush(i); err != nil {
			return err
		}
		if !s.stage.fits(most) {
			s.stage.widen(most)
		}
	}
	s.stage.add(s.env.Format.Framing, value)
	return nil
}

// over reports whether the file would be too long with one more record. The
// first is never too long.
func (p *filePass) over(value []byte) bool {
	s := p.s
	before := s.size + int64(s.stage.size())
	most := before + int64(len(value)+binary.MaxVarintLen64)
	limit := int64(s.opt.Rotate.Size)
	return most > limit && before > 0 && before+framedLen(s.env.Format.Framing, value) > limit
}

// rotate writes what is before record i, and begins a new file.
func (p *filePass) rotate(i int) error {
	if err := p.flush(i); err != nil {
		return err
	}
	if err := p.turn(); err != nil {
		return err
	}
	p.s.stage.begin(p.s.size)
	return nil
}

// flush writes what is staged: the records from p.written to to.
func (p *filePass) flush(to int) error {
	s := p.s
	if s.stage.size() == 0 {
		return nil
	}
	n, err := s.put()
	if err != nil {
		s.stage.begin(0)
		return errors.Join(err, p.takeBack(n))
	}
	p.wrote(n, to)
	s.stage.begin(s.size)
	return nil
}

// wrote notes n bytes more, and that the records up to to are in the file.
func (p *filePass) wrote(n, to int) {
	p.s.size += int64(n)
	p.written = to
	p.s.soil()
	if p.s.opt.Fsync != FsyncBatch {
		p.ack()
	}
}

// takeBack removes what a write that failed after n bytes left: half a record
// or, where nothing counts before it is synced, all of it.
func (p *filePass) takeBack(n int) error {
	s := p.s
	whole := int64(0)
	for i := p.written; i < len(p.b.Records); i++ {
		next := whole + framedLen(s.env.Format.Framing, p.b.Records[i].Value)
		if next > int64(n) {
			break
		}
		whole = next
		p.written++
	}
	if s.opt.Fsync == FsyncBatch {
		return s.cut(s.synced)
	}
	s.soil()
	p.ack()
	return s.cut(s.size + whole)
}

// cut makes the file as long as it should be. If that fails, or would make it longer
// because somebody has emptied it since the batch began, the file is closed and Open
// will heal it.
func (s *fileSink) cut(size int64) error {
	s.size = size
	s.ahead.cut()
	if info, err := s.file.Stat(); err == nil && info.Size() < size {
		return s.shut()
	}
	if err := s.file.Truncate(size); err != nil {
		return errors.Join(err, s.shut())
	}
	return nil
}

// sync asks the disk, where records are acknowledged only then.
func (p *filePass) sync() error {
	s := p.s
	if s.opt.Fsync != FsyncBatch || s.synced == s.size {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		// A second fsync of the same file may say yes to what was lost, so it
		// is taken back and the file opened anew.
		err = errors.Join(err, s.cut(s.synced))
		s.synced = s.size
		return errors.Join(err, s.shut())
	}
	s.synced = s.size
	p.ack()
	return nil
}

func (p *filePass) ack() {
	for ; p.acked < p.written; p.acked++ {
		p.b.Done(p.acked)
	}
}

// soil notes that there is something to sync.
func (s *fileSink) soil() {
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
}

func framedLen(framing encode.Framing, record []byte) int64 {
	if framing == encode.Delimited {
		return int64(uvarintLen(uint64(len(record))) + len(record))
	}
	return int64(len(record)) + 1
}

// fileError gives an error its class: a path or a permission that is wrong
// stays wrong until somebody mends it; a full, read-only or failing disk may
// come back.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Class: Retry, Err: err}
	for _, errno := range []error{unix.EACCES, unix.EPERM, unix.ENOENT, unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENAMETOOLONG} {
		if errors.Is(err, errno) {
			e.Class, e.Reopen = Configuration, true
		}
	}
	return e
}

// claim locks a file for this writer, for as long as it is open, and makes sure
// that it still stands under its name: whoever had it before may have rotated it.
func claim(root interface {
	Lstat(string) (os.FileInfo, error)
}, f *os.File, name string) error {
	if err := lock(f, name, unix.LOCK_EX); err != nil {
		return err
	}
	open, err := f.Stat()
	if err != nil {
		return err
	}
	if there, err := root.Lstat(name); err != nil || !os.SameFile(open, there) {
		return fmt.Errorf("%s was replaced while it was opened: %w", name, unix.EAGAIN)
	}
	return nil
}

// lock takes a lock of the whole file, flock(2)'s LOCK_EX or LOCK_SH, without
// waiting for it. On a file system without locks the name has to do.
func lock(f *os.File, name string, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = unix.Flock(int(fd), how|unix.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(locked, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s is being written by somebody else: %w", name, locked)
	}
	return nil
}
