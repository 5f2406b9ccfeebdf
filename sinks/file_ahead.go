package sinks

import (
	"os"

	"golang.org/x/sys/unix"
)

// The bounds of what is allocated ahead: never more than a part of what a file holds
// already, so that no small file takes room that it has no use for.
const (
	aheadPart  = 16 // of the file's size
	aheadLeast = 1 << 20
	aheadMost  = 64 << 20
)

// ahead allocates blocks of the live file before they are written, behind its end,
// which stays where it is. On ext4 a page that is written where blocks are costs a
// third less: nothing must be reserved for it. Other file systems are left alone; XFS
// does it by itself, and Btrfs would not compress what is allocated. What was allocated
// in vain is given back when the file is closed or, after a crash, opened again.
type ahead struct {
	here    bool  // the file system is one for this
	refused bool  // it would not, a while ago
	until   int64 // there are blocks for what stands before
}

// begin looks at a file that was opened, and gives back what a crash left.
func (a *ahead) begin(f *os.File) {
	*a = ahead{}
	control(f, func(fd int) {
		var fs unix.Statfs_t
		a.here = unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.EXT4_SUPER_MAGIC
	})
	a.end(f)
}

// want makes room for n bytes more behind size, and for what may follow in a file that
// grows to limit bytes, 0 for any. What cannot be had is not asked for again before the
// file is shorter, or another: the write itself will tell what is wrong.
func (a *ahead) want(f *os.File, size int64, n int, limit int64) {
	need := size + int64(n)
	chunk := min(need/aheadPart, aheadMost)
	if !a.here || a.refused || need <= a.until || chunk < aheadLeast {
		return
	}
	from, to := max(size, a.until), need+chunk
	if limit > 0 {
		to = max(need, min(to, limit))
	}
	control(f, func(fd int) {
		a.refused = unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, from, to-from) != nil
	})
	a.until = to
	if a.refused {
		a.end(f) // a full disk gave what it had left, which others may need
	}
}

// end gives back what nothing was written into. The file stays as long as it is,
// whoever made it so.
func (a *ahead) end(f *os.File) {
	a.until = 0
	if !a.here {
		return
	}
	control(f, func(fd int) {
		const unit = 512 // bytes, of Blocks: stat(2)
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Blocks*unit >= st.Size+aheadLeast/2 {
			_ = unix.Ftruncate(fd, st.Size) // if it fails the blocks stay: nothing is lost by that
		}
	})
}

// cut notes that the file ends elsewhere now, with nothing behind it.
func (a *ahead) cut() { a.refused, a.until = false, 0 }

func control(f *os.File, do func(fd int)) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // a file that is closed wants nothing
	}
}
