package source

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// Status hands on a status record: the agent's state and every account, so
// that a consumer can tell a quiet network from a loss.
func (s *Source) Status(reason string) {
	agent := s.agent(reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	agent.Sockets = s.books()
	agent.LastSeq = s.seq
	e := s.note(flow.TypeStatus)
	e.Agent = agent
	e.Origin = s.sockets[0].origin
	s.stamp(s.notes, time.Now().UnixNano())
	s.out.Take(s.notes)
}

// Agent gives what a status record would tell now, without a sink's books.
func (s *Source) Agent(reason string) flow.Agent {
	agent := s.agent(reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	agent.Sockets = s.books()
	agent.LastSeq = s.seq
	return *agent
}

// Origin gives what the records of a namespace say of where they were read, by
// its configured name, "" for the service's own; false if it is not being read.
// It is the caller's.
func (s *Source) Origin(netns string) (flow.Origin, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sock := range s.sockets {
		if i == 0 && netns == "" || i > 0 && !sock.stopped && sock.ns.name == netns && netns != "" {
			return *sock.origin, true
		}
	}
	return flow.Origin{}, false
}

// Namespaces are the names of the namespaces that are read beside the service's
// own, sorted.
func (s *Source) Namespaces() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, sock := range s.sockets[1:] {
		if !sock.stopped {
			names = append(names, sock.ns.name)
		}
	}
	slices.Sort(names)
	return names
}

// agent gathers what can be gathered without holding up the readers.
func (s *Source) agent(reason string) *flow.Agent {
	sys, err := ctnetlink.ReadSysctls(s.own().path)
	if err != nil {
		s.log.Debug("cannot read every setting", "err", err)
	}
	a := &flow.Agent{
		Reason: reason, Version: s.id.Version, Kernel: kernelRelease(), Uptime: int64(time.Since(s.begun)),
		Acct: sys.Acct, Stamps: sys.Timestamp, Events: sys.Events, Clock: s.clock.state(), Tables: s.tableFill(),
	}
	a.Warnings = warnings(a, &s.cfg, s.Books())
	return a
}

// own is the service's own namespace; its socket stays for the whole run.
func (s *Source) own() namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets[0].ns
}

func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// tableFill asks each namespace how full its table is; one that does not
// answer is left out, and so is one whose name stands for another by now.
func (s *Source) tableFill() []flow.TableFill {
	var fills []flow.TableFill
	for _, sock := range s.spaces() {
		if fill, err := sock.readFill(); err == nil {
			fills = append(fills, fill)
		}
	}
	return fills
}

// spaces are the sockets of the namespaces that are read, the service's own first.
func (s *Source) spaces() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sockets)
}

// fillPatience bounds the wait for the kernel's answer.
const fillPatience = time.Second

func (k *socket) readFill() (flow.TableFill, error) {
	conn, err := k.dial()
	if err != nil {
		return flow.TableFill{}, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), fillPatience)
	defer cancel()
	fill, err := conn.Stats(ctx)
	fill.NetNS = k.ns.name
	return fill, err
}

// warnings says what makes records poorer or fewer than they could be, each
// with what would mend it.
func warnings(a *flow.Agent, cfg *Config, books []flow.SocketBooks) []string {
	var w []string
	asked := int(cfg.Buffer)
	is := func(p *int64, v int64) bool { return p != nil && *p == v }
	if is(a.Events, 0) {
		w = append(w, "the kernel sends no events: sysctl -w net.netfilter.nf_conntrack_events=1")
	}
	if is(a.Events, 2) {
		w = append(w, "flows older than the first listener send no events: sysctl -w net.netfilter.nf_conntrack_events=1")
	}
	if is(a.Acct, 0) {
		w = append(w, "new flows have no packet and byte counters: sysctl -w net.netfilter.nf_conntrack_acct=1")
	}
	if is(a.Stamps, 0) {
		w = append(w, "new flows have no start and stop times: sysctl -w net.netfilter.nf_conntrack_timestamp=1")
	}
	for _, b := range books {
		if b.Buffer != 0 && b.Buffer < uint64(asked) {
			w = append(w, fmt.Sprintf("receive buffer is %d of %d bytes: sysctl -w net.core.rmem_max=%d", b.Buffer, asked, asked/2))
			break
		}
	}
	for _, b := range books {
		if cfg.Reliable && !b.Reliable && b.Buffer != 0 {
			w = append(w, "reliable mode is off because the conntrack table was filling: events may be lost; it comes back when the table has emptied")
			break
		}
	}
	for _, b := range books {
		if b.Track.Untracked > 0 {
			w = append(w, fmt.Sprintf("flows are not tracked because there are too many: raise source.track.max_flows above %d", cfg.Track.MaxFlows))
			break
		}
	}
	for _, t := range a.Tables {
		if t.Max > 0 && uint64(t.Entries)*10 >= uint64(t.Max)*8 {
			w = append(w, fmt.Sprintf("conntrack table is %d%% full: sysctl -w net.netfilter.nf_conntrack_max=%d",
				uint64(t.Entries)*100/uint64(t.Max), uint64(t.Max)*2))
		}
	}
	return w
}
