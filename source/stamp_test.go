package source

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

func TestStampTime(t *testing.T) {
	const now = 1000
	for _, tt := range []struct {
		name     string
		event    flow.Event
		time     int64
		source   flow.TimeSource
		received bool
	}{
		{"event time", flow.Event{Type: flow.TypeNew, Time: 7, TimeSource: flow.TimeKernel}, 7, flow.TimeKernel, true},
		{"stop of a destroy", flow.Event{Type: flow.TypeDestroy, Has: flow.HasStop, Stop: 8}, 8, flow.TimeKernel, true},
		{"stop without its bit", flow.Event{Type: flow.TypeDestroy, Stop: 8}, now, flow.TimeReceived, false},
		{"nothing", flow.Event{Type: flow.TypeUpdate, Time: 9}, now, flow.TimeReceived, false},
	} {
		stampTime(&tt.event, now)
		e := &tt.event
		if e.Time != tt.time || e.TimeSource != tt.source || e.Any(flow.HasReceived) != tt.received || tt.received && e.Received != now {
			t.Errorf("%s: time %d from %s, received %d", tt.name, e.Time, e.TimeSource, e.Received)
		}
	}
}

func TestLabelNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connlabel.conf")
	text := "# names\n0 first\n9 ninth # nine\n127\tlast\n200 beyond\nodd line here\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	names := loadLabelNames(path)
	b := flow.NewBatch(2)
	e := b.Next()
	e.Labels = [16]byte{0: 1, 1: 2, 15: 128, 3: 4}
	e.Has = flow.HasLabels
	names.stamp(b, e)
	if want := []string{"first", "ninth", "last"}; !e.Any(flow.HasLabelNames) || !slices.Equal(e.Extra.LabelNames, want) {
		t.Errorf("names %v: expected %v", e.Extra.LabelNames, want)
	}
	bare := b.Next()
	bare.Labels, bare.Has = [16]byte{3: 4}, flow.HasLabels
	names.stamp(b, bare)
	if bare.Any(flow.HasLabelNames) {
		t.Error("a bit without a name has names")
	}
	for i := range 5 * maxCached {
		bare.Labels = [16]byte{0: 1, 10: byte(i), 11: byte(i >> 8)}
		names.stamp(b, bare)
	}
	if len(names.seen) > maxCached {
		t.Errorf("%d label sets are cached: expected at most %d", len(names.seen), maxCached)
	}
	if none := loadLabelNames(path + ".absent"); none.any {
		t.Error("an absent file names something")
	}
}

func TestProgNames(t *testing.T) {
	p := newProgNames()
	b := flow.NewBatch(4)
	own := b.Next()
	own.PortID, own.Has = uint32(os.Getpid()), flow.HasPortID
	p.stamp(b, own, 1)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	if !own.Any(flow.HasProgName) || own.Extra.ProgName+"\n" != string(comm) {
		t.Errorf("own name is %q: expected %q", own.Extra.ProgName, comm)
	}
	none := b.Next()
	none.PortID, none.Has = 1<<31, flow.HasPortID // a port that is no process id
	p.stamp(b, none, 1)
	if none.Any(flow.HasProgName) {
		t.Error("a port that is no process has a name")
	}
	again := b.Next()
	again.PortID, again.Has = own.PortID, flow.HasPortID
	if p.stamp(b, again, 1); !again.Any(flow.HasProgName) || again.Extra.ProgName != own.Extra.ProgName {
		t.Error("the name of the port before the last is lost")
	}
	p.seen[7] = "old"
	late := b.Next()
	late.PortID, late.Has = 1<<31, flow.HasPortID
	p.stamp(b, late, int64(time.Hour))
	if _, ok := p.seen[7]; ok || late.Any(flow.HasProgName) {
		t.Error("a name is believed for ever")
	}
}

// TestProgNamesAfterTheClockWentBack: names are forgotten then too.
func TestProgNamesAfterTheClockWentBack(t *testing.T) {
	p := newProgNames()
	b := flow.NewBatch(1)
	e := b.Next()
	e.PortID, e.Has = uint32(os.Getpid()), flow.HasPortID
	p.stamp(b, e, int64(time.Hour))
	p.seen[e.PortID], p.name = "another", "another"
	if p.stamp(b, e, int64(time.Hour)); e.Extra.ProgName != "another" {
		t.Errorf("%q: a name is not kept", e.Extra.ProgName)
	}
	if p.stamp(b, e, int64(time.Minute)); e.Extra.ProgName == "another" {
		t.Error("a name is kept for an hour")
	}
}

// TestGapAfterTheClockWentBack: its bounds are in order, and it begins early enough.
func TestGapAfterTheClockWentBack(t *testing.T) {
	now := time.Now()
	k := &socket{}
	for _, c := range []struct {
		accounted time.Time
		want      int64
	}{
		{now.Add(-time.Second), now.UnixNano() - int64(time.Second)},
		{now.Add(-time.Hour).Round(0), now.UnixNano() - int64(time.Hour)}, // without its monotonic reading
		{now.Add(time.Hour).Round(0), now.UnixNano()},
	} {
		k.accounted = c.accounted
		if g := k.gap(1, false, now); g.Since != c.want || g.Until != now.UnixNano() {
			t.Errorf("accounted %s: since %d until %d, expected %d", c.accounted, g.Since, g.Until, c.want)
		}
	}
}

func TestClockSteps(t *testing.T) {
	c := &clock{offset: 1000}
	for _, tt := range []struct {
		wall  int64
		mono  time.Duration
		steps uint64
		last  time.Duration
	}{
		{1000 + int64(time.Second), time.Second, 0, 0},
		{1000 + int64(2*time.Second+time.Millisecond), 2 * time.Second, 0, 0}, // drift
		{1000 + int64(63*time.Second), 3 * time.Second, 1, time.Minute - time.Millisecond},
		{1000 + int64(64*time.Second), 4 * time.Second, 1, time.Minute - time.Millisecond},
		{1000 + int64(5*time.Second), 5 * time.Second, 2, -time.Minute},
	} {
		c.observe(tt.wall, tt.mono)
		if s := c.state(); s.Steps != tt.steps || s.Last != int64(tt.last) {
			t.Errorf("after %s: %d steps, the last %s: expected %d, %s", tt.mono, s.Steps, time.Duration(s.Last), tt.steps, tt.last)
		}
	}
	real := newClock()
	real.tick()
	if s := real.state(); s.Steps != 0 || s.Synced == nil {
		t.Errorf("the host's clock: %+v", s)
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"buffer.size":             func(c *Config) { c.Buffer = 1 },
		"buffer.max":              func(c *Config) { c.Max = c.Buffer - 1 },
		"receive":                 func(c *Config) { c.Receive = "magic" },
		"track.max_flows":         func(c *Config) { c.Track.MaxFlows = 1 },
		"track.reconcile":         func(c *Config) { c.Track.Reconcile = 1 },
		"track.resync":            func(c *Config) { c.Track.Resync = 0 },
		"track: needs the table":  func(c *Config) { c.Track.Enabled, c.Tables = true, []flow.Table{flow.TableExpect} },
		"track: needs the events": func(c *Config) { c.Track.Enabled, c.Events = true, flow.TypesOf(flow.TypeNew) },
		"interim: 1ns":            func(c *Config) { c.Track.Enabled, c.Interim = true, 1 },
		"interim: needs":          func(c *Config) { c.Interim = time.Minute },
		"state_dir":               func(c *Config) { c.StateDir = "here" },
		"dump.interval":           func(c *Config) { c.Dump.Interval = time.Millisecond },
		"tables":                  func(c *Config) { c.Tables = nil },
		"events":                  func(c *Config) { c.Events = flow.TypesOf(flow.TypeDump) },
		"netns[0]":                func(c *Config) { c.NetNS = []string{"a/b"} },
	} {
		c := Default()
		change(&c)
		err := c.Validate()
		if err == nil || len(err.Error()) < len(key) || err.Error()[:len(key)] != key {
			t.Errorf("%s: error is %v", key, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	zero, two := int64(0), int64(2)
	a := &flow.Agent{Acct: &zero, Stamps: &zero, Events: &two, Tables: []flow.TableFill{{Entries: 81, Max: 100}}}
	cfg := &Config{Buffer: 1000, Reliable: true}
	w := warnings(a, cfg, []flow.SocketBooks{{Buffer: 10, Track: flow.TrackBooks{Untracked: 1}}})
	if len(w) != 7 {
		t.Errorf("%d warnings: %q", len(w), w)
	}
	if w := warnings(&flow.Agent{}, &Config{Buffer: 10}, []flow.SocketBooks{{Buffer: 10}}); len(w) != 0 {
		t.Errorf("what is unknown is warned of: %q", w)
	}
}
