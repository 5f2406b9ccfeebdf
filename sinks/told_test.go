package sinks

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// toldFields are projections that show what is derived and hide what it is derived from.
func toldFields() [][]string {
	return [][]string{
		{"duration_ns"},
		{"close_reason"},
		{"close_reason", "orig.src"},
		{"community_id"},
		{"nat.community_id"},
		{"nat", "orig.src", "orig.dst", "reply.src", "reply.dst", "community_id"},
		{"nat.ipfix_event"},
		{"nat.sport", "family"},
		{"orig.src"},
		{"reply.src", "nat.type"},
		{"since"},
		{"orig.srckey"},
		{"duration_ns", "close_reason", "community_id", "nat"},
	}
}

// toldEvents are ends of flows: of TCP by its state and by a process, of a forwarded port,
// of one whose port alone is translated, of GRE, and one that was inferred.
func toldEvents(b *flow.Batch) []flow.Event {
	end := func(inside, other, outside string) *flow.Event {
		e := translated(b, flow.TypeDestroy, inside, other, outside)
		e.Has |= flow.HasStatus | flow.HasStart | flow.HasStop | flow.HasTCPState
		e.Status, e.Start, e.Stop, e.TCP.State = flow.StatusSeenReply, profileTime-7e9, profileTime, flow.TCPTimeWait
		return e
	}
	end("100.64.0.7:1000", "198.51.100.1:443", "203.0.113.9:5000")
	e := end("192.0.2.1:1000", "203.0.113.9:443", "192.0.2.1:1000")
	e.Reply.Src[0], e.Reply.SrcPort = 100, 8443 // forwarded to 100.0.113.9
	e.Has |= flow.HasPortID
	end("100.64.0.7:1000", "198.51.100.1:443", "100.64.0.7:5000")
	end("[2001:db8::7]:1000", "[2001:db8:1::1]:443", "[2001:db8::7]:1000").Status = 0
	e = end("100.64.0.7:16", "198.51.100.1:17", "203.0.113.9:16")
	e.Proto, e.Orig.Proto, e.Reply.Proto = flow.ProtoGRE, flow.ProtoGRE, flow.ProtoGRE
	e.Has &^= flow.HasTCPState
	e = end("100.64.0.7:1000", "198.51.100.1:443", "203.0.113.9:5000")
	e.Has |= flow.HasSynthetic | flow.HasBounds
	e.Synthetic, e.Since, e.Until = true, profileTime-3e9, profileTime
	return b.Events()
}

// TestOverflowTellsItAgain stops with sinks that take nothing: what was in memory comes by
// way of the disk, and says what it would have said, of derived values too, with the same
// inside addresses.
func TestOverflowTellsItAgain(t *testing.T) {
	events := toldEvents(flow.NewBatch(16))
	var tastes []func(*Config)
	for _, format := range []string{"json", "xml", "protobuf"} {
		for _, fields := range append(toldFields(), nil) {
			tastes = append(tastes, little(func(c *Config) {
				c.Options = insideOptions{c.Options.(scriptOptions)}
				c.Drain, c.Encoding, c.Fields, c.CommunityID, c.CommunityIDSeed = 10*time.Millisecond, format, fields, true, 5
			}))
		}
		for _, fields := range [][]string{nil, {"orig", "reply"}, {"reply.sport"}, {"orig.dst", "nat.dport"}, {"nat.dst"}} {
			tastes = append(tastes, little(func(c *Config) {
				c.Options = insideOptions{c.Options.(scriptOptions)}
				c.Drain, c.Encoding, c.Fields, c.OmitDestination = 10*time.Millisecond, format, fields, true
			}))
		}
	}
	cfg := overflowConfig(t)
	h := build(t, cfg, tastes...)
	for _, sink := range h.sinks {
		sink.write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	}
	h.write().read()
	batch := flow.NewBatch(16)
	toldEvents(batch)
	h.fanout.Take(batch)
	h.close()
	h = build(t, cfg, tastes...)
	keys := make([][]string, len(h.sinks))
	for i, sink := range h.sinks {
		sink.write = func(_ context.Context, _ int, b *Batch) error {
			for j := range b.Records {
				a, _ := b.Records[j].Inside()
				keys[i] = append(keys[i], a.String())
			}
			return nil
		}
	}
	h.write().read()
	h.waitFor()
	h.close()
	for i, sink := range h.sinks {
		c := h.outlets[i].cfg
		p, err := c.Projection()
		if err != nil {
			t.Fatal(err)
		}
		enc := encode.Formats()[c.Encoding].NewEncoder(p)
		if len(sink.values) != len(events) {
			t.Fatalf("%s %v: %d records, expected %d", c.Encoding, c.Fields, len(sink.values), len(events))
		}
		for j := range events {
			if want := enc.Append(nil, &events[j]); !bytes.Equal(sink.values[j], want) {
				t.Errorf("%s %v:\n got %q\nwant %q", c.Encoding, c.Fields, sink.values[j], want)
			}
		}
		if want := []string{"100.64.0.7", "100.0.113.9", "100.64.0.7", "2001:db8::7", "100.64.0.7", "100.64.0.7"}; !slices.Equal(keys[i], want) {
			t.Errorf("%s %v: inside addresses %q, expected %q", c.Encoding, c.Fields, keys[i], want)
		}
	}
}
