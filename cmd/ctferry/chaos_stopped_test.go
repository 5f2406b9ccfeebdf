package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosStoppedConfig = `
source:
  receive: socket # the kernel's own count of what it dropped is what the books are held to
  buffer: {size: 4MiB, max: 4MiB}
  %[2]s
sinks:
  file: {type: file, path: %[1]s/out, encoding: protobuf, rotate: {size: 0}, events: [new, update, destroy, dump]}
`

// signal stops or continues the whole process.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// socketDrops is what the kernel says of the process's event socket: how many
// datagrams it has dropped, and how many bytes wait in it. Of all netlink
// sockets in the namespace it is the one for netfilter that has joined groups.
func socketDrops(t *testing.T, p *process) (drops, queued int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 10 && f[1] == strconv.Itoa(syscall.NETLINK_NETFILTER) && f[3] != "00000000" {
			drops, err = strconv.Atoi(f[8])
			queued, _ = strconv.Atoi(f[4])
			return drops, queued
		}
	}
	t.Fatalf("no event socket in\n%s (%v)", text, err)
	return 0, 0
}

// caughtUp waits until the process has read all that its socket had.
func (p *process) caughtUp(t *testing.T) {
	t.Helper()
	waitFor(t, "the socket to be empty", func() bool { _, queued := socketDrops(t, p); return queued == 0 })
}

// chaosStopped stops the whole process at full event rate, while flows that it
// knew end and flows that it has never seen begin. The loss is told to the
// event, and a dump makes it good.
func chaosStopped(t *testing.T, f *figures) {
	ns, dir := loadedNamespace(t), t.TempDir()
	out := filepath.Join(dir, "out")
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosStoppedConfig, dir, "track: {enabled: true, resync: 1s}\n  dump: {interval: 1s}")))
	made := 0
	do := func(n testnet.Churned, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		made += n.Events()
	}
	old := testnet.Churn{NS: ns, Entries: 1000, Keep: true}
	do(testnet.Churn{NS: ns, Entries: 3000, Keep: true}.Run(t.Context()))
	p.caughtUp(t)
	p.signal(t, syscall.SIGSTOP)
	began, span := time.Now(), inLong(5*time.Second, 2*time.Second)
	do(testnet.Churn{NS: ns, First: 100_000, Entries: 10_000}.Run(t.Context())) // more than the buffer holds
	do(old.Remove(t.Context()))
	do(testnet.Churn{NS: ns, First: 50_000, Entries: 2000, Keep: true}.Run(t.Context()))
	l := startLoad(t, testnet.Churn{NS: ns, First: 200_000})
	time.Sleep(time.Until(began.Add(span)))
	more := l.stop(t)
	made += more.Events()
	p.signal(t, syscall.SIGCONT)
	p.caughtUp(t)
	drops, _ := socketDrops(t, p)
	waitFor(t, "the dump to make the loss good", func() bool { return len(p.said("records inferred from a dump")) > 0 })
	time.Sleep(3 * time.Second) // two dumps of a quiet table
	table := ferryLine(t, ns, 0, "-C")
	books := p.stop(t)

	a := trailOfFiles(t, "protobuf", out)
	lost := books.socket(t, "", "lost")
	if lost == 0 || drops != lost || a.lost != uint64(lost) || books.socket(t, "", "offered") != made {
		t.Errorf("%d events were made, %d offered; lost by the kernel's counter %d, by the books %d, by the gaps %d",
			made, books.socket(t, "", "offered"), drops, lost, a.lost)
	}
	tracked := books.figure(t, "tracked flows", "netns", "", "flows")
	if strings.TrimSpace(table.out) != strconv.Itoa(tracked) || !maps.Equal(a.live, a.dumped) || len(a.live) != tracked || tracked != 4000 {
		t.Errorf("the table has %s flows, the next dump %d; tracked are %d, and by the records %d live", strings.TrimSpace(table.out), len(a.dumped), tracked, len(a.live))
	}
	f.tell("stopped %s at %.0f events/s: %d made; lost by SO_MEMINFO's counter %d = books %d = sum of the gaps %d", span, more.PerSecond(), made, drops, lost, a.lost)
	f.tell("then: %d flows tracked = %d live by the records = %d in the following dump; %d records inferred",
		tracked, len(a.live), len(a.dumped), books.figure(t, "tracked flows", "netns", "", "synthetic"))
}

// chaosReliable is the same in reliable mode. A process that is stopped as a
// whole cannot let go of that, so the table is kept far from full.
func chaosReliable(t *testing.T, f *figures) {
	ns, dir := loadedNamespace(t), t.TempDir()
	out := filepath.Join(dir, "out")
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosStoppedConfig, dir, "reliable: true")))
	flows, span := inLong(60_000, 15_000), inLong(5*time.Second, time.Second)
	p.signal(t, syscall.SIGSTOP)
	made, err := testnet.Churn{NS: ns, Entries: flows, Rate: int(2 * float64(flows) / span.Seconds())}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGCONT)
	waitFor(t, "the kernel to let go of every flow", func() bool { return strings.TrimSpace(ferryLine(t, ns, 0, "-C").out) == "0" })
	p.caughtUp(t)
	books := p.stop(t)
	a := trailOfFiles(t, "protobuf", out)
	begun := a.records
	for _, n := range a.ends {
		begun -= n
	}
	if lost := books.socket(t, "", "lost"); len(a.ends) != flows || a.lostMax != uint64(lost) || a.lost != 0 || made.Created-begun > lost {
		t.Errorf("%d of %d flows have an end, %d a beginning; at most %d lost by the books, %d by the gaps", len(a.ends), flows, begun, lost, a.lostMax)
	}
	f.tell("stopped %s: %d flows made, %d DESTROY told, 0 missing; %d NEW missing, bound by the gaps %d = books %d",
		made.Elapsed.Round(100*time.Millisecond), flows, len(a.ends), made.Created-begun, a.lostMax, books.socket(t, "", "lost"))
	f.tell("at 80 %% of the table: source.TestReliableLetsGo (a stopped process cannot)")
}
