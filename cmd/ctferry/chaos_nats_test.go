package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
)

const chaosNATSConfig = chaosSource + `
spool: {mode: always, dir: %[2]s/spool, max: 1GiB, min_free: 0, segment: 4MiB}
sinks:
  file: {type: file, path: %[2]s/out, encoding: protobuf, rotate: {size: 0}}
  stream:
    type: nats
    urls: [%[3]s]
    user: node
    password: pw
    encoding: protobuf
    batch: record_batch
    subject: "flows.{node}"
    memory: 32MiB
    retry: {max: 500ms}
    publish_timeout: 1s
    jetstream: {stream: CTFERRY}
`

// hub is a nats-server with a stream, and a node whose rights can be taken.
type hub struct {
	*natstest.Broker
	node   *server.User
	stream jetstream.StreamConfig
}

func startHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{node: natstest.User("node", "pw", nil, nil)}
	h.grant(true)
	h.Broker = natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{h.node, natstest.User("admin", "pw", nil, nil)}
	})
	h.stream = jetstream.StreamConfig{Name: "CTFERRY", Subjects: []string{"flows.>"}, Discard: jetstream.DiscardNew, MaxMsgs: -1}
	h.setRoom(t, -1)
	return h
}

// grant gives the node the right to publish records, or takes it. The server
// looks at it when it starts.
func (h *hub) grant(records bool) {
	allow := []string{"$JS.API.STREAM.INFO.CTFERRY"}
	if records {
		allow = append(allow, "flows.>")
	}
	h.node.Permissions = &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}
}

// setRoom lets the stream take so many messages more; -1 is any number.
func (h *hub) setRoom(t *testing.T, messages int64) {
	t.Helper()
	js := h.admin(t)
	h.stream.MaxMsgs = messages
	if messages >= 0 {
		h.stream.MaxMsgs += int64(h.messages(t))
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), h.stream); err != nil {
		t.Fatal(err)
	}
}

// admin is a new connection of who may do everything.
func (h *hub) admin(t *testing.T) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(h.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "admin", option.NewSecret("pw") }))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// messages is how many the stream has.
func (h *hub) messages(t *testing.T) uint64 {
	t.Helper()
	s, err := h.admin(t).Stream(t.Context(), "CTFERRY")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// grows waits until the stream takes messages again, many more than the few
// that it has room for when it is called full.
func (h *hub) grows(t *testing.T) {
	t.Helper()
	before := h.messages(t)
	waitFor(t, "the stream to take messages again", func() bool { time.Sleep(100 * time.Millisecond); return h.messages(t) > before+10 })
}

// read gives what the stream has.
func (h *hub) read(t *testing.T) *trail {
	t.Helper()
	s := newTrail("stream", "protobuf")
	h.readInto(t, s)
	return s
}

func (h *hub) readInto(t *testing.T, s *trail) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stream, err := h.admin(t).Stream(ctx, "CTFERRY")
	if err != nil {
		t.Fatal(err)
	}
	for seq := stream.CachedInfo().State.FirstSeq; seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		for record, err := range encode.SplitGroup(encode.Delimited, msg.Data) {
			if err != nil {
				t.Fatal(err)
			}
			s.read(t, record)
		}
	}
}

// chaosNATS takes the server away, then the right to publish, then the room in
// the stream, all under one load: each holds the sink up and nothing else, and
// in the end the stream has all that the file has.
func chaosNATS(t *testing.T, f *figures) {
	h := startHub(t)
	ns, dir := chaosNamespace(t), t.TempDir()
	netns, out := filepath.Base(ns.Path()), filepath.Join(dir, "out")
	p := startChaos(t, netns, writeFile(t, dir, "c.yaml", fmt.Sprintf(chaosNATSConfig, netns, dir, h.ClientURL())))
	l := startLoad(t, testnet.Churn{NS: ns, Rate: chaosRate()})
	time.Sleep(500 * time.Millisecond)
	mem := watchMemory(t, p)
	before, down := mem.now(), inLong(30*time.Second, 1500*time.Millisecond)
	away := func(change func()) time.Duration {
		h.Stop()
		change()
		still := pacing(t, out, down/2)
		h.Restart(t)
		return still
	}
	var still time.Duration
	stuck := func(why string) {
		n := h.messages(t)
		still = max(still, pacing(t, out, down))
		if now := h.messages(t); now != n {
			t.Errorf("%s: the stream took %d messages", why, now-n)
		}
		if chaosLong() { // the log is sampled, so its word may be seconds late
			p.complained(t, why)
		}
	}
	still = away(func() { time.Sleep(down / 2) })
	h.grows(t)
	still = max(still, away(func() { h.grant(false) }))
	stuck(`no permission to publish "flows.edge-1"`)
	still = max(still, away(func() { h.grant(true) }))
	h.grows(t)
	h.setRoom(t, 3)
	time.Sleep(300 * time.Millisecond) // for the three that it takes
	stuck("maximum messages exceeded")
	h.setRoom(t, -1)
	h.grows(t)
	made := l.stop(t)
	waitFor(t, "what waits in the spool", func() bool { return !strings.Contains(spoolState(t, dir), "behind") })
	books, most := p.stop(t), mem.end()

	a, b := trailOfFiles(t, "protobuf", out), h.read(t)
	if lost := books.socket(t, netns, "lost"); lost != 0 || books.socket(t, netns, "offered") != made.Events() {
		t.Errorf("%d events were made, %d offered, %d lost", made.Events(), books.socket(t, netns, "offered"), lost)
	}
	if a.records != made.Events() || b.missing(a) != 0 || b.records != a.records || b.repeats != 0 {
		t.Errorf("%d events: the file has %d, the stream %d and %d twice", made.Events(), a.records, b.records, b.repeats)
	}
	if most > before+32+64 {
		t.Errorf("%d MiB resident, %d before", most, before)
	}
	f.tell("stopped %s, no right to publish %s, stream full %s, at %.0f events/s: %d made, %d in the file, %d in the stream, %d twice, 0 out of order",
		down, down, down, made.PerSecond(), made.Events(), a.records, b.records, b.repeats)
	f.tell("file meanwhile: longest still for %s; resident %d MiB before, %d at most", still.Round(time.Millisecond), before, most)
}

// complained waits until the program has told of a sink's error.
func (p *process) complained(t *testing.T, what string) {
	t.Helper()
	waitFor(t, "the log to say "+what, func() bool {
		for _, e := range append(p.said("sink failed, will try again"), p.said("sink cannot work until its configuration or the other side is mended")...) {
			if text, _ := e["err"].(string); strings.Contains(text, what) {
				return true
			}
		}
		return false
	})
}
