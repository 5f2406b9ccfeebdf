package sinks

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

func TestNATSJetStream(t *testing.T) {
	for _, tt := range []struct {
		name     string
		subject  string
		group    Group
		inFlight int
	}{
		{"single", "flows", GroupNone, 1},
		{"single by type", "flows.{event_type}", GroupNone, 1},
		{"lines", "flows", GroupNDJSON, 1},
		{"lines by type", "flows.{node}.{event_type}", GroupNDJSON, 1},
		{"many in flight", "flows.{event_type}", GroupNDJSON, 64},
		{"singles in flight", "flows.{event_type}", GroupNone, 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := natstest.Start(t)
			s := natsStream(t, b.Dial(t), nil)
			n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
				inStream(o)
				o.Subject, o.MaxInFlight = tt.subject, tt.inFlight
			}, func(e *Env) { e.Group = tt.group })
			for from := 0; from < 1000; from += 250 {
				if err := natsWrite(t, n, &Batch{Records: natsRecords(from, 250)}); err != nil {
					t.Fatal(err)
				}
			}
			rs := natsStoredRecords(t, s, tt.group)
			mustHaveAll(t, rs, 0, 1000)
			mustKeepOrder(t, rs)
			if n.Counters().Duplicates != 0 {
				t.Fatalf("%d duplicates", n.Counters().Duplicates)
			}
		})
	}
}

func TestNATSJetStreamMessage(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
		inStream(o)
		o.Headers = map[string]string{"Site": "paris"}
	}, func(e *Env) { e.Group, e.Format = GroupRecordBatch, encode.Formats()["protobuf"] })
	if err := natsWrite(t, n, &Batch{Records: natsRecords(100, 30)}); err != nil {
		t.Fatal(err)
	}
	msgs := natsStored(t, s)
	if len(msgs) != 1 {
		t.Fatalf("%d messages", len(msgs))
	}
	want := map[string]string{
		"Nats-Msg-Id":    "edge-1.ab0000000000000000000000000000cd.bus.100-129",
		"Content-Type":   groupContentType(encode.Formats()["protobuf"], GroupRecordBatch),
		"ctferry-schema": "ctferry.v1", "Site": "paris", "Nats-Expected-Stream": "CTFERRY",
	}
	for name, value := range want {
		if got := msgs[0].Header[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s: %v, want %q", name, got, value)
		}
	}
	mustHaveAll(t, natsSplit(t, encode.Delimited, GroupRecordBatch, msgs[0].Data), 100, 30)
}

// A message that is sent again bears the id that it had, whatever in front of
// it was delivered, so the stream keeps one of it.
func TestNATSSentAgain(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	change := func(o *NATSOptions) {
		inStream(o)
		o.Subject, o.MaxMessageBytes = "flows.{event_type}", 4*option.KiB
	}
	n := openTestNATS(t, b.ClientURL(), change, func(e *Env) { e.Group = GroupNDJSON })
	rs := natsRecords(0, 400)
	if err := natsWrite(t, n, &Batch{Records: rs}); err != nil {
		t.Fatal(err)
	}
	stored := len(natsStored(t, s))
	messages := slices.Clone(n.plan.messages)
	next := slices.Clone(n.plan.next)
	delivered := map[int]bool{}
	for i := range messages { // the answers to message i and all behind it were lost
		var rest []Record
		for at, r := range rs {
			if !delivered[at] {
				rest = append(rest, r)
			}
		}
		before := n.Counters().Duplicates
		if err := natsWrite(t, n, &Batch{Records: rest}); err != nil {
			t.Fatal(err)
		}
		if d := n.Counters().Duplicates - before; d != uint64(len(messages)-i) {
			t.Fatalf("without the first %d messages %d of %d were known", i, d, len(messages)-i)
		}
		for at := messages[i].head; at >= 0; at = next[at] {
			delivered[int(at)] = true
		}
	}
	if now := len(natsStored(t, s)); now != stored {
		t.Fatalf("%d messages became %d", stored, now)
	}
}

// The broker goes away over and over while records flow: nothing is lost,
// nothing stands twice, every flow keeps its order.
func TestNATSBrokerRestarts(t *testing.T) {
	for _, inFlight := range []int{1, 16} {
		b := natstest.Start(t)
		s := natsStream(t, b.Dial(t), nil)
		n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
			inStream(o)
			o.Subject, o.MaxMessageBytes, o.PublishTimeout, o.MaxInFlight = "flows.{event_type}", 4*option.KiB, 2*time.Second, inFlight
		}, func(e *Env) { e.Group = GroupNDJSON })
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 5 {
				select {
				case <-stop:
					return
				case <-time.After(150 * time.Millisecond):
				}
				b.Stop()
				b.Restart(t)
			}
		}()
		total := 0
		for begin := time.Now(); time.Since(begin) < 2*time.Second; total += 500 {
			natsFerry(t, n, natsRecords(total, 500))
		}
		close(stop)
		<-done
		natsFerry(t, n, natsRecords(total, 500))
		total += 500
		rs := natsStoredRecords(t, s, GroupNDJSON)
		mustHaveAll(t, rs, 0, total)
		if inFlight == 1 {
			mustKeepOrder(t, rs)
		}
		t.Logf("%d in flight: %d records, %d messages were known", inFlight, total, n.Counters().Duplicates)
	}
}

// The line is cut in the middle of a batch, again and again, so that answers
// are lost on their way.
func TestNATSLineCut(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	p := newNATSProxy(t, b.ClientURL())
	n := openTestNATS(t, p.url(), func(o *NATSOptions) { inStream(o); o.Subject = "flows.{event_type}" }, nil)
	total := 0
	for range 8 {
		cut := time.AfterFunc(3*time.Millisecond, func() { p.hold(); time.Sleep(time.Millisecond); p.cut(); p.release() })
		natsFerry(t, n, natsRecords(total, 300))
		total += 300
		cut.Stop()
	}
	p.release()
	rs := natsStoredRecords(t, s, GroupNone)
	mustHaveAll(t, rs, 0, total)
	mustKeepOrder(t, rs)
	if n.Counters().Duplicates == 0 {
		t.Log("no answer was ever lost")
	}
}

// A stream that is full and refuses new messages holds the sink up until there
// is room.
func TestNATSStreamFull(t *testing.T) {
	for _, inFlight := range []int{1, 8} {
		b := natstest.Start(t)
		s := natsStream(t, b.Dial(t), func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 25, jetstream.DiscardNew })
		n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { inStream(o); o.MaxInFlight = inFlight }, nil)
		batch := &Batch{Records: natsRecords(0, 40)}
		e := mustFail(t, natsWrite(t, n, batch), Retry, "stream CTFERRY: subject flows: cannot store: maximum messages exceeded")
		if len(doneOf(batch)) != 25 || e.Reopen {
			t.Fatalf("%d done, reopen %v", len(doneOf(batch)), e.Reopen)
		}
		rs := natsStoredRecords(t, s, GroupNone)
		if err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		natsFerry(t, n, batch.Records[25:])
		rs = append(rs, natsStoredRecords(t, s, GroupNone)...)
		mustHaveAll(t, rs, 0, 40)
		mustKeepOrder(t, rs)
	}
}

func TestNATSStreamFullOfBytes(t *testing.T) {
	b := natstest.Start(t)
	natsStream(t, b.Dial(t), func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 5000, jetstream.DiscardNew })
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { inStream(o); o.MaxInFlight = 8 }, nil)
	mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 400)}), Retry, "cannot store: maximum bytes exceeded")
}

// A refused subject gets no answer from JetStream, but the refusal is seen at once.
func TestNATSJetStreamPermission(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{
			natstest.User("ann", "pw", []string{"flows.new", "$JS.API.STREAM.INFO.CTFERRY"}, []string{"_INBOX.>"}),
			natstest.User("mute", "pw", []string{"flows.>"}, []string{"_INBOX.>"}),
			natstest.User("deaf", "pw", []string{"flows.>", "$JS.API.>"}, []string{"nothing"}),
			natstest.User("all", "pw", nil, nil),
		}
	})
	natsStream(t, b.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "all", option.NewSecret("pw") }), nil)
	as := func(user string) *NATS {
		return newTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
			inStream(o)
			o.Subject, o.User, o.Password = "flows.{event_type}", user, option.NewSecret("pw")
		}, nil)
	}
	begin := time.Now()
	ann := as("ann")
	natsOpen(t, ann)
	batch := &Batch{Records: natsRecords(0, 40)}
	mustFail(t, natsWrite(t, ann, batch), Configuration, `stream CTFERRY: subject flows.update: no permission to publish "flows.update"`)
	if done := doneOf(batch); len(done) != 7 { // in order, up to the refused one
		t.Errorf("done %v", done)
	}
	mute := as("mute")
	mustFail(t, mute.Open(t.Context()), Configuration, "stream CTFERRY: ", `no permission to publish "$JS.API.STREAM.INFO.CTFERRY"`)
	_ = mute.Close(t.Context())
	deaf := as("deaf")
	mustFail(t, deaf.Open(t.Context()), Configuration, "stream CTFERRY: ", "no permission to subscribe")
	_ = deaf.Close(t.Context())
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("refusals took %s", d)
	}
}

// A stream that stays silent is noticed in publish_timeout.
func TestNATSJetStreamSilence(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	p := newNATSProxy(t, b.ClientURL())
	for _, inFlight := range []int{1, 8} {
		n := openTestNATS(t, p.url(), func(o *NATSOptions) {
			inStream(o)
			o.PublishTimeout, o.MaxInFlight = 300*time.Millisecond, inFlight
		}, nil)
		p.hold()
		batch := &Batch{Records: natsRecords(inFlight*100, 10)}
		mustFail(t, natsWrite(t, n, batch), Retry, "stream CTFERRY: subject flows: no acknowledgement in time")
		if doneOf(batch) != nil {
			t.Fatalf("done %v", doneOf(batch))
		}
		p.release()
		natsFerry(t, n, batch.Records)
	}
	if rs := natsStoredRecords(t, s, GroupNone); len(rs) != 20 {
		t.Fatalf("%d records", len(rs))
	}
}

// The stream's own limit of a message counts too, also when it changes.
func TestNATSMaxMsgSize(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), func(c *jetstream.StreamConfig) { c.MaxMsgSize = 8 << 10 })
	n := openTestNATS(t, b.ClientURL(), inStream, func(e *Env) { e.Group = GroupNDJSON })
	natsFerry(t, n, natsRecords(0, 500))
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 5 << 10
	if _, err := n.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	e := mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(500, 100)}), Retry, "message size exceeds maximum allowed")
	if !e.Reopen {
		t.Fatal("the limit is not read again")
	}
	natsFerry(t, n, natsRecords(500, 100)) // finds the same
	rs := natsStoredRecords(t, s, GroupNDJSON)
	mustHaveAll(t, rs, 0, 600)
	for _, m := range natsStored(t, s)[0:] {
		if len(m.Data) > 8<<10 {
			t.Fatalf("a message of %d bytes", len(m.Data))
		}
	}
}
