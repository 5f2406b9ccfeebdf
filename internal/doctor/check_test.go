package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// soundHost is a host with nothing to mend.
func soundHost() *Host {
	return &Host{
		Release: "6.18.44", Binary: "/usr/bin/ctferry",
		Sysctls:  map[string]int64{"events": 1, "acct": 1, "timestamp": 1, "max": 262144, "buckets": 262144, "count": 100, "rmem_max": 212992},
		NetAdmin: true, BPF: true, Force: true,
		HooksErr: errNoHooks, Rules: Rules{Track: 1, By: []string{"nftables ct"}},
		LabelFile: true,
	}
}

// judge gives what is not good of a host, as "severity id".
func judge(h *Host, p *Plan) string {
	var bad []string
	for _, f := range (&Facts{Host: h, Plan: p}).HostFindings(false) {
		if f.Severity != OK {
			bad = append(bad, f.Severity.String()+" "+f.ID)
		}
	}
	return strings.Join(bad, ", ")
}

// TestChecks changes one fact at a time. Those that a test in a namespace can
// plant for real are in cmd/ctferry; here are the rest: the machine's own
// settings, modules, offload, the clock and kernels that are not this one. The
// clock that nothing keeps right has the figures that adjtimex(2) gave on such a
// machine (state 5, status 0x40, an error of 16 s); the others are made up.
func TestChecks(t *testing.T) {
	failed := errors.New("failed")
	for name, tt := range map[string]struct {
		change func(*Host, *Plan)
		want   string
	}{
		"sound":               {func(*Host, *Plan) {}, ""},
		"clock unkept":        {func(h *Host, _ *Plan) { h.Clock = Clock{Unsynchronised: true, MaxError: 16 * time.Second} }, "warn clock"},
		"clock kept":          {func(h *Host, _ *Plan) { h.Clock = Clock{MaxError: 39 * time.Millisecond} }, ""},
		"clock kept badly":    {func(h *Host, _ *Plan) { h.Clock = Clock{MaxError: 3 * time.Second} }, "warn clock"},
		"clock set back":      {func(h *Host, _ *Plan) { h.Clock = Clock{Step: -2 * time.Second} }, "warn clock"},
		"clock unknown":       {func(h *Host, _ *Plan) { h.ClockErr = failed }, "unknown clock"},
		"offloaded":           {func(h *Host, _ *Plan) { h.Offloaded = true }, "warn offload"},
		"a flowtable":         {func(h *Host, _ *Plan) { h.Rules.Offload = 1 }, "warn offload"},
		"offload unasked":     {func(h *Host, _ *Plan) { h.OffloadedErr = errQuick }, ""},
		"few buckets":         {func(h *Host, _ *Plan) { h.Sysctls["buckets"] = 16384 }, "warn buckets"},
		"no module":           {func(h *Host, _ *Plan) { h.Sysctls = map[string]int64{}; h.FillErr = failed }, "fail module, unknown events, unknown acct, unknown timestamp, unknown table, unknown buckets"},
		"no netlink module":   {func(h *Host, _ *Plan) { h.FillErr = failed }, "fail module"},
		"no rights here":      {func(h *Host, _ *Plan) { h.FillErr = unix.EPERM }, "fail capability, unknown module"},
		"old kernel":          {func(h *Host, _ *Plan) { h.Release = "4.19.0-27-amd64" }, ""},
		"old kernel, ring":    {func(h *Host, p *Plan) { h.Release, p.Receive = "5.4.0", "ring" }, "fail receive"},
		"no BPF, auto":        {func(h *Host, p *Plan) { h.BPF, p.Receive = false, "auto" }, ""},
		"no BPF, socket":      {func(h *Host, p *Plan) { h.BPF, p.Receive = false, "socket" }, ""},
		"hooks":               {func(h *Host, _ *Plan) { h.HooksErr, h.Hooks, h.Rules = nil, Hooks{IPv4: true}, Rules{} }, ""},
		"no hooks":            {func(h *Host, _ *Plan) { h.HooksErr, h.Sysctls["count"] = nil, 0 }, "fail tracking"},
		"no rule, entries":    {func(h *Host, _ *Plan) { h.Rules = Rules{} }, ""},
		"no rule":             {func(h *Host, _ *Plan) { h.Rules, h.Sysctls["count"] = Rules{}, 0 }, "fail tracking"},
		"a table unread":      {func(h *Host, _ *Plan) { h.Rules, h.Sysctls["count"] = Rules{Blind: "x"}, 0 }, "unknown tracking"},
		"79 percent":          {func(h *Host, _ *Plan) { h.Sysctls["count"], h.Sysctls["max"] = 79, 100 }, ""},
		"80 percent":          {func(h *Host, _ *Plan) { h.Sysctls["count"], h.Sysctls["max"] = 80, 100 }, "warn table"},
		"95 percent":          {func(h *Host, _ *Plan) { h.Sysctls["count"], h.Sysctls["max"] = 95, 100 }, "fail table"},
		"rmem_max suffices":   {func(h *Host, p *Plan) { h.Force, p.Buffer, p.MaxBuffer = false, 300_000, 425_984 }, ""},
		"rmem_max is short":   {func(h *Host, p *Plan) { h.Force, p.Buffer, p.MaxBuffer = false, 300_000, 425_985 }, "warn buffer"},
		"rmem_max unread":     {func(h *Host, p *Plan) { h.Force, p.Buffer = false, 1; delete(h.Sysctls, "rmem_max") }, "unknown buffer"},
		"listener":            {func(h *Host, _ *Plan) { h.Sockets = []Socket{{Port: 7}, {Port: 9, Drops: 1}} }, "warn listeners"},
		"drops":               {func(h *Host, _ *Plan) { h.CPUs = []flow.CPUStats{counted(flow.StatInsertFailed, 3)} }, "warn drops"},
		"label names":         {func(h *Host, p *Plan) { h.LabelFile, p.Labels, p.LabelNames, h.Rules.Labels = false, true, true, 1 }, "warn labels"},
		"labels, names":       {func(h *Host, p *Plan) { h.LabelFile, p.Labels, p.LabelNames = false, true, true }, "warn labels, warn labels"},
		"a zone by rule":      {func(h *Host, p *Plan) { p.Zones, h.Rules.Zones = []uint16{5}, 1 }, ""},
		"a zone with entries": {func(h *Host, p *Plan) { p.Zones, h.ZonesSeen = []uint16{5}, map[uint16]bool{5: true} }, ""},
		"rules unread": {func(h *Host, p *Plan) {
			h.RulesErr, h.Sysctls["count"], p.Labels, p.Zones = failed, 0, true, []uint16{5}
		},
			"unknown tracking, unknown event_mask, unknown labels, unknown zones, unknown offload"},
	} {
		h, p := soundHost(), &Plan{}
		tt.change(h, p)
		if got := judge(h, p); got != tt.want {
			t.Errorf("%s: %q, expected %q", name, got, tt.want)
		}
	}
}

// TestRightsElsewhere: a capability that ends at the user namespace is not to be
// had by giving it to the file.
func TestRightsElsewhere(t *testing.T) {
	h := soundHost()
	h.FillErr = unix.EPERM
	f := (&Facts{Host: h, Plan: &Plan{}}).HostFindings(false)[0]
	if f.ID != "capability" || !strings.Contains(f.Found, "another user namespace's") || strings.Contains(f.Fix, "setcap") {
		t.Errorf("%+v", f)
	}
}

func counted(s flow.CPUStat, n uint32) (c flow.CPUStats) {
	c.Set(s, n)
	return c
}

// TestFindingsAreWhole wants of every check a stable id, a title and a reason,
// and of every fault a fix.
func TestFindingsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range append(hostChecks(), planChecks()...) {
		if seen[c.id] || c.title == "" || c.why == "" || strings.Contains(c.why, "\n") || c.id != strings.ToLower(c.id) {
			t.Errorf("check %q: %+v", c.id, c)
		}
		seen[c.id] = true
	}
	h := soundHost()
	h.Name, h.Path = "blue", "/run/netns/blue"
	h.Sysctls, h.NetAdmin, h.Rules = map[string]int64{"events": 0, "acct": 0, "timestamp": 0, "max": 100, "count": 0, "buckets": 1}, false, Rules{}
	for _, f := range (&Facts{Host: h, Plan: &Plan{}}).HostFindings(false) {
		if f.Severity >= Warn && f.Fix == "" {
			t.Errorf("no fix: %+v", f)
		}
		if f.ID == "events" && (f.Subject != "blue" || f.Fix != "nsenter --net=/run/netns/blue sysctl -w net.netfilter.nf_conntrack_events=1") {
			t.Errorf("%+v", f)
		}
	}
	if once, again := len((&Facts{Host: h, Plan: &Plan{}}).HostFindings(false)), len((&Facts{Host: h, Plan: &Plan{}}).HostFindings(true)); again >= once {
		t.Errorf("%d findings of the first namespace, %d of the second", once, again)
	}
}

func TestNode(t *testing.T) {
	for name, tt := range map[string]struct {
		runs    []string
		err     error
		ferries []int
		want    string
	}{
		"nobody":           {nil, nil, nil, "ok"},
		"another":          {[]string{"a"}, nil, nil, "fail"},
		"perhaps our own":  {[]string{"a"}, nil, []int{7}, "ok"},
		"ours and another": {[]string{"a", "b"}, nil, []int{7}, "fail"},
		"refused":          {nil, errors.New("no permission"), nil, "unknown"},
		"not connected":    {nil, ErrElsewhere, nil, ""},
	} {
		n := &Node{Name: "edge-1", Who: func(context.Context) ([]string, error) { return tt.runs, tt.err }}
		got := ""
		for _, f := range n.ask(t.Context(), tt.ferries) {
			got = f.Severity.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, expected %q", name, got, tt.want)
		}
	}
}

type slowProbe struct{}

func (slowProbe) Probe(ctx context.Context) []Problem {
	_, bounded := ctx.Deadline()
	return []Problem{{Severity: Fail, Text: fmt.Sprint(bounded)}}
}

// TestAskIsBounded asks more brokers than at once, each with a deadline, and
// keeps their order.
func TestAskIsBounded(t *testing.T) {
	p := &Plan{}
	for i := range 3 * atOnce {
		p.Brokers = append(p.Brokers, Broker{Key: fmt.Sprint(i), Probe: slowProbe{}, Where: "x"})
	}
	for i, f := range Ask(t.Context(), p, nil).brokers {
		if f.Subject != fmt.Sprint(i) || f.Found != "x: true" {
			t.Errorf("%d: %+v", i, f)
		}
	}
}

func TestQuoteShell(t *testing.T) {
	for s, want := range map[string]string{"/run/netns/a-1": "/run/netns/a-1", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'"} {
		if got := quoteShell(s); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
}
