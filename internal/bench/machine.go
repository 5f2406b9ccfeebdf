package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what the figures were measured on.
type machine struct {
	date           time.Time
	cpu, kernel    string
	cores          int
	memory         uint64 // bytes
	programs       []string
	load           string // the machine's, before it began
	rounds         int
	generator, own int // CPUs
}

// describe asks the machine and the programs.
func (l *lab) describe(ctx context.Context) machine {
	m := machine{date: time.Now().UTC(), cores: runtime.NumCPU(), rounds: l.rounds, generator: l.generatorCPU, own: l.subjectCPU}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.kernel = unix.ByteSliceToString(uts.Release[:]) + " " + unix.ByteSliceToString(uts.Machine[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.memory = info.Totalram * uint64(info.Unit)
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.cpu = modelName(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(text), " ")
	}
	m.programs = []string{runtime.Version()}
	for _, argv := range [][]string{{l.ferry, "version"}, {program("cc"), "--version"}, {l.conntrack, "--version"}, {l.ulogd, "--version"}} {
		if argv[0] != "" {
			m.programs = append(m.programs, firstLine(ctx, argv))
		}
	}
	return m
}

// modelName finds the processor's name in the text of /proc/cpuinfo.
func modelName(text string) string {
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return "unknown"
}

// firstLine is what a program says about its version.
func firstLine(ctx context.Context, argv []string) string {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if err != nil && len(line) == 0 {
		return fmt.Sprintf("%s: %v", argv[0], err)
	}
	return string(line)
}

// String is a paragraph of Markdown.
func (m machine) String() string {
	return fmt.Sprintf("%s. %s, %d cores, %d MiB; Linux %s; load average %s before it began. %s. "+
		"Generator on CPU %d, what is measured on CPU %d. %d rounds.\n",
		m.date.Format("2 January 2006, 15:04 UTC"), m.cpu, m.cores, m.memory>>20, m.kernel, m.load, strings.Join(m.programs, "; "),
		m.generator, m.own, m.rounds)
}
