package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// FileOptions are the keys of a sink of type file.
//
// The live file always stands under its own name, so that it can be followed;
// rotated files get the time of their rotation into their name
// (flows-20260102T030405.678Z.jsonl), and an ending when they are compressed.
type FileOptions struct {
	Path          string        `koanf:"path"` // may hold %Y %m %d %H %M %S %y %j (UTC), {node} and {sink}
	Base          string        `koanf:"base"` // the file never leaves this directory; default: the path's fixed directories
	Mode          FileMode      `koanf:"mode"` // of files; directories below base get the same with the right to search
	Rotate        FileRotate    `koanf:"rotate"`
	Fsync         FileFsync     `koanf:"fsync"`
	FsyncInterval time.Duration `koanf:"fsync_interval"`
	Direct        FileDirect    `koanf:"direct"`
}

// FileRotate says when the file is put aside, and how much of what was put
// aside stays. Zero turns a bound off.
type FileRotate struct {
	Size     option.Size   `koanf:"size"`      // the file is never larger, unless a single record is
	Interval time.Duration `koanf:"interval"`  // aligned to UTC: 1h rotates on the hour
	Keep     int           `koanf:"keep"`      // rotated files
	MaxAge   time.Duration `koanf:"max_age"`   // since the last write to the rotated file
	MaxTotal option.Size   `koanf:"max_total"` // rotated files and the live one together
	Compress FileCompress  `koanf:"compress"`
}

// FileFsync says when the disk is asked to keep what was written.
type FileFsync string

// The values of FileFsync.
const (
	FsyncNone     FileFsync = "none"        // the kernel decides: a crash of the machine may lose what it had not written
	FsyncInterval FileFsync = "interval"    // in the background; acknowledged before
	FsyncBatch    FileFsync = "every_batch" // acknowledged after
)

// FileDirect says whether large writes may go past the page cache.
type FileDirect string

// The values of FileDirect.
const (
	DirectAuto FileDirect = "auto" // where there is much to write and the disk keeps up with it
	DirectOff  FileDirect = "off"
)

// FileCompress is how rotated files are compressed.
type FileCompress string

// The values of FileCompress.
const (
	CompressNone FileCompress = "none"
	CompressGzip FileCompress = "gzip"
	CompressZstd FileCompress = "zstd"
)

// extension is what a compressed file's name ends with.
func (c FileCompress) extension() string {
	return map[FileCompress]string{CompressGzip: ".gz", CompressZstd: ".zst"}[c]
}

// FileMode is a file's permissions, written in octal: 0640.
type FileMode fs.FileMode

// UnmarshalText reads octal digits.
func (m *FileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil {
		return fmt.Errorf("%q is no file mode: expected octal digits such as 0640", text)
	}
	*m = FileMode(n)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (m FileMode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// String writes the mode in octal.
func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// dir is the mode of a directory: who may read a file may search.
func (m FileMode) dir() fs.FileMode { return fs.FileMode(m | m&0o444>>2 | 0o300) }

// NewFileOptions gives the defaults; path has none.
func NewFileOptions() Options {
	return &FileOptions{
		Mode:          0o640,
		Rotate:        FileRotate{Size: 256 * option.MiB, Keep: 24, Compress: CompressNone},
		Fsync:         FsyncNone,
		FsyncInterval: time.Second,
		Direct:        DirectOff,
	}
}

// Validate reports every fault, as option.Faults, each under its key.
func (o *FileOptions) Validate() error {
	var fs option.Faults
	if _, err := parseFilePath(o.Path, o.Base); err != nil {
		var fault option.Fault
		if !errors.As(err, &fault) {
			fault = option.Fault{Path: "path", Text: err.Error()}
		}
		fs.Add(fault.Path, fault.Text)
	}
	if o.Mode&^0o777 != 0 || o.Mode&0o600 != 0o600 {
		fs.Add("mode", fmt.Sprintf("%s is out of range: expected 0600 to 0777, its owner must read and write", o.Mode))
	}
	if o.Fsync == FsyncInterval {
		within(&fs, "fsync_interval", o.FsyncInterval, 10*time.Millisecond, time.Hour)
	}
	word(&fs, "fsync", o.Fsync, FsyncNone, FsyncInterval, FsyncBatch)
	word(&fs, "direct", o.Direct, DirectAuto, DirectOff)
	word(&fs, "rotate.compress", o.Rotate.Compress, CompressNone, CompressGzip, CompressZstd)
	o.Rotate.validate(&fs)
	return fs.Err()
}

func (r *FileRotate) validate(fs *option.Faults) {
	if r.Size != 0 {
		within(fs, "rotate.size", r.Size, 4*option.KiB, 1024*option.GiB)
	}
	if r.Interval != 0 {
		within(fs, "rotate.interval", r.Interval, time.Second, 366*24*time.Hour)
	}
	if r.MaxAge != 0 {
		within(fs, "rotate.max_age", r.MaxAge, time.Minute, 100*366*24*time.Hour)
	}
	within(fs, "rotate.keep", r.Keep, 0, 100_000)
	if r.MaxTotal != 0 && r.MaxTotal < r.Size {
		fs.Add("rotate.max_total", fmt.Sprintf("%s is less than rotate.size, %s", r.MaxTotal, r.Size))
	}
	if (r.Size != 0 || r.Interval != 0) && r.Keep == 0 && r.MaxAge == 0 && r.MaxTotal == 0 {
		fs.Add("rotate", "nothing bounds the rotated files: expected keep, max_age or max_total")
	}
}

// word adds a fault unless v is one of the words.
func word[S ~string](fs *option.Faults, key string, v S, words ...S) {
	if !slices.Contains(words, v) {
		fs.Add(key, fmt.Sprintf("%q is not known: expected %s", v, list(words)))
	}
}

// Groups tells that a file has no messages to group.
func (o *FileOptions) Groups() []Group { return []Group{GroupNone} }

// Unordered is "": a file keeps every flow's order.
func (o *FileOptions) Unordered() string { return "" }

// Target is the path of a sink of that name on that node: with the fields filled in,
// as file names have them, and the verbs of the time as they are. It is "" if the
// path is not valid.
func (o *FileOptions) Target(node, sink string) string {
	path, err := parseFilePath(o.Path, o.Base)
	if err != nil {
		return ""
	}
	return path.bind(node, sink).String()
}

// New makes the sink. It does no I/O.
func (o *FileOptions) New(env Env) (Sink, error) {
	path, err := parseFilePath(o.Path, o.Base)
	if err != nil {
		return nil, err
	}
	return newFileSink(*o, path.bind(env.Node, env.Name), env), nil
}
