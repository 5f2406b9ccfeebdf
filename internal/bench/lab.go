package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

//go:embed c
var cSources embed.FS

// lab is what all rows share: programs, CPUs, a directory, and how much to measure.
type lab struct {
	ferry        string // the ctferry binary
	self         string // this program, which is the bare Go loop as well
	listen, dump string // the C baselines; empty without a compiler
	conntrack    string // empty if not installed
	ulogd        string
	generatorCPU int
	subjectCPU   int
	dir          string  // on a real disk, removed at the end
	rounds       int     // how often each subject is measured
	scale        float64 // of all loads; 1 is the real thing
	out          io.Writer
}

// newLab looks for the programs and compiles the baselines. close removes its directory.
func newLab(ctx context.Context, l lab, under string) (_ *lab, err error) {
	if l.ferry, err = filepath.Abs(l.ferry); err != nil {
		return nil, err
	}
	if _, err := os.Stat(l.ferry); err != nil {
		return nil, fmt.Errorf("the program to be measured (make build makes it): %w", err)
	}
	if l.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if l.generatorCPU, l.subjectCPU, err = cpus(); err != nil {
		return nil, err
	}
	l.conntrack, l.ulogd = program("conntrack"), program("ulogd")
	if l.dir, err = os.MkdirTemp(under, "ctferry-bench-"); err != nil {
		return nil, err
	}
	for name, to := range map[string]*string{"listen": &l.listen, "dump": &l.dump} {
		if *to, err = l.compile(ctx, name); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return &l, nil
}

// close removes the files.
func (l *lab) close() error { return os.RemoveAll(l.dir) }

// program is the path of a tool, or empty.
func program(name string) string {
	for _, where := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(where); err == nil {
			return path
		}
	}
	return ""
}

// compile makes a baseline out of its source; without a compiler the path is empty.
func (l *lab) compile(ctx context.Context, name string) (string, error) {
	cc := program("cc")
	if cc == "" {
		return "", nil
	}
	text, err := cSources.ReadFile("c/" + name + ".c")
	if err != nil {
		return "", err
	}
	source, path := filepath.Join(l.dir, name+".c"), filepath.Join(l.dir, name)
	if err := os.WriteFile(source, text, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, cc, "-O2", "-o", path, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s.c: %w: %s", name, err, out)
	}
	return path, nil
}

// namespace makes a network namespace in which flows are tracked, counted and stamped.
func (l *lab) namespace() (*testnet.Namespace, error) {
	ns, err := testnet.Create()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(ns.Up(), ns.Record(), ns.Lay(testnet.Track())); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// room says whether the disk has so many bytes, and half as many again, to spare.
func (l *lab) room(bytes int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(l.dir, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", l.dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < bytes+bytes/2 {
		return fmt.Errorf("%s has %d MiB free: expected %d", l.dir, free>>20, (bytes+bytes/2)>>20)
	}
	return nil
}

// synced waits until what was written to the subjects' disk is on it.
func (l *lab) synced() error {
	dir, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", l.dir, err)
	}
	return nil
}

// scaled is a count of the real thing, or less in a trial.
func (l *lab) scaled(n int) int { return max(100, int(float64(n)*l.scale)) }
