package source

import (
	"fmt"
	"path/filepath"
	"slices"
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
	Shards   int          // event sockets a namespace, which share its events by flow, each with a buffer; 1 is one for all
	Reliable bool         // the kernel keeps DESTROY events until they are delivered
	Track    Track
	Interim  time.Duration // how often long flows are told; 0 is never; needs Track
	StateDir string        // where the end of this run is noted for the next; "" is nowhere
	Dump     Dump
	Filter   *flow.Filter
	NetNS    []string // names or globs under /run/netns, beside the service's own
}

// KernelFilter is what of the filter the kernel runs, where it can. Tracking needs
// a flow's events all or none, those too that the filter leaves out: an update, or
// the end, of a flow that it passed before.
func (c *Config) KernelFilter() *ctnetlink.KernelFilter {
	return c.kernelFilters()[0]
}

// Dumps reports whether tables are read whole at all.
func (c *Config) Dumps() bool { return c.Dump.AtStart || c.Dump.Interval > 0 || c.Track.Enabled }

// DumpFilter is by what of the filter the kernel narrows these dumps, where it can.
// One that sets counters to zero does so for all flows, and is not narrowed.
func (c *Config) DumpFilter() *ctnetlink.DumpFilter {
	if c.Dump.Zero && !c.Track.Enabled {
		return ctnetlink.CompileDump(nil)
	}
	return ctnetlink.CompileDump(c.Filter)
}

// Dump says when the table is read whole.
type Dump struct {
	AtStart  bool
	Interval time.Duration // 0 is never
	Zero     bool          // set the counters to zero while reading them
}

// Track says whether and how live flows are tracked: then a loss is made good by
// a dump, as far as that can be.
type Track struct {
	Enabled   bool
	MaxFlows  int           // that all namespaces together may take; see BytesPerFlow
	Reconcile time.Duration // the longest time between two dumps that are compared; 0 is only after a loss
	Resync    time.Duration // the least time between two dumps after a loss
}

// What a tracked flow takes at most, in bytes: its entry and its share of the
// index, once that has grown. The table grows with the flows and keeps what it
// has.
const (
	BytesPerFlow    = 142 // IPv4
	BytesPerIPv6    = 64  // more
	BytesPerInterim = 40  // more, with interim records
)

// Default is the configuration of a source that nobody configured.
func Default() Config {
	return Config{
		Events:  flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy),
		Tables:  []flow.Table{flow.TableConntrack},
		Buffer:  64 * option.MiB,
		Max:     256 * option.MiB,
		Receive: "auto",
		Shards:  1,
		Track:   Track{MaxFlows: 1_000_000, Reconcile: 5 * time.Minute, Resync: 30 * time.Second},
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
	if c.Shards < 1 || c.Shards > maxShards {
		fs.Add("shards", fmt.Sprintf("%d is out of range: expected 1 to %d", c.Shards, maxShards))
	}
	c.validateTrack(&fs)
	if c.Dump.Interval != 0 && c.Dump.Interval < minInterval {
		fs.Add("dump.interval", fmt.Sprintf("%s is too short: expected 0s (never) or at least %s", c.Dump.Interval, minInterval))
	}
	if c.StateDir != "" && !filepath.IsAbs(c.StateDir) {
		fs.Add("state_dir", fmt.Sprintf("%q is no absolute path", c.StateDir))
	}
	for i, name := range c.NetNS {
		if _, err := filepath.Match(name, ""); err != nil || name == "" || strings.Contains(name, "/") {
			fs.Add(fmt.Sprintf("netns[%d]", i), fmt.Sprintf("%q is no name: expected the name or glob of a file in /run/netns", name))
		}
	}
	return fs.Err()
}

// The bounds of what may be tracked.
const (
	minFlows = 1000
	maxFlows = 64_000_000
)

func (c *Config) validateTrack(fs *option.Faults) {
	t := &c.Track
	if t.MaxFlows < minFlows || t.MaxFlows > maxFlows {
		fs.Add("track.max_flows", fmt.Sprintf("%d is out of range: expected %d to %d", t.MaxFlows, minFlows, maxFlows))
	}
	if t.Reconcile != 0 && t.Reconcile < minInterval {
		fs.Add("track.reconcile", fmt.Sprintf("%s is too short: expected 0s (only after a loss) or at least %s", t.Reconcile, minInterval))
	}
	if t.Resync < minInterval {
		fs.Add("track.resync", fmt.Sprintf("%s is too short: expected at least %s", t.Resync, minInterval))
	}
	if c.Interim != 0 && c.Interim < minInterval {
		fs.Add("interim", fmt.Sprintf("%s is too short: expected 0s (never) or at least %s", c.Interim, minInterval))
	}
	if c.Interim != 0 && !t.Enabled {
		fs.Add("interim", "needs track: expected track: true, or interim: 0s")
	}
	if !t.Enabled {
		return
	}
	if !slices.Contains(c.Tables, flow.TableConntrack) {
		fs.Add("track", "needs the table conntrack: expected it in tables, or track: false")
	}
	if !c.Events.Has(flow.TypeNew) || !c.Events.Has(flow.TypeDestroy) {
		fs.Add("track", "needs the events new and destroy: expected them in events, or track: false")
	}
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
