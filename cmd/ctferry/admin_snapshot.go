package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// The ages up to which what is dear to find out is told again.
const (
	adminAgentAge = time.Second // what each namespace's kernel must be asked
	adminCertAge  = time.Minute // certificates
)

// gauges reads the service for the admin port. One goroutine uses it.
type gauges struct {
	s *service

	agent   flow.Agent
	tables  []admin.TableCounter
	asked   time.Time
	certs   []admin.Certificate
	certsAt time.Time
}

// snapshot gathers everything that the admin port tells.
func (g *gauges) snapshot() *admin.Snapshot {
	s, now := g.s, time.Now()
	if now.Sub(g.asked) >= adminAgentAge {
		g.agent, g.tables, g.asked = s.source.Agent("request"), tableCounters(s.source.TableCounters()), now
	}
	a := &g.agent
	snap := &admin.Snapshot{
		Schema: admin.Schema, Time: now, Version: version, Revision: revision(), Go: runtime.Version(),
		Node: s.id.Node, Run: fmt.Sprintf("%x", s.id.Run), BootID: bootID(s.id.BootID), Kernel: a.Kernel,
		Started: s.begun, Uptime: now.Sub(s.begun).Seconds(),
		Ready: !s.stopping.Load(), Standstill: s.source.Standstill().Seconds(),
		Books: s.books(), Tables: a.Tables, Counters: g.tables, Clock: a.Clock,
		Settings:  admin.Settings{Acct: a.Acct, Timestamp: a.Stamps, Events: a.Events},
		EventCost: ctnetlink.EventCost, Reload: s.reloads.told(), Control: s.control.told(), Warnings: a.Warnings,
	}
	cfg, workers := s.running()
	snap.BufferMax = uint64(cfg.Source.Max)
	if now.Sub(g.certsAt) >= adminCertAge {
		g.certs, g.certsAt = readCertificates(cfg.Certificates()), now
	}
	snap.Certificates = g.certs
	for _, w := range workers {
		snap.Sinks = append(snap.Sinks, sinkState(w))
	}
	g.addSpool(snap)
	snap.Errors = failures(snap)
	if fault := s.control.lastFault(); fault.Text != "" {
		snap.Errors = append(snap.Errors, fault)
	}
	slices.SortStableFunc(snap.Errors, func(a, b admin.Failure) int { return b.Time.Compare(a.Time) })
	return snap
}

func tableCounters(all []source.TableCounter) []admin.TableCounter {
	told := make([]admin.TableCounter, len(all))
	for i, c := range all {
		told[i] = admin.TableCounter{NetNS: c.NetNS, Stat: c.Stat.String(), Count: c.Count}
	}
	return told
}

// sinkState is what is told of a sink beside its books.
func sinkState(w *worker) admin.Sink {
	c, h := w.outlet.Config(), w.outlet.Health()
	return admin.Sink{
		Name: c.Name, Type: c.Type, Encoding: c.Encoding, Memory: uint64(c.Memory),
		LastSuccess: h.LastSuccess, LastError: h.LastError, Writes: h.Writes, WriteTime: h.WriteTime.Seconds(),
	}
}

// addSpool adds how the spool is, and what waits in it for each sink.
func (g *gauges) addSpool(snap *admin.Snapshot) {
	if g.s.store == nil {
		return
	}
	st, err := g.s.store.Status()
	if err != nil { // what is free on the disk is not known; the rest is
		snap.Errors = append(snap.Errors, admin.Failure{Time: snap.Time, Part: "spool", Text: err.Error()})
	}
	f := &st.Faults
	snap.Spool = &admin.Spool{
		Dir: st.Dir, Bytes: uint64(st.Bytes), Max: uint64(st.Max), Free: uint64(st.Free), MinFree: uint64(st.MinFree),
		Segments: st.Segments, Records: st.Records, Faults: f.Writes + f.Syncs + f.Saves, Damaged: f.Segments, LastFault: f.Last,
	}
	for i := range st.Cursors {
		c := &st.Cursors[i]
		for j := range snap.Sinks {
			if k := &snap.Sinks[j]; k.Name == c.Name {
				k.Oldest, k.Lag = c.Oldest, &admin.Lag{Records: c.Lag.Records, Bytes: c.Lag.Bytes}
			}
		}
	}
}

// maxFailure bounds, in bytes, how much of an error is told.
const maxFailure = 300

// failures lists the latest error of each part.
func failures(snap *admin.Snapshot) []admin.Failure {
	all := append([]admin.Failure{}, snap.Errors...)
	when := map[string]time.Time{}
	for i := range snap.Sinks {
		when[snap.Sinks[i].Name] = snap.Sinks[i].LastError
	}
	for i := range snap.Books.Sinks {
		if b := &snap.Books.Sinks[i]; b.LastError != "" {
			all = append(all, admin.Failure{Time: when[b.Name], Part: "sink " + b.Name, Text: b.LastError})
		}
	}
	if snap.Reload.Error != "" {
		all = append(all, admin.Failure{Time: snap.Reload.Time, Part: "configuration", Text: snap.Reload.Error})
	}
	if p := snap.Spool; p != nil && p.LastFault != "" {
		all = append(all, admin.Failure{Part: "spool", Text: p.LastFault})
	}
	for i := range all {
		all[i].Text = clipped(all[i].Text, maxFailure)
	}
	return all
}

// running is the configuration that is in force and its workers, sorted by name.
func (s *service) running() (cfg *configs.Config, all []*worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		all = append(all, w)
	}
	if s.audit != nil {
		all = append(all, s.audit)
	}
	slices.SortFunc(all, func(a, b *worker) int { return cmp.Compare(a.outlet.Name(), b.outlet.Name()) })
	return s.cfg, all
}

// revision is that of the source, where the build noted it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// bootID writes a boot id as the kernel does.
func bootID(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
