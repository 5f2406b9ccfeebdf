package testbroker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Kafka is one broker with its data. Between Start and Stop it is running, paused or, after Kill, dead with its data intact.
type Kafka struct {
	distribution *Distribution
	options      Options
	dir          string   // data, configuration, certificates, log
	owner        *os.File // holds the lock on dir
	certificates Certificates
	ports        ports

	mu      sync.Mutex // over what follows, and for the length of a whole state change
	process *process   // nil until a JVM was started
	logged  int        // length of the log when that was
	gone    bool       // stopped: dir is no more
}

// errStopped is what a stopped broker answers.
var errStopped = errors.New("kafka: stopped for good")

const (
	// stopWait is how long a broker may take after SIGTERM; it takes half a second.
	stopWait = 20 * time.Second
	// logTail is how much of the broker's log goes into an error.
	logTail = 8 << 10
)

// Stop ends the broker in good order, by SIGKILL if it takes too long (which is an error), and removes its data. A second Stop does nothing.
func (k *Kafka) Stop() error {
	return k.stopWithin(stopWait)
}

func (k *Kafka) stopWithin(grace time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return nil
	}
	k.gone = true
	err := k.process.terminate(grace)
	return errors.Join(err, os.RemoveAll(k.dir), k.owner.Close())
}

// Kill ends the broker by SIGKILL, as a power cut would but for the page cache, and keeps its data for Restart.
func (k *Kafka) Kill() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return errStopped
	}
	return k.process.kill()
}

// Shutdown ends the broker in good order and keeps its data for Restart.
func (k *Kafka) Shutdown() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return errStopped
	}
	return k.process.terminate(stopWait)
}

// Pause stops the broker by SIGSTOP: connections stay open, the kernel still accepts new ones, and nobody answers.
func (k *Kafka) Pause() error {
	return k.signal(syscall.SIGSTOP)
}

// Resume continues a paused broker.
func (k *Kafka) Resume() error {
	return k.signal(syscall.SIGCONT)
}

func (k *Kafka) signal(sig syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return errStopped
	}
	if err := k.process.signal(sig); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// Log is the end of what the broker has logged (warnings and errors) in all its lives; empty after Stop.
func (k *Kafka) Log() string {
	content, err := os.ReadFile(k.logFile())
	if err != nil {
		return ""
	}
	return tail(string(content))
}

func (k *Kafka) logFile() string {
	return filepath.Join(k.dir, "kafka.log")
}

// PID is the process id of the broker's newest life, for /proc.
func (k *Kafka) PID() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.process.cmd.Process.Pid
}

func tail(s string) string {
	if len(s) > logTail {
		return "…" + s[len(s)-logTail:]
	}
	return s
}
