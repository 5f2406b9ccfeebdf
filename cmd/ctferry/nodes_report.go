package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// nodeReport is a node in JSON. What is not known is absent.
type nodeReport struct {
	Node     string       `json:"node"`
	Answered bool         `json:"answered"`
	Error    string       `json:"error,omitempty"`
	Version  string       `json:"version,omitempty"`
	Kernel   string       `json:"kernel,omitempty"`
	Run      string       `json:"run,omitempty"`
	BootID   string       `json:"boot_id,omitempty"`
	NetNS    []string     `json:"netns,omitempty"`
	RTT      float64      `json:"rtt_seconds,omitempty"`
	Uptime   float64      `json:"uptime_seconds,omitempty"`
	Tables   []nodeTable  `json:"tables,omitempty"`
	Sockets  []nodeSocket `json:"sockets,omitempty"`
	Sinks    []nodeSink   `json:"sinks,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
}

type nodeTable struct {
	NetNS   string `json:"netns"` // "" is the service's own
	Entries uint32 `json:"entries"`
	Max     uint32 `json:"max"`
}

type nodeSocket struct {
	NetNS    string `json:"netns"`
	Received uint64 `json:"received"`
	Lost     uint64 `json:"lost"`
}

type nodeSink struct {
	Name         string `json:"name"`
	Up           bool   `json:"up"`
	Offered      uint64 `json:"offered"`
	Delivered    uint64 `json:"delivered"`
	Dropped      uint64 `json:"dropped"`
	DeadLettered uint64 `json:"dead_lettered"`
	Held         uint64 `json:"held"`
	LastError    string `json:"last_error,omitempty"`
}

func nodeReportOf(n *control.NodeInfo) nodeReport {
	r := nodeReport{Node: n.Node, Answered: n.Err == nil, Version: n.Version, Run: n.Run, BootID: n.BootID, NetNS: n.NetNS, RTT: n.RTT.Seconds()}
	if n.Err != nil {
		r.Error = n.Err.Error()
	}
	if a := n.Agent; a != nil {
		r.Kernel, r.Uptime, r.Warnings = a.Kernel, time.Duration(a.Uptime).Seconds(), a.Warnings
		for _, t := range a.Tables {
			r.Tables = append(r.Tables, nodeTable(t))
		}
		for _, s := range a.Sockets {
			r.Sockets = append(r.Sockets, nodeSocket{s.NetNS, s.Received, s.Lost})
		}
	}
	for i := range n.Sinks {
		s := &n.Sinks[i]
		r.Sinks = append(r.Sinks, nodeSink{s.Name, s.Up, s.Offered, s.Delivered, s.DroppedTotal(), s.DeadLettered, s.Held, s.LastError})
	}
	return r
}

// nodesTable is for people: a line a node.
func nodesTable(out io.Writer, found []control.NodeInfo) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tVERSION\tUPTIME\tRTT\tTABLE\tLOST\tSINKS")
	for i := range found {
		n := &found[i]
		if n.Err != nil || n.Agent == nil {
			fmt.Fprintf(w, "%s\t%s\t-\t-\t-\t-\tno answer\n", n.Node, orDash(n.Version))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", n.Node, orDash(n.Version), age(time.Duration(n.Agent.Uptime)),
			n.RTT.Round(100*time.Microsecond), fullest(n.Agent.Tables), lostEvents(n.Agent.Sockets), sinksHealth(n.Sinks))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is a time in its two largest units.
func age(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return d.Truncate(time.Second).String()
}

// fullest tells the table that is the fullest of a node's namespaces.
func fullest(tables []flow.TableFill) string {
	if len(tables) == 0 {
		return "-"
	}
	top := tables[0]
	for _, t := range tables[1:] {
		if uint64(t.Entries)*uint64(top.Max) > uint64(top.Entries)*uint64(t.Max) {
			top = t
		}
	}
	text := fmt.Sprintf("%d/%d", top.Entries, top.Max)
	if top.Max > 0 {
		text += fmt.Sprintf(" %d%%", uint64(top.Entries)*100/uint64(top.Max))
	}
	if top.NetNS != "" {
		text += " in " + top.NetNS
	}
	return text
}

func lostEvents(sockets []flow.SocketBooks) (lost uint64) {
	for _, s := range sockets {
		lost += s.Lost
	}
	return lost
}

// sinksHealth names the sinks that are not well, and why.
func sinksHealth(sinks []flow.SinkBooks) string {
	var ill []string
	for i := range sinks {
		s := &sinks[i]
		switch {
		case !s.Up && s.LastError != "":
			ill = append(ill, fmt.Sprintf("%s down (%s)", s.Name, s.LastError))
		case !s.Up && s.Offered > 0 && s.Delivered == 0:
			ill = append(ill, s.Name+" has delivered nothing yet")
		case s.DroppedTotal() > 0:
			ill = append(ill, fmt.Sprintf("%s dropped %d", s.Name, s.DroppedTotal()))
		}
	}
	text := fmt.Sprintf("%d of %d well", len(sinks)-len(ill), len(sinks))
	if len(ill) > 0 {
		text += ": " + strings.Join(ill, ", ")
	}
	return text
}
