package testbroker

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child that cannot outlive this program. PR_SET_PDEATHSIG (prctl(2)) makes the kernel send the child SIGKILL when its
// parent dies, be it by a panic, os.Exit or kill -9. For the kernel the parent is the THREAD that forked, and Go ends threads when it
// likes: so one goroutine, locked to its thread, both starts the child and waits for it, and the thread lives as long as the child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed by run when the child is dead and waited for
	err  error         // of Wait; to be read after done
}

// startProcess starts cmd, whose SysProcAttr is overwritten.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run owns the child from fork to wait.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

// runProcess runs cmd to its end; when ctx ends first the child is killed and ctx's cause returned.
func runProcess(ctx context.Context, cmd *exec.Cmd) error {
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.kill())
	}
}

// alive reports whether the child has not been waited for yet.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends sig to a child that lives.
func (p *process) signal(sig syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("signal %v: process %d is dead", sig, p.cmd.Process.Pid)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %v to process %d: %w", sig, p.cmd.Process.Pid, err)
	}
	return nil
}

// kill sends SIGKILL, which reaches a stopped process too, and waits. A child that is dead already is no error.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill() // fails only when it is dead
	return p.wait(killWait)
}

// terminate asks by SIGTERM, if there is a process, and kills the child if it still lives after grace.
func (p *process) terminate(grace time.Duration) error {
	if p == nil || !p.alive() {
		return nil
	}
	// A process under SIGSTOP keeps SIGTERM pending until it may run again.
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.wait(grace); err != nil {
		return errors.Join(fmt.Errorf("killed: %w", err), p.kill())
	}
	return nil
}

// wait waits for the end of the child, at most limit.
func (p *process) wait(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("process %d still lives after %v", p.cmd.Process.Pid, limit)
	}
}

// killWait is how long a process may take to disappear after SIGKILL.
const killWait = 10 * time.Second
