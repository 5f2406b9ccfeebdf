package main

import (
	"context"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// journal tells the host's system log what a command line changed on this host,
// one message a command line. A node's requests are audited by the node; the
// local command line is conntrack(8), which nothing guards, so that this is its
// only trace. Where no system log listens, as in most containers, nothing is
// told: a command does not fail for it.
type journal struct {
	control.Caller
	argv []string
	dial func() (io.WriteCloser, error)

	writes          atomic.Uint64 // requests that wrote
	changed, failed atomic.Uint64 // entries
	refused         atomic.Uint64 // requests that ended in an error
}

// systemLog is the host's system log, for what concerns its security.
func systemLog(program string) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		return syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_NOTICE, program)
	}
}

// Call implements control.Caller.
func (j *journal) Call(ctx context.Context, q *control.Request, rows func(*flow.Batch) error) (*control.Result, error) {
	result, err := j.Caller.Call(ctx, q, rows)
	if !q.Verb.Writes() || q.DryRun {
		return result, err
	}
	j.writes.Add(1)
	if err != nil {
		j.refused.Add(1)
	}
	if result != nil {
		j.changed.Add(result.Count)
		j.failed.Add(result.Failed)
	}
	return result, err
}

// close writes the message, if there was anything to tell.
func (j *journal) close() error {
	if j.writes.Load() == 0 {
		return nil
	}
	w, err := j.dial()
	if err != nil {
		return nil
	}
	defer w.Close()
	io.WriteString(w, j.message()) //nolint:errcheck // as without a system log
	return nil
}

// maxJournal bounds the command line in a message, bytes: RFC 3164 has 1024 for
// the whole of it.
const maxJournal = 800

// message quotes the command line, so that nothing in it looks like another message.
func (j *journal) message() string {
	line := strings.Join(j.argv, " ")
	if len(line) > maxJournal {
		line = line[:maxJournal] + "…"
	}
	who := fmt.Sprintf("uid=%d", os.Getuid())
	if user := os.Getenv("SUDO_USER"); user != "" {
		who += fmt.Sprintf(" sudo_user=%q", user)
	}
	return fmt.Sprintf("%s command=%q entries=%d failed=%d errors=%d", who, line, j.changed.Load(), j.failed.Load(), j.refused.Load())
}
