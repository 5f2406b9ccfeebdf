package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// console is a sink that counts every record, shows the first of each kind
// whole, and says once a second how far it is.
type console struct {
	out io.Writer

	mu     sync.Mutex
	made   int
	begun  time.Time
	shown  time.Time
	seen   map[string]bool
	counts map[testnet.Kind]*[flow.TypeStatus + 1]int
	total  int
}

func newConsole(out io.Writer) *console {
	now := time.Now()
	return &console{out: out, begun: now, shown: now, seen: map[string]bool{}, counts: map[testnet.Kind]*[flow.TypeStatus + 1]int{}}
}

// Validate, Unordered and New make the console its own sinks.Options.
func (c *console) Validate() error                   { return nil }
func (c *console) Unordered() string                 { return "" }
func (c *console) New(sinks.Env) (sinks.Sink, error) { return c, nil }

// Open and Close have nothing to do.
func (c *console) Open(context.Context) error  { return nil }
func (c *console) Close(context.Context) error { return nil }

// Write counts and shows.
func (c *console) Write(_ context.Context, b *sinks.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range b.Records {
		r := &b.Records[i]
		c.count(r)
		if c.worthShowing(r) {
			fmt.Fprintf(c.out, "%s\n\n", r.Value)
		}
	}
	c.tell()
	return nil
}

func (c *console) count(r *sinks.Record) {
	c.total++
	if flow.AlwaysTypes.Has(r.Type) {
		return
	}
	kind := kindOf(r.Family, r.Proto)
	if c.counts[kind] == nil {
		c.counts[kind] = new([flow.TypeStatus + 1]int)
	}
	c.counts[kind][r.Type]++
}

// worthShowing picks one record of each kind that tells something new.
func (c *console) worthShowing(r *sinks.Record) bool {
	var key string
	switch {
	case r.Type == flow.TypeNew && bytes.Contains(r.Value, []byte(`"nat":`)):
		key = "nat"
	case r.Type == flow.TypeNew && r.Family == flow.IPv4 && r.Proto == flow.ProtoTCP,
		r.Type == flow.TypeDestroy && r.Family == flow.IPv6 && r.Proto == flow.ProtoUDP:
		key = r.Type.String() + flow.ProtoName(r.Proto)
	default:
		return false
	}
	if c.seen[key] {
		return false
	}
	c.seen[key] = true
	return true
}

// progress notes how many flows were made.
func (c *console) progress(made int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = made
	c.tell()
}

// tell writes a line a second; mu is held.
func (c *console) tell() {
	now := time.Now()
	if now.Sub(c.shown) < time.Second {
		return
	}
	c.shown = now
	fmt.Fprintf(c.out, "%4.1f s  %4d flows made  %5d records here\n", now.Sub(c.begun).Seconds(), c.made, c.total)
}
