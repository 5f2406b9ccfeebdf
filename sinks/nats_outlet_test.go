package sinks

import (
	"log/slog"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// The whole way through an outlet, while the broker starts late and restarts:
// the books balance with what stands in the stream.
func TestNATSOutlet(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	cfg, err := NewConfig("bus", "nats")
	if err != nil {
		t.Fatal(err)
	}
	o := cfg.Options.(*NATSOptions)
	o.URLs, o.Subject, o.JetStream.Stream = []string{b.ClientURL()}, "flows.{event_type}", "CTFERRY"
	cfg.Group, cfg.Flush.Count, cfg.Retry.Max = GroupNDJSON, 100, 100*time.Millisecond
	cfg.DeadLetter.Path, cfg.Memory = "/nonexistent/dead", 8*option.MiB
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	out, err := NewOutlet(cfg, "edge-1", natsTestRun(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.Stop()
	stop := start(out)
	const total = 6000
	rs := natsRecords(0, total)
	for i := range rs {
		out.Offer(&rs[i])
		switch i {
		case 1000, 4000:
			time.Sleep(100 * time.Millisecond)
			b.Restart(t)
			time.Sleep(100 * time.Millisecond)
		case 3000:
			b.Stop()
		}
	}
	for begin := time.Now(); out.Books().Delivered < total && time.Since(begin) < natsPatience; {
		time.Sleep(10 * time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	checkBooks(t, out, flow.SinkBooks{Offered: total, Delivered: total})
	got := natsStoredRecords(t, s, GroupNDJSON)
	mustHaveAll(t, got, 0, total)
	mustKeepOrder(t, got)
}
