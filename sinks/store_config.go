package sinks

import (
	"fmt"
	"path/filepath"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks/spool"
)

// SpoolMode says when records go to disk on their way to the sinks.
type SpoolMode string

// The modes.
const (
	SpoolOff      SpoolMode = "off"      // never: what a sink has not taken is in memory only
	SpoolOverflow SpoolMode = "overflow" // once a sink's memory is full, until it has caught up, and at a stop
	SpoolAlways   SpoolMode = "always"   // every record, before a sink gets it: it survives a crash
)

// SpoolConfig is the configuration of store-and-forward, which all sinks share.
type SpoolConfig struct {
	Mode     SpoolMode         `koanf:"mode"`
	Dir      string            `koanf:"dir"`
	Max      option.Size       `koanf:"max"`      // of all segments; the oldest gives way
	MinFree  option.Size       `koanf:"min_free"` // that must stay free on the file system
	Segment  option.Size       `koanf:"segment"`  // how much is dropped, or lost by damage, at once
	Sync     spool.Sync        `koanf:"sync"`     // always, none or an interval
	Compress spool.Compression `koanf:"compress"` // none or zstd
	Memory   option.Size       `koanf:"memory"`   // what may wait for the disk
}

// NewSpoolConfig gives the defaults.
func NewSpoolConfig() SpoolConfig {
	d := spool.DefaultConfig()
	return SpoolConfig{
		Mode:     SpoolOff,
		Dir:      "/var/lib/ctferry/spool",
		Max:      option.Size(d.Max),
		MinFree:  option.Size(d.MinFree),
		Segment:  option.Size(d.SegmentSize),
		Sync:     d.Sync,
		Compress: d.Compress,
		Memory:   32 * option.MiB,
	}
}

// minSpoolMemory holds a few of the largest batches.
const minSpoolMemory = 2 * option.MiB

// Validate reports every fault, as option.Faults, each under its key, whether
// the mode is off or not.
func (c *SpoolConfig) Validate() error {
	var fs option.Faults
	if c.Mode != SpoolOff && c.Mode != SpoolOverflow && c.Mode != SpoolAlways {
		fs.Add("mode", fmt.Sprintf("%q is not known: expected always, overflow or off", c.Mode))
	}
	if !filepath.IsAbs(c.Dir) {
		fs.Add("dir", fmt.Sprintf("%q: expected an absolute path", c.Dir))
	}
	if c.Compress != spool.CompressNone && c.Compress != spool.CompressZstd {
		fs.Add("compress", fmt.Sprintf("%q is not known: expected none or zstd", c.Compress))
	}
	within(&fs, "memory", c.Memory, minSpoolMemory, maxMemory)
	within(&fs, "segment", c.Segment, spool.MinSegmentSize, spool.MaxSegmentSize)
	within(&fs, "max", c.Max, 4*c.Segment, 1<<20*option.GiB)
	within(&fs, "min_free", c.MinFree, 0, 1<<20*option.GiB)
	if len(fs) == 0 {
		if err := c.disk().Validate(); err != nil {
			fs.Add("", err.Error()) // it names the key
		}
	}
	return fs.Err()
}

// disk is the configuration as the spool wants it.
func (c *SpoolConfig) disk() *spool.Config {
	return &spool.Config{
		Dir:         c.Dir,
		Max:         int64(c.Max),
		MinFree:     int64(c.MinFree),
		SegmentSize: int64(c.Segment),
		Sync:        c.Sync,
		Compress:    c.Compress,
	}
}
