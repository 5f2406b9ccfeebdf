package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// partEnding is of a file that is not complete. One that a crash left is
// written over, as long as what it was made of is still there.
const partEnding = ".part"

// compress replaces a rotated file by its compressed form, which is complete
// and on the disk before it has its name. Of both, after a crash, the plain one goes.
func (s *fileSink) compress(ctx context.Context, root *os.Root, f rotated) error {
	from, err := root.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer from.Close()
	if err := claim(root, from, f.name); err != nil {
		return nil // somebody still writes to it, or compresses it too
	}
	to := f.name + s.opt.Rotate.Compress.extension()
	if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		if err := s.compressTo(ctx, root, from, to); err != nil {
			return fmt.Errorf("compress %s: %w", f.name, errors.Join(err, ignoreAbsent(root.Remove(to+partEnding))))
		}
	}
	return root.Remove(f.name)
}

func (s *fileSink) compressTo(ctx context.Context, root *os.Root, from *os.File, to string) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	part := to + partEnding
	out, err := root.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(s.opt.Mode))
	if err != nil {
		return err
	}
	if err := errors.Join(s.pack(ctx, out, from), out.Chmod(info.Mode().Perm()), out.Sync(), out.Close()); err != nil {
		return err
	}
	// Its age is that of its content.
	if err := root.Chtimes(part, info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	return root.Rename(part, to)
}

// pack compresses with one goroutine and little memory: the packets that are
// being counted need the processors more.
func (s *fileSink) pack(ctx context.Context, to io.Writer, from io.Reader) error {
	w, err := s.opt.Rotate.Compress.writer(to)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, &untilDone{ctx, from}, make([]byte, 128<<10))
	return errors.Join(err, w.Close())
}

// writer compresses what is written to it.
func (c FileCompress) writer(to io.Writer) (io.WriteCloser, error) {
	if c == CompressGzip {
		return gzip.NewWriterLevel(to, gzip.BestSpeed)
	}
	return zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx  context.Context
	from io.Reader
}

func (r *untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
