package source

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// Config says what to read and how.
type Config struct {
	Events   flow.Types   // what may be asked at all: new, update, destroy
	Tables   []flow.Table // conntrack, expect
	Buffer   option.Size  // effective receive buffer to start with; a ring takes a quarter of it
	Max      option.Size  // what the buffer may grow to
	Receive  string       // auto, ring or socket: see ctnetlink.Receive
	Reliable bool         // the kernel keeps DESTROY events until they are delivered
	Track    bool         // a table of live flows
	Dump     Dump
	Filter   *flow.Filter
	NetNS    []string // names or globs under /run/netns, beside the service's own
}

// Dump says when the table is read whole.
type Dump struct {
	AtStart  bool
	Interval time.Duration // 0 is never
	Zero     bool          // set the counters to zero while reading them
}

// Default is the configuration of a source that nobody configured.
func Default() Config {
	return Config{
		Events:  flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy),
		Tables:  []flow.Table{flow.TableConntrack},
		Buffer:  64 * option.MiB,
		Max:     256 * option.MiB,
		Receive: "auto",
	}
}

// minBuffer is room for 166 events, the kernel's own default.
const minBuffer = 208 * option.KiB

// maxBuffer is the largest receive buffer that the kernel accepts (INT_MAX).
const maxBuffer = 2*option.GiB - 1

// minInterval keeps dumps from following each other without a pause.
const minInterval = time.Second

// Validate reports every fault, as option.Faults, under the configuration's keys.
func (c *Config) Validate() error {
	var fs option.Faults
	c.validateEvents(&fs)
	if c.Buffer < minBuffer || c.Buffer > maxBuffer {
		fs.Add("buffer.size", fmt.Sprintf("%s is out of range: expected %s to 2GiB", c.Buffer, minBuffer))
	}
	if c.Max < c.Buffer || c.Max > maxBuffer {
		fs.Add("buffer.max", fmt.Sprintf("%s is out of range: expected buffer.size (%s) to 2GiB", c.Max, c.Buffer))
	}
	if _, err := ctnetlink.ParseReceive(c.Receive); err != nil {
		fs.Add("receive", err.Error())
	}
	if c.Track {
		fs.Add("track", "is not in this version: expected false")
	}
	if c.Dump.Interval != 0 && c.Dump.Interval < minInterval {
		fs.Add("dump.interval", fmt.Sprintf("%s is too short: expected 0s (never) or at least %s", c.Dump.Interval, minInterval))
	}
	for i, name := range c.NetNS {
		if _, err := filepath.Match(name, ""); err != nil || name == "" || strings.Contains(name, "/") {
			fs.Add(fmt.Sprintf("netns[%d]", i), fmt.Sprintf("%q is no name: expected the name or glob of a file in /run/netns", name))
		}
	}
	return fs.Err()
}

func (c *Config) validateEvents(fs *option.Faults) {
	kernel := flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy)
	if c.Events&^kernel != 0 {
		fs.Add("events", "expected some of new, update, destroy")
	}
	if len(c.Tables) == 0 {
		fs.Add("tables", "expected conntrack, expect or both")
	}
}
