package sinks

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

// What the pen writes itself is read as what nats.go writes.
func TestNATSPen(t *testing.T) {
	b := natstest.Start(t)
	got := natsListen(t, b.Dial(t), "ct.>")
	headers := map[string]string{"Site": " paris é ", "X": "", "Note": `"a": b; c`, "lower-case": "1"}
	byUs := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.Headers = headers }, nil)
	byClient := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.Headers = headers }, nil)
	stored := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { o.Headers = headers }, nil)
	stored.pen.header["Nats-Msg-Id"] = []string{""}
	type message struct {
		subject, reply string
		id             string
		size           int
	}
	messages := []message{
		{"ct.a", "", "", 1}, {"ct.b", "", "", 0}, {"ct.c", "", "", natsLarge - 1}, {"ct.d", "", "", natsLarge},
		{"ct.e", "", "", natsChunk}, {"ct.f", "", "", 300 << 10}, {"ct.g", "_INBOX.x.7", "", 10}, {"ct.h", "", "", 5},
	}
	for _, n := range []*NATS{byUs, byClient} {
		n.pen.begin(n.link)
		if n == byClient {
			n.pen.wire = nil
		}
		for i, m := range messages {
			if err := n.pen.publish(m.subject, []byte(m.reply), nil, bytes.Repeat([]byte{byte('a' + i)}, m.size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.pen.flush(); err != nil {
			t.Fatal(err)
		}
		if err := n.link.nc.FlushTimeout(natsPatience); err != nil {
			t.Fatal(err)
		}
	}
	msgs := got.wait(t, 2*len(messages))
	for i, m := range messages {
		us, client := msgs[i], msgs[len(messages)+i]
		if us.Subject != m.subject || us.Reply != m.reply || len(us.Data) != m.size {
			t.Errorf("%+v: subject %q, reply %q, %d bytes", m, us.Subject, us.Reply, len(us.Data))
		}
		if us.Subject != client.Subject || us.Reply != client.Reply || !bytes.Equal(us.Data, client.Data) || !reflect.DeepEqual(us.Header, client.Header) {
			t.Errorf("%+v: headers %q, want %q", m, us.Header, client.Header)
		}
	}
	if us := msgs[0].Header; us.Get("Site") != "paris é" || len(us) != 6 {
		t.Errorf("headers %q", us)
	}
}

// JetStream's id is a header of its own, on the wire and by nats.go.
func TestNATSPenID(t *testing.T) {
	b := natstest.Start(t)
	natsStream(t, b.Dial(t), nil)
	got := natsListen(t, b.Dial(t), natsTestSubject)
	n := openTestNATS(t, b.ClientURL(), inStream, nil)
	for _, wire := range []bool{true, false} {
		n.pen.begin(n.link)
		if !wire {
			n.pen.wire = nil
		}
		for _, id := range []string{"a.1-2", "a.3-3"} {
			if err := n.pen.publish(natsTestSubject, nil, []byte(id), []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.pen.flush(); err != nil {
			t.Fatal(err)
		}
		if err := n.link.nc.FlushTimeout(natsPatience); err != nil {
			t.Fatal(err)
		}
	}
	msgs := got.wait(t, 4)
	for i := range 2 {
		if !reflect.DeepEqual(msgs[i].Header, msgs[i+2].Header) || msgs[i].Header["Nats-Msg-Id"][0] != []string{"a.1-2", "a.3-3"}[i] {
			t.Errorf("headers %q, want %q", msgs[i].Header, msgs[i+2].Header)
		}
	}
}
