package frontend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
)

// The exit codes. The first three are conntrack's.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and failed, or nothing was found
	exitUsage  = 2 // it was not tried: the command line is wrong
	exitSilent = 3 // some node did not answer
)

// Front carries out command lines of conntrack(8). It is used by one goroutine.
type Front struct {
	Program string // the name it was called by, for messages
	Version string // of this program
	Names   *Names

	// Open gives who carries out the line. It is called once a line is known to
	// need somebody; Run closes what it gave.
	Open func(ctx context.Context, t Target) (Hosts, error)

	In       io.Reader
	Out, Err io.Writer // Out is written in large pieces, but for events

	notice bool // -b was given, so the buffer's size is to be told
}

// Listening tells how large the event socket's buffer has become, if the line
// asked for a size. Whoever opens it calls this.
func (f *Front) Listening(buffer uint64) {
	if f.notice {
		fmt.Fprintf(f.Err, "NOTICE: Netlink socket buffer size has been set to %d bytes.\n", buffer)
	}
}

// Banner stands before every message: "conntrack v1.2.3 (ctferry)". The name is
// the one the program was called by, the version this program's own: it is not
// conntrack-tools and does not say that it is.
func (f *Front) Banner() string { return fmt.Sprintf("%s v%s (ctferry)", f.Program, f.Version) }

// say writes a message to standard error.
func (f *Front) say(format string, args ...any) {
	fmt.Fprintf(f.Err, "%s: %s\n", f.Banner(), fmt.Sprintf(format, args...))
}

// parser reads command lines with the names of this machine.
func (f *Front) parser() *conntrack.Parser {
	return &conntrack.Parser{Protocol: f.Names.protocol, Label: f.Names.label, Extra: Extra()}
}

// Run carries out a command line, without the program's name, and gives the
// exit code. With -E it takes SIGINT and SIGTERM for the end.
func (f *Front) Run(ctx context.Context, argv []string) int {
	cmd, err := f.parser().Parse(argv)
	if err != nil {
		return f.refuse(err)
	}
	target, err := newTarget(cmd.Extra)
	if err != nil {
		return f.refuse(err)
	}
	switch cmd.Verb {
	case conntrack.VerbNone, conntrack.VerbHelp:
		return f.help(cmd)
	case conntrack.VerbVersion:
		fmt.Fprintln(f.Out, f.Banner())
		return exitOK
	case conntrack.VerbLoadFile:
		return f.load(ctx, cmd, target)
	}
	f.notice = cmd.Buffer.Set
	s, err := f.step(cmd, target)
	if err != nil {
		return f.refuse(err)
	}
	hosts, err := f.Open(ctx, target)
	if err != nil {
		return f.unopened(cmd, err)
	}
	r := &run{Front: f, cmd: cmd, step: s, target: target, hosts: hosts}
	code := r.do(ctx)
	if err := hosts.Close(); err != nil && code == exitOK {
		f.say("%s", err)
		code = exitFailed
	}
	return code
}

// unopened tells why nobody could be asked.
func (f *Front) unopened(c *conntrack.Command, err error) int {
	if usage := (*conntrack.UsageError)(nil); errors.As(err, &usage) {
		return f.refuse(usage)
	}
	f.say("%s", why(c, err))
	return exitFailed
}

// refuse tells what is wrong with a line.
func (f *Front) refuse(err error) int {
	var usage *conntrack.UsageError
	if errors.As(err, &usage) {
		fmt.Fprint(f.Err, usage.Text(f.Banner(), f.Program))
		return usage.Code
	}
	f.say("%s", err)
	return exitUsage
}

// Usage is the text of -h for a program of that name.
func Usage(program string) string { return conntrack.Usage(program) + extraUsage }

func (f *Front) help(c *conntrack.Command) int {
	fmt.Fprintf(f.Out, "%s\n%s", f.Banner(), Usage(f.Program))
	if !c.Proto.Set {
		return exitOK
	}
	if text := conntrack.ProtocolUsage(c.Proto.Value); text != "" {
		fmt.Fprintf(f.Out, "\nOptions of that protocol\n%s", text)
	}
	return exitOK
}

// aim gives a request what the line says of where and how. It gets no timeout:
// a table may be large and -E has no end; --wait is for a node that is silent.
func aim(q *control.Request, t Target) {
	q.NetNS = t.NetNS
	if q.Verb.Writes() {
		q.DryRun = t.DryRun
	}
}

// stamp makes a request one that is issued now. Nodes refuse a write that was
// issued long ago, so those of a file are stamped one by one.
func stamp(q *control.Request) { q.ID, q.IssuedAt = rand.Text(), time.Now() }
