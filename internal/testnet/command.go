package testnet

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// Start starts a command inside the namespace; the caller waits for it.
func (ns *Namespace) Start(cmd *exec.Cmd) error { return ns.Do(cmd.Start) }

// Run runs a command inside the namespace and waits for it. Output goes where the
// command says.
func (ns *Namespace) Run(cmd *exec.Cmd) error {
	if err := ns.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// Conntrack runs conntrack(8) inside the namespace and returns the lines of its
// standard output. It fails the test if conntrack does, and skips it where conntrack
// is not installed (see [Unavailable]).
func (ns *Namespace) Conntrack(tb TB, args ...string) []string {
	tb.Helper()
	path, err := exec.LookPath("conntrack")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/conntrack")
	}
	if err != nil {
		Unavailable(tb, "conntrack(8) is not installed: %v", err)
	}
	var out, diag bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := ns.Run(cmd); err != nil {
		tb.Fatalf("conntrack %s: %v: %s", strings.Join(args, " "), err, diag.Bytes())
	}
	return lines(out.String())
}

// ConntrackCount is the number of entries in the namespace's table, by conntrack -C.
func (ns *Namespace) ConntrackCount(tb TB) int {
	tb.Helper()
	n := -1
	if out := ns.Conntrack(tb, "-C"); len(out) == 1 {
		if _, err := fmt.Sscan(out[0], &n); err != nil {
			tb.Fatalf("conntrack -C: %q: %v", out[0], err)
		}
	}
	return n
}

// lines splits text at its line ends, without an empty last line.
func lines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
