package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"

	"github.com/ctferry/ctferry/source/flow"
)

// natsPatience bounds every wait of these tests.
const natsPatience = 30 * time.Second

// natsTestSubject keeps all records of a test on one subject.
const natsTestSubject = "flows"

// newTestNATS makes a sink over TCP without opening it.
func newTestNATS(tb testing.TB, url string, change func(*NATSOptions), env func(*Env)) *NATS {
	tb.Helper()
	o := NewNATSOptions().(*NATSOptions)
	o.URLs, o.Subject = []string{url}, natsTestSubject
	if change != nil {
		change(o)
	}
	e := Env{Name: "bus", Node: "edge-1", Run: natsTestRun(), Format: encode.Formats()["json"], Group: GroupNone, Log: slog.New(slog.DiscardHandler)}
	if env != nil {
		env(&e)
	}
	s, err := o.New(e)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*NATS)
}

// openTestNATS opens a sink and closes it with the test.
func openTestNATS(tb testing.TB, url string, change func(*NATSOptions), env func(*Env)) *NATS {
	tb.Helper()
	n := newTestNATS(tb, url, change, env)
	natsOpen(tb, n)
	return n
}

func natsOpen(tb testing.TB, n *NATS) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	if err := n.Open(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = n.Close(context.Background()) })
}

func natsTestRun() [16]byte { return [16]byte{0xab, 15: 0xcd} }

// natsRecords are n records of seven flows, each going through new, update and
// destroy over and over, with a status record now and then.
func natsRecords(from, n int) []Record {
	origin := &flow.Origin{Node: "edge-1", Run: natsTestRun()}
	types := []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy}
	rs := make([]Record, 0, n)
	for i := from; i < from+n; i++ {
		r := Record{
			Seq: uint64(i), Time: int64(i) * 1e6, FlowID: uint64(i%7 + 1), Type: types[i/7%3],
			Table: flow.TableConntrack, Family: flow.IPv4, Proto: flow.ProtoTCP, Origin: origin,
		}
		if i%10 == 9 {
			r.FlowID, r.Type, r.Family, r.Proto = 0, flow.TypeStatus, 0, 0
		}
		r.Value = fmt.Appendf(nil, `{"seq":%d,"flow":%d,"pad":"%0100d"}`, i, r.FlowID, i)
		rs = append(rs, r)
	}
	return rs
}

// natsRecord is what a test reads back.
type natsRecord struct {
	Seq  uint64
	Flow uint64
}

func natsParse(tb testing.TB, value []byte) natsRecord {
	tb.Helper()
	var r natsRecord
	if err := json.Unmarshal(value, &r); err != nil {
		tb.Fatalf("%q: %v", value, err)
	}
	return r
}

// natsSplit reads the records of a message.
func natsSplit(tb testing.TB, framing encode.Framing, group Group, data []byte) (rs []natsRecord) {
	tb.Helper()
	if group == GroupNone {
		return []natsRecord{natsParse(tb, data)}
	}
	for value, err := range encode.SplitGroup(framing, data) {
		if err != nil {
			tb.Fatal(err)
		}
		rs = append(rs, natsParse(tb, value))
	}
	return rs
}

// mustKeepOrder fails unless each flow's sequence numbers rise.
func mustKeepOrder(tb testing.TB, rs []natsRecord) {
	tb.Helper()
	last := map[uint64]uint64{}
	for _, r := range rs {
		if before, ok := last[r.Flow]; ok && r.Seq <= before {
			tb.Fatalf("flow %d: %d came after %d", r.Flow, r.Seq, before)
		}
		last[r.Flow] = r.Seq
	}
}

// mustHaveAll fails unless the records are those from first on, each once.
func mustHaveAll(tb testing.TB, rs []natsRecord, first, n int) {
	tb.Helper()
	seqs := make([]int, 0, len(rs))
	for _, r := range rs {
		seqs = append(seqs, int(r.Seq))
	}
	slices.Sort(seqs)
	if len(seqs) != n {
		tb.Fatalf("%d records, want %d", len(seqs), n)
	}
	for i, seq := range seqs {
		if seq != first+i {
			tb.Fatalf("record %d stands where %d should", seq, first+i)
		}
	}
}

// natsFerry does what an outlet does: it opens and writes until all is
// delivered or poison, first as the queue has it. What is poison is returned
// by its sequence numbers.
func natsFerry(tb testing.TB, n *NATS, rs []Record) (poison []uint64) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	reopen := false
	b := lent(&Batch{Records: rs}, n.env.Format.Framing)
	for ; len(rs) > 0; b = (&Batch{Records: rs}) {
		var err error
		if reopen {
			err = n.Open(ctx)
		}
		if err == nil {
			err = n.Write(ctx, b)
		}
		if err == nil {
			return poison
		}
		var e *Error
		if !errors.As(err, &e) || ctx.Err() != nil || e.Class == Split {
			tb.Fatalf("%v", err)
		}
		reopen = e.Reopen
		var rest []Record
		for i, r := range rs {
			switch {
			case e.Class == Poison && slices.Contains(e.Poison, i):
				poison = append(poison, r.Seq)
			case b.done == nil || !b.done[i]:
				rest = append(rest, r)
			}
		}
		rs = rest
		if e.Class != Poison {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return poison
}

// natsListener collects what one wildcard subscription gets.
type natsListener struct {
	mu   sync.Mutex
	msgs []*nats.Msg
}

func natsListen(tb testing.TB, nc *nats.Conn, subject string) *natsListener {
	tb.Helper()
	l := &natsListener{}
	sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.msgs = append(l.msgs, m)
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(sub.SetPendingLimits(-1, -1), nc.FlushTimeout(natsPatience)); err != nil {
		tb.Fatal(err)
	}
	return l
}

// wait gives the messages once there are n of them, and sees that no more come.
func (l *natsListener) wait(tb testing.TB, n int) []*nats.Msg {
	tb.Helper()
	for deadline := time.Now().Add(natsPatience); ; time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		msgs := slices.Clone(l.msgs)
		l.mu.Unlock()
		if len(msgs) >= n {
			time.Sleep(20 * time.Millisecond)
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.msgs) != n {
				tb.Fatalf("%d messages, want %d", len(l.msgs), n)
			}
			return l.msgs
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d messages, want %d", len(msgs), n)
		}
	}
}

// natsStream makes a stream for a test.
func natsStream(tb testing.TB, nc *nats.Conn, change func(*jetstream.StreamConfig)) jetstream.Stream {
	tb.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := jetstream.StreamConfig{Name: "CTFERRY", Subjects: []string{natsTestSubject, natsTestSubject + ".>"}}
	if change != nil {
		change(&cfg)
	}
	// A server that has just deleted a stream of the name is still removing its
	// folder, and says so by JSStreamStoreFailedF (10077) or JSStreamCreateErrF (10049).
	for deadline := time.Now().Add(natsPatience); ; time.Sleep(20 * time.Millisecond) {
		s, err := js.CreateStream(tb.Context(), cfg)
		var refused *jetstream.APIError
		busy := errors.As(err, &refused) && (refused.ErrorCode == 10049 || refused.ErrorCode == 10077)
		if err == nil {
			return s
		}
		if !busy || time.Now().After(deadline) {
			tb.Fatal(err)
		}
	}
}

// natsStored reads all messages of a stream.
func natsStored(tb testing.TB, s jetstream.Stream) []*jetstream.RawStreamMsg {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	var msgs []*jetstream.RawStreamMsg
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			tb.Fatal(err)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

// natsStoredRecords reads all records of a stream.
func natsStoredRecords(tb testing.TB, s jetstream.Stream, group Group) (rs []natsRecord) {
	tb.Helper()
	for _, m := range natsStored(tb, s) {
		rs = append(rs, natsSplit(tb, encode.Lines, group, m.Data)...)
	}
	return rs
}

// inStream turns JetStream on.
func inStream(o *NATSOptions) { o.JetStream.Stream = "CTFERRY" }

func natsWrite(tb testing.TB, n *NATS, b *Batch) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	return n.Write(ctx, b)
}

// mustFail checks an error's class and text.
func mustFail(tb testing.TB, err error, class Class, texts ...string) *Error {
	tb.Helper()
	if got := mustClass(tb, err); got != class {
		tb.Fatalf("%v: %v, want %v", got, err, class)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			tb.Fatalf("%q, want %q in it", err, text)
		}
	}
	var e *Error
	errors.As(err, &e)
	return e
}

func doneOf(b *Batch) (seqs []uint64) {
	for i, done := range b.done {
		if done {
			seqs = append(seqs, b.Records[i].Seq)
		}
	}
	return seqs
}

// natsClient is JetStream's client on a connection.
func natsClient(nc *nats.Conn) jetstream.JetStream {
	js, _ := jetstream.New(nc) // fails only on options
	return js
}
