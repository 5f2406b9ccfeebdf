package testbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options change a broker; the zero value is good for most tests.
type Options struct {
	// Config is added to server.properties and wins over what the package sets, e.g. "message.max.bytes": "65536".
	Config map[string]string
	// HeapMiB is Java's largest heap; 0 means 512.
	HeapMiB int
	// JVM is added to Java's flags and wins, e.g. "-XX:TieredStopAtLevel=4" for measurements: Java's quick compiler alone is
	// the default, because it starts faster.
	JVM []string
}

const (
	// startTries is how often other ports are tried when another process took one between the choice and the start.
	startTries = 3
	// portTaken is what Java's log says then (EADDRINUSE in the words of libc).
	portTaken = "Address already in use"
	// readyWait is how long one start may take until the broker answers; it takes 2 s.
	readyWait = 90 * time.Second
)

// Start starts a broker and returns when every listener is open and it answers. The caller must Stop it.
func (d *Distribution) Start(ctx context.Context, o Options) (*Kafka, error) {
	return d.start(ctx, o, []string{"-XX:SharedArchiveFile=" + d.archive()})
}

// start is Start with Java's flag for the class data archive, to read it or to write it.
func (d *Distribution) start(ctx context.Context, o Options, archive []string) (*Kafka, error) {
	sweep(os.TempDir(), time.Now())
	o.JVM = append(archive, o.JVM...)
	var failed error
	for range startTries {
		k, err := d.newKafka(o)
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		if failed = k.launch(ctx); failed == nil {
			return k, nil
		}
		failed = fmt.Errorf("%w\n%s", failed, k.Log())
		failed = errors.Join(failed, k.Stop())
		if !strings.Contains(failed.Error(), portTaken) {
			break
		}
	}
	return nil, failed
}

// newKafka makes the folder of a broker and all that is in it.
func (d *Distribution) newKafka(o Options) (*Kafka, error) {
	p, err := choosePorts()
	if err != nil {
		return nil, err
	}
	dir, owner, err := newFolder(os.TempDir())
	if err != nil {
		return nil, err
	}
	k := &Kafka{distribution: d, options: o, dir: dir, owner: owner, ports: p}
	if err := k.fill(); err != nil {
		return nil, errors.Join(err, owner.Close(), os.RemoveAll(dir))
	}
	return k, nil
}

func (k *Kafka) fill() error {
	storage := filepath.Join(k.dir, "data")
	if err := os.CopyFS(storage, os.DirFS(k.distribution.file(formattedFolder))); err != nil {
		return err
	}
	var err error
	if k.certificates, err = NewCertificates(k.dir); err != nil {
		return err
	}
	return os.WriteFile(k.propertiesFile(), configuration(k.ports, storage, k.certificates, k.options.Config), 0o600)
}

func (k *Kafka) propertiesFile() string {
	return filepath.Join(k.dir, "server.properties")
}

// Restart ends the broker if it runs, in good order, and starts it again with the same ports and data.
func (k *Kafka) Restart(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return errStopped
	}
	if err := k.process.terminate(stopWait); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	if err := k.launch(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, k.Log())
	}
	return nil
}

// launch starts the JVM and waits until the broker answers.
func (k *Kafka) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWait, fmt.Errorf("no answer within %v", readyWait))
	defer cancel()
	cmd, err := k.command()
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	log, err := os.OpenFile(k.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer log.Close() //nolint:errcheck // the child has its own copy
	former, err := log.Stat()
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	k.logged = int(former.Size())
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	k.process = p
	if err := k.waitReady(ctx); err != nil {
		return fmt.Errorf("kafka: start: %w", err)
	}
	return nil
}

func (k *Kafka) command() (*exec.Cmd, error) {
	classPath, err := k.distribution.classPath()
	if err != nil {
		return nil, err
	}
	heap := k.options.HeapMiB
	if heap == 0 {
		heap = 512
	}
	args := []string{
		fmt.Sprintf("-Xmx%dm", heap), "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto",
		"-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=" + k.distribution.file("log4j2.xml"),
	}
	args = append(args, k.options.JVM...)
	args = append(args, "-cp", classPath, "kafka.Kafka", k.propertiesFile())
	cmd := exec.Command(k.distribution.java, args...)
	cmd.Dir = k.dir
	return cmd, nil
}
