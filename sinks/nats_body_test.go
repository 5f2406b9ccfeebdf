package sinks

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// natsTape is a socket that only remembers.
type natsTape struct {
	net.Conn
	written []byte
}

func (c *natsTape) SetWriteDeadline(time.Time) error { return nil }

func (c *natsTape) Write(p []byte) (int, error) {
	c.written = append(c.written, p...)
	return len(p), nil
}

// natsOnTape gives what stands on the wire when a batch's messages have been sent.
func natsOnTape(t *testing.T, n *NATS, b *Batch) []byte {
	t.Helper()
	tape := &natsTape{}
	n.pen.wire, n.pen.buf = &natsWire{Conn: tape}, n.pen.buf[:0]
	n.body.begin(b)
	defer n.body.end()
	for i := range n.plan.messages {
		m := &n.plan.messages[i]
		if err := n.pen.publish(m.subject, nil, n.id.of(&b.Records[m.head], &b.Records[m.tail]), n.body.of(m)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.pen.flush(); err != nil {
		t.Fatal(err)
	}
	return tape.written
}

// The same bytes go over the wire out of segments and out of records that stand
// anywhere, whatever the records, their subjects, the segments and the room.
func TestNATSBodySame(t *testing.T) {
	ways := []struct {
		format string
		group  Group
	}{{"json", GroupNDJSON}, {"xml", GroupNDJSON}, {"json", GroupNone}, {"protobuf", GroupRecordBatch}}
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 0))
		way := ways[max(0, int(seed%8)-4)]
		script := make([]byte, 2*rng.IntN(600))
		for i := range script {
			script[i] = byte(rng.Uint32N(256) >> rng.UintN(9)) // mostly of one subject, and short
			if i >= 2 && rng.UintN(8) > 0 {
				script[i] = script[i-2] // in runs
			}
		}
		rs, long := natsScript(script), 1+rng.IntN(40)
		for i := range rs {
			rs[i].Value = pattern(rs[i].Seq, (len(rs[i].Value)-1)*long)
		}
		n := newTestNATS(t, "nats://127.0.0.1", func(o *NATSOptions) { o.Subject = natsPlanTemplates()[seed%5] },
			func(e *Env) { e.Format, e.Group = encode.Formats()[way.format], way.group })
		room := 10 << rng.UintN(16)
		n.plan.arrange(rs, room, 2*room)
		want := natsOnTape(t, n, &Batch{Records: rs})
		lent := through(newMemory(1<<30, minSegment<<rng.UintN(11), n.env.Format.Framing, false), rs)
		for range 2 { // a batch finds nothing of the one before
			if got := natsOnTape(t, n, lent); !bytes.Equal(got, want) {
				t.Fatalf("seed %d: out of segments %d bytes:\n%q\nwant %d:\n%q", seed, len(got), got, len(want), want)
			}
		}
	}
}

// stands reports whether a part is one of the frames' own bytes.
func stands(part []byte, in []frames) bool {
	return slices.ContainsFunc(in, func(f frames) bool {
		for i := range f.bytes {
			if &f.bytes[i] == &part[0] {
				return i+len(part) <= len(f.bytes)
			}
		}
		return false
	})
}

// With one subject nothing is put together: a message is made of the segments' own
// bytes, one part of each, and nothing of them is kept behind the batch.
func TestNATSBodyLends(t *testing.T) {
	n := newTestNATS(t, "nats://127.0.0.1", nil, func(e *Env) { e.Group = GroupNDJSON })
	b := through(newMemory(1<<30, 5000, encode.Lines, false), natsRecords(0, 1000))
	n.plan.arrange(b.Records, 12_000, 1<<20)
	n.body.begin(b)
	total := 0
	for i := range n.plan.messages {
		parts := n.body.of(&n.plan.messages[i])
		total += len(parts)
		for _, part := range parts {
			if !stands(part, b.frames) {
				t.Fatalf("message %d: a part of %d bytes is a copy", i, len(part))
			}
		}
	}
	if n.body.end(); cap(n.body.whole) > 0 || len(n.plan.messages) < 10 {
		t.Errorf("%d bytes were put together, of %d messages", cap(n.body.whole), len(n.plan.messages))
	}
	if most := len(b.frames) + len(n.plan.messages) - 1; total > most {
		t.Errorf("%d parts, expected %d at most", total, most)
	}
	for _, part := range n.body.parts[:cap(n.body.parts)] {
		if part != nil {
			t.Error("a part is kept")
		}
	}
}

// Subjects that take turns have their messages put together; one that has a run for
// itself has it lent, wherever it stands.
func TestNATSBodyAmongOthers(t *testing.T) {
	n := newTestNATS(t, "nats://127.0.0.1", func(o *NATSOptions) { o.Subject = "{event_type}" }, func(e *Env) { e.Group = GroupNDJSON })
	rs := natsRecords(0, 35) // seven new, seven update, seven destroy ..., every tenth is a status
	for i := range rs {
		rs[i].FlowID = uint64(i) // nothing overtakes anything
	}
	rs[19].Type = flow.TypeDestroy // no status among those
	b := through(newMemory(1<<30, 400, encode.Lines, false), rs)
	n.plan.arrange(b.Records, 1<<20, 1<<20)
	n.body.begin(b)
	defer n.body.end()
	lent := map[string]bool{}
	for i := range n.plan.messages {
		m := &n.plan.messages[i]
		parts := n.body.of(m)
		if got, want := bytes.Join(parts, nil), encode.AppendGroup(nil, encode.Lines, n.plan.values(m, rs)); !bytes.Equal(got, want) {
			t.Errorf("%s: %q, want %q", m.subject, got, want)
		}
		lent[m.subject] = stands(parts[0], b.frames)
	}
	if len(lent) != 4 || lent["new"] || lent["update"] || lent["status"] || !lent["destroy"] {
		t.Errorf("lent: %v", lent)
	}
}

// A message costs no allocation, lent or put together.
func TestNATSBodyAllocates(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if conn, err := l.Accept(); err == nil {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 64<<10))
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n := newTestNATS(t, "nats://127.0.0.1", nil, func(e *Env) { e.Group = GroupNDJSON })
	n.pen.wire = &natsWire{Conn: conn}
	b := through(newMemory(1<<30, 60_000, encode.Lines, false), natsRecords(0, 3000))
	for _, b := range []*Batch{b, {Records: b.Records}} {
		write := func() {
			n.plan.arrange(b.Records, 100_000, 1<<20)
			n.body.begin(b)
			for i := range n.plan.messages {
				if err := n.pen.publish("s", nil, nil, n.body.of(&n.plan.messages[i])...); err != nil {
					t.Fatal(err)
				}
			}
			if n.body.end(); n.pen.flush() != nil {
				t.Fatal("not written")
			}
		}
		allocs := testing.AllocsPerRun(20, write)
		for range 5 { // it counts the whole process, and what other tests started may not have ended yet
			allocs = min(allocs, testing.AllocsPerRun(20, write))
		}
		if allocs > 0 {
			t.Errorf("frames %v: %v allocations for %d messages", b.frames != nil, allocs, len(n.plan.messages))
		}
	}
	_ = conn.Close()
	<-drained
}

// What a stream did not take of a batch out of the queue comes again without frames,
// as a retry does, in the same messages: the stream has each once, and knows the ids.
func TestNATSBodySentAgain(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 4, jetstream.DiscardNew })
	n := openTestNATS(t, b.ClientURL(), func(o *NATSOptions) { inStream(o); o.MaxMessageBytes = 40 * option.KiB },
		func(e *Env) { e.Group = GroupNDJSON })
	batch := through(newMemory(1<<30, 30_000, encode.Lines, false), natsRecords(0, 2000))
	mustFail(t, natsWrite(t, n, batch), Retry, "maximum messages exceeded")
	var want [][]byte
	for i := range n.plan.messages {
		want = append(want, encode.AppendGroup(nil, encode.Lines, n.plan.values(&n.plan.messages[i], batch.Records)))
	}
	delivered := len(doneOf(batch))
	if len(want) < 6 || delivered == 0 {
		t.Fatalf("%d messages, %d records delivered", len(want), delivered)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = -1
	if _, err := n.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	rest := &Batch{Records: batch.Records[delivered:]}
	for _, b := range []*Batch{rest, rest, batch} { // the answers to the second and third were lost
		if err := natsWrite(t, n, b); err != nil {
			t.Fatal(err)
		}
	}
	if d := n.Counters().Duplicates; d != uint64(len(want)-4+len(want)) {
		t.Errorf("%d messages were known", d)
	}
	stored := natsStored(t, s)
	if len(stored) != len(want) {
		t.Fatalf("%d messages, want %d", len(stored), len(want))
	}
	for i, m := range stored {
		if !bytes.Equal(m.Data, want[i]) {
			t.Errorf("message %d has %d bytes, want %d", i, len(m.Data), len(want[i]))
		}
	}
}
