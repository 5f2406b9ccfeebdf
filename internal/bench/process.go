package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 60 * time.Second
	restWindow   = 50 * time.Millisecond // a process that used less than a twentieth of it is at rest
)

// process is a program that is measured, running. Its output is in files, because a
// pipe would need somebody to read it.
type process struct {
	cmd  *exec.Cmd
	dir  string        // where its output and its files are
	done chan struct{} // closed when it has ended
	err  error         // how it ended
}

// launch starts a command inside a namespace, on the subject's CPU.
func (l *lab) launch(ns *testnet.Namespace, dir string, argv []string) (*process, error) {
	return l.launchOn(ns, dir, argv, l.subjectCPU)
}

// launchOn starts a command inside a namespace, on some CPUs, in a process group of
// its own, so that an interrupt reaches only us.
func (l *lab) launchOn(ns *testnet.Namespace, dir string, argv []string, cpus ...int) (*process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close() // the child has its own
		}
	}()
	for _, name := range []string{"stdout", "stderr"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	if err := ns.Do(func() error { return pinned(cmd.Start, cpus...) }); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	p := &process{cmd: cmd, dir: dir, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// output is what the process has written to "stdout" or "stderr" so far.
func (p *process) output(stream string) string {
	text, err := os.ReadFile(filepath.Join(p.dir, stream))
	if err != nil {
		return ""
	}
	return string(text)
}

// failed is the error of a process that ended though it should run, with its last words.
func (p *process) failed() error {
	words := p.output("stderr")
	if len(words) > 500 {
		words = words[len(words)-500:]
	}
	return fmt.Errorf("%s ended: %w: %s", filepath.Base(p.cmd.Path), errors.Join(p.err, errors.New("not asked to")), words)
}

// until waits until ok holds, asking every few milliseconds.
func (p *process) until(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		good, err := ok()
		if err == nil && good {
			return nil
		}
		if err != nil {
			return p.unless(err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain for %s", limit, what)
		}
		select {
		case <-p.done:
			return p.failed()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// unless is the error of asking about a process, or what it said if that was because it ended.
func (p *process) unless(err error) error {
	select {
	case <-p.done:
		return p.failed()
	case <-time.After(100 * time.Millisecond):
		return err
	}
}

// effort is what a process has used of a CPU, and how long it had to wait for one.
type effort struct{ used, waited time.Duration }

func (p *process) effort() (e effort, err error) {
	if e.used, err = cpuOf(p.pid()); err != nil {
		return e, err
	}
	e.waited, err = waitedOf(p.pid())
	return e, err
}

// rest waits until the process has nothing to do: it neither runs nor waits for a CPU or a disk.
// It gives what the process has used by then.
func (p *process) rest(ctx context.Context) (e effort, err error) {
	if e, err = p.effort(); err != nil {
		return e, err
	}
	for deadline := time.Now().Add(stopTimeout); ; {
		select {
		case <-p.done:
			return e, p.failed()
		case <-ctx.Done():
			return e, ctx.Err()
		case <-time.After(restWindow):
		}
		now, err := p.effort()
		if err != nil {
			return e, err
		}
		works, err := busy(p.pid())
		if err != nil || !works && now.used-e.used < restWindow/20 && now.waited-e.waited < restWindow/20 {
			return now, err
		}
		if e = now; time.Now().After(deadline) {
			return e, fmt.Errorf("%s is still busy after %v", filepath.Base(p.cmd.Path), stopTimeout)
		}
	}
}

// stop asks the process to end and waits for it. A second call does nothing.
func (p *process) stop() error {
	select {
	case <-p.done:
		return p.err
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopTimeout):
		return fmt.Errorf("%s does not end", filepath.Base(p.cmd.Path))
	}
}

// kill ends the process if it still runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}
