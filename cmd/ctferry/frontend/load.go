package frontend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
)

// maxLine is the longest line of a file for -R.
const maxLine = 64 << 10

// load carries out a file of commands: none of them if one is wrong. Entries
// that follow one another are made together. One that fails is told and does
// not keep the others from being carried out.
//
// The file is read twice, first for its faults, so that nothing is kept of it
// but its text: it may be the dump of a table with millions of entries.
func (f *Front) load(ctx context.Context, c *conntrack.Command, t Target) int {
	file, err := f.readFile(c.File)
	if err != nil {
		return f.refuse(err)
	}
	commands := 0
	err = file.each(f, func(c *conntrack.Command, _ int) error {
		commands++
		if creates(c) {
			return refusal(c, t)
		}
		_, err := f.request(c, t)
		return err
	})
	switch {
	case err != nil:
		return f.refuse(err)
	case commands == 0:
		return exitOK
	}
	hosts, err := f.Open(ctx, t)
	if err != nil {
		return f.unopened(c, err)
	}
	l := loading{run: run{Front: f, target: t, hosts: hosts, quiet: true}, file: file.name}
	if err := file.each(f, func(c *conntrack.Command, line int) error { return l.take(ctx, c, line) }); err != nil {
		l.code = max(l.code, f.refuse(err))
	}
	l.finish(ctx)
	if err := hosts.Close(); err != nil {
		f.say("%s", err)
		l.code = max(l.code, exitFailed)
	}
	return l.code
}

// loading is a file that is carried out.
type loading struct {
	run
	file string
	code int

	several *several // entries that wait for others; nil: none ever did
	deletes *step    // deletions that wait for others; nil: there are none
}

// take carries out a command, or has it wait for those after it.
func (l *loading) take(ctx context.Context, c *conntrack.Command, line int) error {
	if creates(c) {
		l.finishDeletes(ctx)
		if l.several == nil {
			l.several = new(several)
		}
		if l.several.add(l.Front, c, line) {
			l.finishSeveral(ctx)
		}
		return nil
	}
	l.finishSeveral(ctx)
	s, err := l.Front.step(c, l.target)
	if err != nil {
		return err
	}
	s.file, s.made[0].line = l.file, line
	if l.deletes.join(s, l.target) {
		return nil
	}
	l.finishDeletes(ctx)
	if s.joins(l.target) {
		lent := *c
		s.cmd, l.deletes = &lent, s
		return nil
	}
	l.carry(ctx, s)
	return nil
}

// finish carries out what waits: entries or deletions, never both.
func (l *loading) finish(ctx context.Context) {
	l.finishSeveral(ctx)
	l.finishDeletes(ctx)
}

func (l *loading) finishSeveral(ctx context.Context) {
	if l.several == nil || l.several.len() == 0 {
		return
	}
	s := l.several.step(l.target)
	s.file = l.file
	l.carry(ctx, s)
	l.several.reset()
}

func (l *loading) finishDeletes(ctx context.Context) {
	if l.deletes == nil {
		return
	}
	l.carry(ctx, l.deletes)
	l.deletes = nil
}

func (l *loading) carry(ctx context.Context, s *step) {
	l.run.step, l.run.cmd = s, s.cmd
	l.code = max(l.code, l.do(ctx))
}

// commandFile is a file for -R.
type commandFile struct{ name, text string }

// readFile reads a file of commands; "-" is standard input.
func (f *Front) readFile(name string) (*commandFile, error) {
	in := f.In
	var text strings.Builder
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, wrong("Failed to open file %s for reading", name)
		}
		defer file.Close()
		in = file
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			text.Grow(int(info.Size()))
		}
	}
	if _, err := io.Copy(&text, in); err != nil {
		return nil, at(name, 1+strings.Count(text.String(), "\n"), &conntrack.UsageError{Message: err.Error(), Code: exitUsage})
	}
	return &commandFile{name, text.String()}, nil
}

// each calls fn with each command, which is lent, and its line, until an error,
// of which it says where it is.
func (file *commandFile) each(f *Front, fn func(c *conntrack.Command, line int) error) error {
	lines := conntrack.Lines{Parser: conntrack.Parser{Protocol: f.Names.protocol, Label: f.Names.label}}
	n := 0
	for text := range strings.Lines(file.text) {
		n++
		if len(text) > maxLine {
			return at(file.name, n, &conntrack.UsageError{Message: bufio.ErrTooLong.Error(), Code: exitUsage})
		}
		c, err := lines.Parse(text)
		if err == nil && c != nil {
			err = fn(c, n)
		}
		if err != nil {
			return at(file.name, n, err)
		}
	}
	return nil
}

// at says in which line of a file a fault is.
func at(name string, line int, err error) error {
	var usage *conntrack.UsageError
	if !errors.As(err, &usage) {
		return err
	}
	told := *usage
	told.Message = fmt.Sprintf("%s:%d: %s", name, line, usage.Message)
	return &told
}
