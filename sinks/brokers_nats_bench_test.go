package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

// natsRivals sends the same batches by our sink and by a bare loop of nats.go,
// to the same subject of the same server. Both await the acknowledgement of each
// batch before the next, and take turns of a few hundredths of a second, so
// that what else the machine does hits both alike.
type natsRivals struct {
	broker  *natstest.Broker
	subject string
	batches []Batch
	queues  []*memory // through which ours go, one for each batch of a turn
	each    int       // batches a turn
	next    uint64
}

// natsRound is how often a round has each side take its turn; compareSlices
// takes the ratio of a round's sums.
const (
	natsRound  = 8
	natsRounds = 7
)

func newNATSRivals(b *testing.B, broker *natstest.Broker) *natsRivals {
	rs := brokerRecords(b, brokerDistinct)
	subject, err := parseNATSSubject(natsDefaultSubject)
	if err != nil {
		b.Fatal(err)
	}
	return &natsRivals{broker: broker, subject: subject.expand(templateKeyOf(&rs[0])), batches: brokerBatches(b, rs)}
}

// few makes a turn of one batch, and that short, for a slow race.
func (r *natsRivals) few() {
	r.each, r.batches = 1, slices.Clone(r.batches[:1])
	r.batches[0].Records = r.batches[0].Records[:300]
}

// benchNATSCorePerf flushes behind each batch and awaits the answer, on both sides.
func benchNATSCorePerf(b *testing.B) {
	r := newNATSRivals(b, natstest.Start(b, func(c *natsconn.ServerConfig) { c.StoreDir = "" }))
	r.each = 12
	for _, tt := range []struct {
		name    string
		group   Group
		headers bool // of the bare loop's
	}{
		{"same-headers", GroupNone, true},
		{"headers-against-none", GroupNone, false},
		{"ndjson", GroupNDJSON, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			n := r.sink(b, tt.group, nil)
			h := n.pen.header
			if !tt.headers {
				h = nil
			}
			r.compare(b, n, r.bareCore(b, h))
		})
	}
}

// benchNATSStreamPerf has as many messages in flight on both sides.
func benchNATSStreamPerf(b *testing.B) {
	broker := natstest.Start(b)
	stream := natsStream(b, broker.Dial(b), func(c *jetstream.StreamConfig) {
		c.Subjects, c.MaxBytes, c.Duplicates = []string{"ctferry.>"}, 256<<20, time.Second
	})
	r := newNATSRivals(b, broker)
	r.each = 3
	for _, tt := range []struct {
		name    string
		group   Group
		flight  int
		headers bool // of the bare loop's
	}{
		{"same-headers/1", GroupNone, 1, true},
		{"same-headers/256", GroupNone, 256, true},
		{"headers-against-none/1", GroupNone, 1, false},
		{"headers-against-none/256", GroupNone, 256, false},
		{"ndjson/1", GroupNDJSON, 1, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			r := *r
			if tt.flight == 1 && tt.group == GroupNone {
				r.few()
			}
			n := r.sink(b, tt.group, func(o *NATSOptions) { inStream(o); o.MaxInFlight = tt.flight })
			before := lastSequence(b, stream)
			sent := r.compare(b, n, r.bareStream(b, tt.flight, n.pen.header, tt.headers))
			if took := lastSequence(b, stream) - before; took != uint64(sent) {
				b.Fatalf("the stream took %d messages, expected %d", took, sent)
			}
		})
	}
}

// sink opens ours.
func (r *natsRivals) sink(b *testing.B, group Group, change func(*NATSOptions)) *NATS {
	return openTestNATS(b, r.broker.ClientURL(), func(o *NATSOptions) {
		o.Subject = natsDefaultSubject
		if change != nil {
			change(o)
		}
	}, func(e *Env) {
		e.Group = group
		e.Name = fmt.Sprint("row", time.Now().UnixNano()) // part of the ids: no message of another row is the same
	})
}

// natsReady are a batch's messages as the sink would make them, made before the
// clock runs.
type natsReady struct {
	data [][]byte
	ids  []string
}

// queued gives the next batch of a turn as an outlet has it of its queue, under sequence
// numbers of its own, lest the stream drop it as a duplicate.
func (r *natsRivals) queued(turn int) Batch {
	if turn == len(r.queues) {
		r.queues = append(r.queues, newMemory(1<<30, maxSegment, encode.Lines, false))
	}
	q, rs := r.queues[turn], r.batches[turn].Records
	for i := range rs {
		r.next++
		rs[i].Seq = r.next
	}
	q.release()
	return *through(q, rs)
}

// make gives the next batches of a turn, and the messages of each, which are made
// by a sink like ours.
func (r *natsRivals) make(n *NATS) (ours []Batch, theirs []natsReady) {
	for i := range r.each {
		b := r.queued(i)
		n.plan.arrange(b.Records, int(n.o.MaxMessageBytes), 1<<20)
		n.body.begin(&b)
		var ready natsReady
		for k := range n.plan.messages {
			m := &n.plan.messages[k]
			ready.data = append(ready.data, bytes.Join(n.body.of(m), nil))
			ready.ids = append(ready.ids, fmt.Sprintf("bare.%s", n.id.of(&b.Records[m.head], &b.Records[m.tail])))
		}
		ours, theirs = append(ours, b), append(theirs, ready)
	}
	return ours, theirs
}

// bareLoop publishes ready-made messages and awaits their acknowledgement.
type bareLoop func(natsReady) error

func (r *natsRivals) bareCore(b *testing.B, h nats.Header) bareLoop {
	nc := r.broker.Dial(b)
	msg := nats.Msg{Subject: r.subject, Header: h}
	return func(ready natsReady) error {
		for _, data := range ready.data {
			msg.Data = data
			if err := publishBare(nc, &msg); err != nil {
				return err
			}
		}
		return nc.FlushTimeout(natsPatience)
	}
}

func publishBare(nc *nats.Conn, msg *nats.Msg) error {
	if len(msg.Header) > 0 {
		return nc.PublishMsg(msg)
	}
	return nc.Publish(msg.Subject, msg.Data)
}

// bareStream publishes with the sink's headers, or with none.
func (r *natsRivals) bareStream(b *testing.B, flight int, like nats.Header, headers bool) bareLoop {
	js, err := jetstream.New(r.broker.Dial(b), jetstream.WithPublishAsyncMaxPending(flight))
	if err != nil {
		b.Fatal(err)
	}
	var h nats.Header
	if headers {
		h = maps.Clone(like)
		h[jetstream.MsgIDHeader] = []string{""}
	}
	return func(ready natsReady) error {
		for i := 0; i < len(ready.data); {
			if headers {
				h[jetstream.MsgIDHeader][0] = ready.ids[i]
			}
			_, err := js.PublishMsgAsync(&nats.Msg{Subject: r.subject, Header: h, Data: ready.data[i]})
			switch {
			case err == nil:
				i++
			case !errors.Is(err, jetstream.ErrTooManyStalledMsgs): // else the machine stood still for 200 ms
				return err
			}
		}
		<-js.PublishAsyncComplete()
		return nil
	}
}

// compare has both send in turn and reports the median, the least and the
// greatest ratio of its rounds. It answers how many messages there were.
func (r *natsRivals) compare(b *testing.B, n *NATS, bare bareLoop) (sent int) {
	b.Helper()
	maker := newTestNATS(b, r.broker.ClientURL(), func(o *NATSOptions) { o.Subject = natsDefaultSubject }, func(e *Env) { e.Group, e.Name = n.env.Group, n.env.Name })
	var s natsScore
	for round := range natsRounds + 1 { // the first is for warming up
		var we, they natsCost
		records := 0
		for turn := range natsRound {
			ours, theirs := r.make(maker)
			for i := range theirs {
				records += len(ours[i].Records)
				sent += 2 * len(theirs[i].data)
			}
			sides := []func(){
				func() {
					we.take(b, len(ours), func(i int) error { return n.Write(b.Context(), &ours[i]) })
				},
				func() { they.take(b, len(ours), func(i int) error { return bare(theirs[i]) }) },
			}
			sides[turn%2]()
			sides[1-turn%2]()
		}
		if round > 0 {
			s.add(records, we, they)
		}
	}
	s.report(b)
	return sent
}

// natsCost is what sending took.
type natsCost struct{ time, cpu time.Duration }

// take adds what it takes to send some batches. The server is in the same
// process, so its CPU time is in it.
func (c *natsCost) take(b *testing.B, batches int, send func(int) error) {
	b.Helper()
	began, used := time.Now(), processCPU(b)
	for i := range batches {
		if err := send(i); err != nil {
			b.Fatal(err)
		}
	}
	c.time += time.Since(began)
	c.cpu += processCPU(b) - used
}

func processCPU(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// natsScore are the rates of each round.
type natsScore struct{ ratios, ours, theirs, cpu []float64 }

func (s *natsScore) add(records int, we, they natsCost) {
	s.ratios = append(s.ratios, they.time.Seconds()/we.time.Seconds())
	s.ours = append(s.ours, float64(records)/we.time.Seconds())
	s.theirs = append(s.theirs, float64(records)/they.time.Seconds())
	s.cpu = append(s.cpu, we.cpu.Seconds()/they.cpu.Seconds())
}

func (s *natsScore) report(b *testing.B) {
	for _, of := range [][]float64{s.ratios, s.ours, s.theirs, s.cpu} {
		slices.Sort(of)
	}
	middle := len(s.ratios) / 2
	b.ReportMetric(s.ratios[middle], "ratio")
	b.ReportMetric(s.ratios[0], "ratio-min")
	b.ReportMetric(s.ratios[len(s.ratios)-1], "ratio-max")
	b.ReportMetric(s.ours[middle], "records/s")
	b.ReportMetric(s.theirs[middle], "baseline/s")
	b.ReportMetric(s.cpu[middle], "cpu-ratio")
	b.ReportMetric(0, "ns/op")
}

func lastSequence(b *testing.B, s jetstream.Stream) uint64 {
	info, err := s.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return info.State.LastSeq
}
