package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestListener(t *testing.T) {
	const head = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
	for _, c := range []struct {
		text string
		want bool
	}{
		{"", false},
		{head, false},
		{head + "00000000cd31242f 12  812        00000007 0        0        0     2        0        4\n", true},
		{head + "00000000cd31242f 12  812        80000000 0        0        0     2        0        4\n", true},
		{head + "00000000cd31242f 12  812        00000000 0        0        0     2        0        4\n", false}, // joined nothing
		{head + "00000000cd31242f 0   812        00000007 0        0        0     2        0        4\n", false}, // another protocol
		{head + "short line\n", false},
	} {
		if got, err := listener(strings.NewReader(c.text)); got != c.want || err != nil {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
}

func TestField(t *testing.T) {
	const text = "Name:\tctferry\nVmHWM:\t   12345 kB\nvoluntary_ctxt_switches:\t17\nBad:\tx\nEmpty:\n"
	for name, want := range map[string]int64{"VmHWM": 12345, "voluntary_ctxt_switches": 17} {
		if got, err := field(text, name); got != want || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"Vm", "switches", "Bad", "Empty", ""} {
		if got, err := field(text, name); err == nil {
			t.Errorf("%q: %d, and no error", name, got)
		}
	}
}

func TestMapped(t *testing.T) {
	const text = `7f2c4c000000-7f2c4d001000 rw-s 00001000 00:0e 1042                       anon_inode:bpf-map
Size:              16388 kB
Rss:               16384 kB
Pss:               16384 kB
7f2c4e000000-7f2c4e021000 rw-p 00000000 00:00 0
Rss:                 100 kB
7f2c4f000000-7f2c4f001000 r--s 00000000 00:0e 1042                       anon_inode:bpf-map
Rss:                   4 kB
VmFlags: rd sh mr
`
	if got, err := mapped(strings.NewReader(text), "bpf-map"); got != 16388<<10 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := mapped(strings.NewReader(text), "nosuch"); got != 0 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := mapped(strings.NewReader("1-2 rw-s 0 0:0 1 bpf-map\nRss: x kB\n"), "bpf-map"); err == nil {
		t.Error("nonsense was accepted")
	}
}

func TestRunDelay(t *testing.T) {
	if got, err := runDelay("1178190 2500000 14\n"); got != 2500*time.Microsecond || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "1 2", "1 x 3", "1 2 3 4"} {
		if _, err := runDelay(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestThreadState(t *testing.T) {
	for text, want := range map[string]byte{
		"12 (ctferry) S 1 2 3": 'S', "12 (a) R (b) ) D 1": 'D', "12 (x) R": 'R', "": '?', "12 (x) ": '?', "12 (x": '?',
	} {
		if got := threadState(text); got != want {
			t.Errorf("%q: %c, expected %c", text, got, want)
		}
	}
}

// TestOwnFigures asks the kernel about this process.
func TestOwnFigures(t *testing.T) {
	pid := os.Getpid()
	before, err := cpuOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	thread := spin(t, 20*time.Millisecond)
	after, err := cpuOf(pid)
	if err != nil || after-before < thread {
		t.Errorf("a thread used %v, the process from %v to %v: %v", thread, before, after, err)
	}
	if works, err := busy(pid); !works || err != nil {
		t.Errorf("this thread runs: %v, %v", works, err)
	}
	if peak, err := peakOf(pid); err != nil || peak < 1<<20 {
		t.Errorf("peak of %d bytes: %v", peak, err)
	}
	if ring, err := ringOf(pid); err != nil || ring != 0 {
		t.Errorf("a ring of %d bytes: %v", ring, err)
	}
	first, err := switchesOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		time.Sleep(time.Millisecond)
	}
	if second, err := switchesOf(pid); err != nil || second < first {
		t.Errorf("%d context switches, then %d: %v", first, second, err)
	}
	if _, err := waitedOf(pid); err != nil {
		t.Error(err)
	}
}

// spin uses this thread's CPU for a time, and gives what its clock says.
func spin(t *testing.T, long time.Duration) time.Duration {
	t.Helper()
	runtime.LockOSThread() // or it goes on on a thread whose clock is another
	defer runtime.UnlockOSThread()
	start, err := cpuOfThread()
	for now := start; err == nil && now-start < long; now, err = cpuOfThread() {
	}
	if err != nil {
		t.Fatal(err)
	}
	return long
}

// TestEndedProcess: a process that is gone is an error, not a zero.
func TestEndedProcess(t *testing.T) {
	const gone = 1 << 22 // above pid_max's greatest value
	if _, err := cpuOf(gone); err == nil {
		t.Error("no process has CPU time")
	}
	if _, err := peakOf(gone); err == nil {
		t.Error("no process has memory")
	}
	if _, err := listening(gone); err == nil {
		t.Error("no process listens")
	}
}

func TestListeningSeesASocket(t *testing.T) {
	l := smallLab(t, "/bin/true")
	r, err := l.listenIn(t.Context(), l.bareGo()) // it is ready when listening says so
	if err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if got := r.output("stdout"); got != "received 0 lost 0\n" {
		t.Errorf("%q", got)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestPinned(t *testing.T) {
	generator, subject, err := cpus()
	if err != nil {
		t.Fatal(err)
	}
	var before, inside, after unix.CPUSet
	count := func(s *unix.CPUSet) func() error { return func() error { return unix.SchedGetaffinity(0, s) } }
	if err := pinned(func() error {
		if err := count(&before)(); err != nil {
			return err
		}
		if err := pinned(count(&inside), subject); err != nil {
			return err
		}
		return count(&after)()
	}, generator, subject); err != nil {
		t.Fatal(err)
	}
	if inside.Count() != 1 || !inside.IsSet(subject) || before != after {
		t.Errorf("before %v, inside %v, after %v", before, inside, after)
	}
	if err := pinned(func() error { return nil }); err == nil {
		t.Error("no CPU at all was accepted")
	}
}

// TestRestWaitsForTheStarved: a process that works is not at rest.
func TestRestWaitsForTheStarved(t *testing.T) {
	l := smallLab(t, "/bin/true")
	ns := testnet.New(t)
	p, err := l.launch(ns, t.TempDir(), []string{"/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 20"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	e, err := p.rest(t.Context())
	if err != nil || e.used < 20*time.Millisecond {
		t.Errorf("it rests after %v: %v", e, err)
	}
	if err := p.stop(); err == nil || !strings.Contains(fmt.Sprint(err), "signal") {
		t.Errorf("a shell that was ended by a signal: %v", err)
	}
}

// TestHasten goes down, which everybody may, and does not come back up without root.
func TestHasten(t *testing.T) {
	if os.Getuid() != 0 || testnet.Reexecuted() {
		testnet.Unavailable(t, "coming back from a nice value needs root")
	}
	if err := hasten(1); err != nil {
		t.Fatal(err)
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the system call gives 20 - nice
	if err != nil || nice != 19 {
		t.Errorf("%d, %v", nice, err)
	}
	if err := hasten(0); err != nil {
		t.Fatal(err)
	}
}
