package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// topRates reads what a frame tells: events received a second, and records a
// second of the sink file.
func topRates(frame string) (received, records float64) {
	number := func(pattern string) float64 {
		m := regexp.MustCompile(pattern).FindStringSubmatch(frame)
		if m == nil {
			return -1
		}
		v, err := strconv.ParseFloat(strings.ReplaceAll(m[1], " ", ""), 64)
		if err != nil {
			return -1
		}
		return v
	}
	return number(`received ([0-9. ]+?)  `), number(`(?m)^  file +up +([0-9. ]+?)  `)
}

// steady makes events until the test ends.
func steady(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := (testnet.Churn{NS: ns, Entries: 500, Rate: 1000}).Run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// TestTop asks a running service under traffic, on the real kernel: by its admin
// port, over NATS, and on a terminal, from which it goes away and returns.
func TestTop(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(strings.ReplaceAll(adminConfig, "127.0.0.1:0", "127.0.0.1:4222"), dir, "", ""))
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	steady(t, ns)
	for _, args := range [][]string{
		{"top", "--once", "-c", cfg},
		{"top", "--interval", "300ms", "--admin", "http://" + adminAddress}, // what is no terminal gets one frame
		{"top", "--once", "--node", "edge-1", "-c", cfg},
	} {
		var x ended
		waitFor(t, "rates in the frame", func() bool {
			x = ferryLine(t, ns, 0, args...)
			received, records := topRates(x.out)
			return x.code != 0 || received > 0 && records > 0
		})
		x.want(t, 0, "edge-1  ", "buffer ", "headroom", "table ", "sink dead: ", "of 8.0 MiB", "  dead ", "down")
		remote := args[len(args)-1] == cfg && args[2] == "--node"
		if kinds := regexp.MustCompile(`(?m)^ +new +update +destroy\n(?:  .*\n)*  udp +[1-9]`).MatchString(x.out); strings.Contains(x.out, "\x1b") || kinds == remote || strings.Contains(x.out, "spool") == remote {
			t.Errorf("%q:\n%s", args, x.out)
		}
	}
	ferryLine(t, ns, 0, "top", "--once", "--node", "edge-2", "--wait", "300ms", "-c", cfg).want(t, exitNoOne, `node "edge-2": does not answer to its name`)
	topOnATerminal(t, ns, cfg, p)
}

// topOnATerminal presses keys, and takes the service away and gives it back.
func topOnATerminal(t *testing.T, ns *testnet.Namespace, cfg string, p *process) {
	t.Helper()
	term := openTerminal(t, 100, 30)
	cmd := exec.Command(binary(t), "top", "-c", cfg, "--interval", "200ms")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	term.sees(t, "edge-1", "EVENTS/s", "LAST ERRORS", "q quit")
	term.press(t, "?")
	term.sees(t, "hold the screen")
	term.press(t, "?")
	p.stop(t)
	term.sees(t, "no answer since", "trying again: ")
	term.forget()
	startFerry(t, ns, "run", "-c", cfg)
	term.sees(t, "ready")
	term.press(t, "q")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("q ends it with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("q does not end it")
	}
}

// terminal is a pseudoterminal: what was written to it is kept.
type terminal struct {
	master, slave *os.File
	mu            sync.Mutex
	text          bytes.Buffer
}

func openTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testnet.Unavailable(t, "no pseudoterminal: %v", err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}))
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, slave: slave}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, 4096); ; {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.text.Write(buf[:n])
			term.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = slave.Close(); _ = master.Close(); <-done })
	return term
}

func (m *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := m.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

func (m *terminal) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text.Reset()
}

// sees waits until texts were written.
func (m *terminal) sees(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		waitFor(t, strconv.Quote(text)+" on the terminal", func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return strings.Contains(m.text.String(), text)
		})
	}
}

// TestTopMistakes makes those that people make.
func TestTopMistakes(t *testing.T) {
	t.Parallel()
	none := writeFile(t, t.TempDir(), "c.yaml", "node: edge-1\n")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-c", none}, exitUsage, `admin: {listen: "127.0.0.1:9479"}`},
		{[]string{"-c", none + "x"}, exitUsage, "say -c FILE, --admin URL or --node NAME"},
		{[]string{"--admin", "edge"}, exitUsage, "expected http://HOST:PORT"},
		{[]string{"--admin", "http://a:secret@b:1"}, exitUsage, "not taken from the command line"},
		{[]string{"--admin", "http://127.0.0.1:1"}, exitError, "admin port http://127.0.0.1:1: "},
		{[]string{"--admin", "http://a", "--node", "b"}, exitUsage, "cannot stand together"},
		{[]string{"--server", "nats://a"}, exitUsage, "no effect without --node"},
		{[]string{"--interval", "1ms"}, exitUsage, "--interval: 1ms: expected a time from 100ms to 1h"},
		{[]string{"--node", "a", "--wait", "0s"}, exitUsage, "--wait"},
		{[]string{"edge-1"}, exitUsage, "expected no argument"},
	} {
		code, out, errOut := run(append([]string{"top"}, tt.args...)...)
		if code != tt.code || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, output %q, error %q: expected code %d and %q", tt.args, code, out, errOut, tt.code, tt.want)
		}
	}
}
