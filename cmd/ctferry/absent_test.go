package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

const absentConfig = `
source:
  netns: [%[1]s]
  filter: {include: [{netns: %[1]s}]}
  buffer: {size: 8MiB, max: 8MiB}
sinks:
  file: {type: file, path: %[2]s/out}
  bus: {type: nats, urls: [%[3]s], subject: "js.{node}.{event_type}", retry: {initial: 10ms, max: 100ms}, jetstream: {stream: S, manage: create, max_bytes: 64MiB}}
  dead: {type: kafka, brokers: [127.0.0.1:1], topic: nowhere, drain: 100ms}
`

// TestAbsentBrokersHoldUpNobody starts while no broker is there: the file has
// every event at once, the broker that comes gets every event later, the one
// that never comes has every event in its account, and the log stays short.
func TestAbsentBrokersHoldUpNobody(t *testing.T) {
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.StoreDir = t.TempDir() })
	url := hub.Config().URLs[0]
	hub.Stop()
	ns, dir := pipelineNamespace(t), t.TempDir()
	netns := filepath.Base(ns.Path())
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(absentConfig, netns, dir, url))
	p := startFerry(t, nil, "run", "-c", cfg)
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	churn(t, ns, 1000)
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= 2001 })
	if n := len(p.said("sink failed, will try again")); n < 2 || n > 10 {
		t.Errorf("%d lines tell of the absent brokers", n)
	}
	hub.Restart(t)
	waitFor(t, "the stream", func() bool { return len(p.said("nats stream created")) > 0 })
	churn(t, ns, 10)
	books := p.stop(t)
	if got, want := books.sink(t, "bus", "delivered"), books.sink(t, "file", "delivered"); got != want || want < 2022 {
		t.Errorf("the broker that came has %d of %d records", got, want)
	}
	if n := books.sink(t, "dead", "dropped"); n != books.sink(t, "dead", "offered") {
		t.Errorf("the broker that never came: %d of %d records are accounted for", n, books.sink(t, "dead", "offered"))
	}
	if e := p.said("sink failed, will try again")[0]["err"].(string); !strings.Contains(e, "refused") {
		t.Errorf("the log says %q", e)
	}
}
