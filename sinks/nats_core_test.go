package sinks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
)

func TestNATSCore(t *testing.T) {
	b := natstest.Start(t)
	got := natsListen(t, b.Dial(t), "ct.>")
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
		o.Subject = "ct.{node}.{table}.{event_type}"
		o.Headers = map[string]string{"Site": "paris"}
	}, nil)
	rs := natsRecords(1, 100)
	if err := natsWrite(t, n, &Batch{Records: rs}); err != nil {
		t.Fatal(err)
	}
	for i, m := range got.wait(t, 100) {
		r := natsParse(t, m.Data)
		if r.Seq != rs[i].Seq || m.Subject != "ct.edge-1.conntrack."+rs[i].Type.String() {
			t.Fatalf("message %d: record %d on %s", i, r.Seq, m.Subject)
		}
		want := nats.Header{"Content-Type": {"application/json"}, "ctferry-schema": {"ctferry.v1"}, "Site": {"paris"}}
		if len(m.Header) != len(want) || m.Header["Content-Type"][0] != want["Content-Type"][0] ||
			m.Header["ctferry-schema"][0] != want["ctferry-schema"][0] || m.Header["Site"][0] != "paris" {
			t.Fatalf("headers %v, want %v", m.Header, want)
		}
	}
}

func TestNATSCoreGroups(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	for _, tt := range []struct {
		format, subject string
		group           Group
		content         string
		messages        int
	}{
		{"json", "ct", GroupNDJSON, "application/x-ndjson", 1},
		{"json", "ct.{event_type}", GroupNDJSON, "application/x-ndjson", 0},
		{"protobuf", "ct.{table}", GroupRecordBatch, encode.Formats()["protobuf"].ContentType + "Batch", 1},
	} {
		t.Run(tt.subject+"/"+string(tt.group), func(t *testing.T) {
			got := natsListen(t, nc, "ct.>")
			if tt.subject == "ct" {
				got = natsListen(t, nc, "ct")
			}
			format := encode.Formats()[tt.format]
			n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.Subject = tt.subject },
				func(e *Env) { e.Format, e.Group = format, tt.group })
			if err := natsWrite(t, n, &Batch{Records: natsRecords(1, 500)}); err != nil {
				t.Fatal(err)
			}
			if tt.messages == 0 {
				tt.messages = len(n.plan.messages)
				if tt.messages > 150 { // seven flows that change their subject all the time are the worst case
					t.Errorf("500 records went into %d messages", tt.messages)
				}
			}
			var rs []natsRecord
			for _, m := range got.wait(t, tt.messages) {
				rs = append(rs, natsSplit(t, format.Framing, tt.group, m.Data)...)
				if c := m.Header.Get("Content-Type"); strings.ReplaceAll(c, "RecordBatch", "Record") != strings.ReplaceAll(tt.content, "Batch", "") {
					t.Fatalf("Content-Type %q", c)
				}
			}
			mustHaveAll(t, rs, 1, 500)
			mustKeepOrder(t, rs)
		})
	}
}

// A refused subject is known by the end of the Write; the others are delivered.
func TestNATSCorePermission(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = []*server.User{natstest.User("ann", "pw", []string{"ct.new", "ct.status", "ct.destroy"}, nil), natstest.User("all", "pw", nil, nil)}
	})
	got := natsListen(t, b.Dial(t, func(c *natsconn.Config) { c.User, c.Password = "all", option.NewSecret("pw") }), "ct.>")
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) {
		o.Subject, o.User, o.Password = "ct.{event_type}", "ann", option.NewSecret("pw")
	}, nil)
	for round := range 20 {
		batch := &Batch{Records: natsRecords(round*40, 40)}
		err := natsWrite(t, n, batch)
		e := mustFail(t, err, Configuration, `subject ct.update: no permission to publish "ct.update"`)
		if !e.Reopen {
			t.Fatal("the permissions may have changed, but the sink does not want to be opened again")
		}
		var want []uint64
		for _, r := range batch.Records {
			if r.Type.String() != "update" {
				want = append(want, r.Seq)
			}
		}
		if done := doneOf(batch); !slices.Equal(done, want) {
			t.Fatalf("done %v, want %v", done, want)
		}
		if round == 10 {
			natsOpen(t, n) // a connection without history
		}
	}
	var allowed int
	for _, r := range natsRecords(0, 800) {
		if r.Type.String() != "update" {
			allowed++
		}
	}
	got.wait(t, allowed)
	if err := natsWrite(t, n, &Batch{Records: natsRecords(1, 1)}); err != nil {
		t.Fatalf("an allowed subject after refusals: %v", err)
	}
}

func TestNATSCoreServerGone(t *testing.T) {
	b := natstest.Start(t)
	n := openTestNATS(t, b.ClientURL(), nil, nil)
	if err := natsWrite(t, n, &Batch{Records: natsRecords(0, 10)}); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	batch := &Batch{Records: natsRecords(10, 10)}
	e := mustFail(t, natsWrite(t, n, batch), Retry, "nnect")
	if e.Reopen || doneOf(batch) != nil {
		t.Fatalf("reopen %v, done %v", e.Reopen, doneOf(batch))
	}
	b.Restart(t)
	got := natsListen(t, b.Dial(t), natsTestSubject)
	natsFerry(t, n, batch.Records)
	got.wait(t, 10)
}

// A connection that nats.go gives up for good asks to be opened again.
func TestNATSClosedForGood(t *testing.T) {
	b := natstest.Start(t)
	n := openTestNATS(t, b.ClientURL(), nil, nil)
	n.link.nc.Close()
	if e := mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 1)}), Retry, "connection closed"); !e.Reopen {
		t.Fatal("the sink does not want to be opened again")
	}
	natsOpen(t, n)
	if err := natsWrite(t, n, &Batch{Records: natsRecords(0, 1)}); err != nil {
		t.Fatal(err)
	}
}

func TestNATSPayloadLimit(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.MaxPayload = 8 << 10 })
	for _, group := range []Group{GroupNone, GroupNDJSON} {
		t.Run(string(group), func(t *testing.T) {
			got := natsListen(t, b.Dial(t), natsTestSubject)
			n := openTestNATS(t, b.ClientURL(), nil, func(e *Env) { e.Group = group })
			rs := natsRecords(0, 300)
			large := []int{0, 77, 299}
			for _, i := range large {
				rs[i].Value = append(rs[i].Value, strings.Repeat(" ", 8<<10)...)
			}
			batch := &Batch{Records: rs}
			e := mustFail(t, natsWrite(t, n, batch), Poison, "subject flows: record of 83", "a message holds at most 8")
			if !slices.Equal(e.Poison, large) || len(doneOf(batch)) != 297 {
				t.Fatalf("poison %v, %d done", e.Poison, len(doneOf(batch)))
			}
			var all []natsRecord
			for _, m := range got.wait(t, len(n.plan.messages)) {
				if m.Size() > 8<<10+len(natsTestSubject) {
					t.Fatalf("a message of %d bytes", m.Size())
				}
				all = append(all, natsSplit(t, encode.Lines, group, m.Data)...)
			}
			if len(all) != 297 {
				t.Fatalf("%d records", len(all))
			}
			mustKeepOrder(t, all)
		})
	}
}

// The limit is exact: what just fits is sent.
func TestNATSPayloadFits(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.MaxPayload = 8 << 10 })
	got := natsListen(t, b.Dial(t), natsTestSubject)
	n := openTestNATS(t, b.ClientURL(), nil, nil)
	_, most := n.bounds()
	rs := natsRecords(0, 2)
	for i := range rs {
		rs[i].Value = append(rs[i].Value, strings.Repeat(" ", most+i-len(rs[i].Value))...)
	}
	if poison := natsFerry(t, n, rs); !slices.Equal(poison, []uint64{1}) {
		t.Fatalf("poison %v", poison)
	}
	if m := got.wait(t, 1)[0]; len(m.Data) != most {
		t.Fatalf("%d bytes, want %d", len(m.Data), most)
	}
}

func TestNATSTooSmallServer(t *testing.T) {
	b := natstest.Start(t, func(c *natsconn.ServerConfig) { c.MaxPayload = 2 << 10 })
	n := newTestNATS(t, b.ClientURL(), nil, nil)
	mustFail(t, n.Open(t.Context()), Configuration, "messages of 2048 bytes at most")
	_ = n.Close(t.Context())
}

func TestNATSInProcess(t *testing.T) {
	srv, err := natsconn.NewServer(natsconn.ServerConfig{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	nc, err := nats.Connect("", srv.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	got := natsListen(t, nc, natsTestSubject)
	n := openTestNATS(t, "", func(o *NATSOptions) { o.URLs, o.InProcess = nil, srv.InProcess() }, nil)
	if err := natsWrite(t, n, &Batch{Records: natsRecords(0, 1000)}); err != nil {
		t.Fatal(err)
	}
	got.wait(t, 1000)
}

// A server that hangs is noticed in publish_timeout.
func TestNATSCoreSilence(t *testing.T) {
	b := natstest.Start(t)
	p := newNATSProxy(t, b.ClientURL())
	n := openTestNATS(t, p.url(), func(o *NATSOptions) { o.PublishTimeout = 200 * time.Millisecond }, nil)
	p.hold()
	begin := time.Now()
	mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 10)}), Retry, "flush: no answer in time")
	if d := time.Since(begin); d > 5*time.Second {
		t.Fatalf("noticed after %s", d)
	}
	p.release()
	natsFerry(t, n, natsRecords(0, 10))
}
