package testbroker

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestChildDiesWithItsParent(t *testing.T) {
	for _, role := range []string{"panic sleep", "exit sleep", "kill sleep", "kill kafka"} {
		t.Run(role, func(t *testing.T) {
			if strings.HasSuffix(role, "kafka") {
				NeedKafka(t)
			}
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), roleVariable+"="+role)
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			defer parent.Process.Kill() //nolint:errcheck // dead by then, if all went well
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
			child, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatalf("the victim said %q", line)
			}
			if strings.HasPrefix(role, "kill") {
				if err := parent.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			_ = parent.Wait() // dies by panic, exit 3 or SIGKILL
			expectGone(t, child)
			if dir != "" {
				sweep(os.TempDir(), time.Now().Add(2*unownedAge))
				if exists(dir) {
					t.Errorf("the dead broker's folder %s is still there after a sweep", dir)
				}
			}
		})
	}
}

// expectGone waits until pid is dead; an orphan may stay a zombie for as long as init likes.
func expectGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d outlives its parent", pid)
}

// A thread that ends must not take the child along: the starting goroutine dies with its thread, the child is another thread's.
func TestChildOutlivesTheStartersThread(t *testing.T) {
	started := make(chan *process)
	go func() {
		runtime.LockOSThread() // and no unlock: the thread ends with the goroutine
		p, err := startProcess(exec.Command("sleep", "60"))
		if err != nil {
			t.Error(err)
		}
		started <- p
	}()
	p := <-started
	if p == nil {
		t.FailNow()
	}
	for range 20 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if !p.alive() {
		t.Fatal("the child died with the thread of the goroutine that asked for it")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
	if err := p.signal(syscall.SIGCONT); err == nil {
		t.Error("a signal to a dead process: no error")
	}
}

func TestTerminate(t *testing.T) {
	tests := []struct {
		name, script string
		stopped      bool
		wantKilled   bool
	}{
		{name: "obeys", script: "echo ready; exec sleep 60"},
		{name: "obeys though stopped", script: "echo ready; exec sleep 60", stopped: true},
		{name: "refuses", script: "trap '' TERM; echo ready; while :; do sleep 0.05; done", wantKilled: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", tt.script)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			p, err := startProcess(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if tt.stopped {
				if err := p.signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			err = p.terminate(500 * time.Millisecond)
			if tt.wantKilled != (err != nil) {
				t.Errorf("terminate: error %v, want one: %t", err, tt.wantKilled)
			}
			if p.alive() {
				t.Error("still alive")
			}
			if err := p.terminate(time.Second); err != nil {
				t.Errorf("terminate a dead process: %v", err)
			}
		})
	}
}

func TestRunProcess(t *testing.T) {
	if err := runProcess(context.Background(), exec.Command("true")); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := runProcess(context.Background(), exec.Command("false")); !errors.As(err, &exit) {
		t.Errorf("false: %v, want an exit error", err)
	}
	if err := runProcess(context.Background(), exec.Command("/does/not/exist")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := runProcess(ctx, exec.Command("sleep", "60")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too slow: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}
