package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// memory samples a process's resident memory until it is asked for the most.
type memory struct {
	pid    int
	cancel context.CancelFunc
	most   chan int // KiB
}

func watchMemory(t *testing.T, p *process) *memory {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m := &memory{p.cmd.Process.Pid, cancel, make(chan int, 1)}
	go func() {
		most := 0
		for ctx.Err() == nil {
			most = max(most, resident(m.pid))
			time.Sleep(50 * time.Millisecond)
		}
		m.most <- most
	}()
	t.Cleanup(cancel)
	return m
}

// now is what the process has resident, in MiB.
func (m *memory) now() int { return resident(m.pid) >> 10 }

// end gives the most that was seen, in MiB.
func (m *memory) end() int {
	m.cancel()
	return <-m.most >> 10
}

// resident is the process's VmRSS in KiB, 0 once it has gone.
func resident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, ok := strings.Cut(string(text), "VmRSS:")
	if !ok {
		return 0
	}
	n, _ := strconv.Atoi(strings.Fields(rest)[0])
	return n
}

// cpu is the processor time that a process has used. The kernel tells it in
// hundredths of a second (USER_HZ).
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// trail is what a consumer read, down to what the promises speak of.
type trail struct {
	name    string
	runs    map[[16]byte]uint64 // numbered as they first came; may be shared
	seqs    map[uint64]bool     // what came: the run's number and the sequence number
	last    map[uint64]uint64
	repeats int
	records int    // events, without repeats
	gaps    uint64 // sum of what gaps of scope sink tell
	lost    uint64 // sum of what gaps of scope kernel tell
	lostMax uint64
	ends    map[uint64]int
	live    map[uint64]bool // by the events alone
	dumped  map[uint64]bool // by the newest whole dump
	rows    map[uint64]bool // of the dump that is being read
	errors  uint64          // failed attempts, by the newest status record
	foreign uint64          // messages of others, by the same
	dec     encode.Decoder
	batch   *flow.Batch
}

func newTrail(name, format string) *trail {
	return &trail{
		name: name, runs: map[[16]byte]uint64{}, seqs: map[uint64]bool{}, last: map[uint64]uint64{}, ends: map[uint64]int{}, live: map[uint64]bool{},
		rows: map[uint64]bool{}, dec: encode.Formats()[format].NewDecoder(), batch: flow.NewBatch(1),
	}
}

// read takes one record; what came before is passed over if it is a repeat, and
// fails the test if it comes out of its flow's order.
func (s *trail) read(t *testing.T, record []byte) {
	t.Helper()
	s.batch.Reset()
	if err := s.dec.Decode(s.batch, record); err != nil {
		t.Fatalf("%s: %v in %q", s.name, err, record)
	}
	e := &s.batch.Events()[0]
	place := s.place(e.Origin.Run, e.Seq)
	if e.Type != flow.TypeGap && s.seqs[place] {
		s.repeats++
		return
	}
	s.seqs[place] = true
	switch e.Type {
	case flow.TypeGap:
		s.gap(e.Gap)
		return
	case flow.TypeStatus:
		s.status(e.Agent)
		return
	case flow.TypeDump:
		s.rows[e.FlowID] = true
		return
	case flow.TypeDumpEnd:
		s.dumped, s.rows = s.rows, map[uint64]bool{}
		return
	case flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy:
	default:
		return
	}
	s.records++
	if place <= s.last[e.FlowID] {
		t.Fatalf("%s: record %x of flow %x comes after %x", s.name, place, e.FlowID, s.last[e.FlowID])
	}
	s.last[e.FlowID] = place
	if e.Type == flow.TypeDestroy {
		s.ends[e.FlowID]++
		delete(s.live, e.FlowID)
		return
	}
	s.live[e.FlowID] = true
}

// place orders the records of several runs.
func (s *trail) place(run [16]byte, seq uint64) uint64 {
	n, known := s.runs[run]
	if !known {
		n = uint64(len(s.runs))
		s.runs[run] = n
	}
	return n<<40 | seq
}

func (s *trail) status(a *flow.Agent) {
	s.foreign = 0
	for _, k := range a.Sockets {
		s.foreign += k.Foreign
	}
	if a.Sink == nil {
		return
	}
	s.errors = 0
	for _, e := range a.Sink.Errors {
		s.errors += e.Count
	}
}

func (s *trail) gap(g *flow.Gap) {
	switch {
	case g.Scope == "sink" && g.Lost != nil:
		s.gaps += *g.Lost
	case g.Scope == "kernel" && g.Lost != nil:
		s.lost += *g.Lost
	case g.Scope == "kernel" && g.LostMax != nil:
		s.lostMax += *g.LostMax
	}
}

// missing is how many of b's records s has not.
func (s *trail) missing(b *trail) (n int) {
	for seq := range b.seqs {
		if !s.seqs[seq] {
			n++
		}
	}
	return n
}

// trailOfFiles reads files in their order.
func trailOfFiles(t *testing.T, format string, paths ...string) *trail {
	t.Helper()
	s := newTrail("file", format)
	s.readFiles(t, format, paths...)
	return s
}

func (s *trail) readFiles(t *testing.T, format string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		records := encode.Records(f, encode.Formats()[format].Framing)
		for {
			record, err := records.Next()
			if err != nil {
				break // the end, or what a crash has torn
			}
			s.read(t, record)
		}
		_ = f.Close()
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
