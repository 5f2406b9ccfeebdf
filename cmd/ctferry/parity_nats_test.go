package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

// remoteConfig is a node that lets everything be done: %[1]s is its name, %[2]s
// the hub, %[3]s a directory, %[4]s the namespace.
const remoteConfig = `
node: %[1]s
source: {netns: [%[4]s], buffer: {size: 1MiB, max: 1MiB}}
connections: {hub: {type: nats, urls: [%[2]s]}}
control:
  enabled: true
  connection: hub
  allow: [list, get, count, stats, watch, delete, create, update, flush, zero]
  fleet_writes: true
  max_affected: 100000
  max_request: 1MiB
  audit: {path: %[3]s/audit.jsonl}
sinks: {out: {type: file, path: %[3]s/out}}
`

// startNode runs a node that answers for a namespace.
func startNode(t *testing.T, hub *natstest.Broker, name string, ns *testnet.Namespace) *process {
	t.Helper()
	dir := t.TempDir()
	p := startFerry(t, nil, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(remoteConfig, name, hub.ClientURL(), dir, filepath.Base(ns.Path()))))
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 || p.ended() })
	p.served(t)
	return p
}

// overNATS makes a runner of the program that asks nodes in the place of the
// kernel of the namespace; options say which.
func overNATS(path string, hub *natstest.Broker, options ...string) runner {
	return func(tb testing.TB, ns *testnet.Namespace, l *parityLine, labels bool) outcome {
		ctx, cancel := context.WithTimeout(tb.Context(), 60*time.Second)
		defer cancel()
		argv := append(append([]string{}, l.argv...), append(options, "--netns", filepath.Base(ns.Path()), "--server", hub.ClientURL())...)
		cmd := exec.CommandContext(ctx, path, argv...)
		cmd.Args[0] = "conntrack"
		if labels {
			cmd = exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", inLabels, "sh", path}, argv...)...)
		}
		var out, diag bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(l.stdin), &out, &diag
		if exit := (*exec.ExitError)(nil); !errors.As(errors.Join(cmd.Run()), &exit) && cmd.ProcessState == nil {
			tb.Errorf("%s %q did not run", path, argv)
			return outcome{code: -1}
		}
		return outcome{out.String(), strings.ReplaceAll(diag.String(), "node edge-1: ", ""), cmd.ProcessState.ExitCode()}
	}
}

// TestParityOverNATS runs the corpus with --node: a node answers for the
// namespace, and all is equal again but for what a node's guards refuse.
func TestParityOverNATS(t *testing.T) {
	s := newStage(t)
	if err := s.ours.Bind(fmt.Sprintf("ctferry-parity-%d", os.Getpid())); err != nil {
		testnet.Unavailable(t, "named network namespaces need root: %v", err)
	}
	hub := natstest.Start(t)
	p := startNode(t, hub, "edge-1", s.ours)
	var last outcome
	run := overNATS(asName(t, "conntrack"), hub, "--node", "edge-1")
	refused := 0
	s.passes = func(l *parityLine) bool {
		if strings.Contains(last.stderr, "the verb for that is flush") {
			refused++
			return true
		}
		return false
	}
	s.corpus(t, func(tb testing.TB, ns *testnet.Namespace, l *parityLine, labels bool) outcome {
		last = run(tb, ns, l, labels)
		return last
	})
	t.Logf("%d lines are refused by the node's guards", refused)
	p.stop(t)
}
