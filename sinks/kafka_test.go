package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

const kafkaTestTopic = "flows"

// startKfake starts a fake cluster; the topic has the partitions.
func startKfake(tb testing.TB, brokers int, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	tb.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(brokers), kfake.SeedTopics(partitions, kafkaTestTopic)}, opts...)
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func kafkaTestFormat() encode.Format {
	return encode.Format{Name: "json", ContentType: "application/json"}
}

// newTestKafka makes the sink without opening it.
func newTestKafka(tb testing.TB, brokers []string, change func(*KafkaOptions), env func(*Env)) *Kafka {
	tb.Helper()
	o := NewKafkaOptions().(*KafkaOptions)
	o.Brokers, o.Topic = brokers, kafkaTestTopic
	if change != nil {
		change(o)
	}
	e := Env{Name: "siem", Node: "edge-1", Format: kafkaTestFormat(), Group: GroupNone, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if env != nil {
		env(&e)
	}
	s, err := o.New(e)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*Kafka)
}

// openTestKafka opens the sink and closes it with the test.
func openTestKafka(tb testing.TB, brokers []string, change func(*KafkaOptions), env func(*Env)) *Kafka {
	tb.Helper()
	k := newTestKafka(tb, brokers, change, env)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := k.Open(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := k.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return k
}

// kafkaRecords are n records of seven flows and, every tenth, of none.
func kafkaRecords(from, n int) []Record {
	origin := &flow.Origin{Node: "edge-1"}
	begin := time.Now().Add(-time.Hour).UnixNano()
	var rs []Record
	for i := from; i < from+n; i++ {
		r := Record{
			Seq: uint64(i), Time: begin + int64(i)*1e6, FlowID: uint64(i%7+1) * 0x1111_2222_3333_4444,
			Type: flow.TypeNew, Table: flow.TableConntrack, Family: flow.IPv4, Proto: flow.ProtoTCP, Origin: origin,
		}
		if i%10 == 9 {
			r.FlowID, r.Type, r.Family, r.Proto = 0, flow.TypeStatus, 0, 0
		}
		r.Value = fmt.Appendf(nil, `{"seq":%d,"flow_id":"%016x","pad":"%0100d"}`, i, r.FlowID, i)
		rs = append(rs, r)
	}
	return rs
}

// ferryKafka does what an outlet does: it writes until all is delivered or poison.
// What is poison is returned by its sequence numbers.
func ferryKafka(tb testing.TB, k *Kafka, rs []Record) []uint64 {
	tb.Helper()
	var poison []uint64
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	for len(rs) > 0 {
		b := &Batch{Records: rs}
		err := k.Write(ctx, b)
		if err == nil {
			return poison
		}
		var e *Error
		if !errors.As(err, &e) {
			tb.Fatalf("not an *Error: %v", err)
		}
		if e.Class == Configuration || e.Class == Split || ctx.Err() != nil {
			tb.Fatalf("%s: %v", e.Class, err)
		}
		var rest []Record
		for i, r := range rs {
			switch {
			case e.Class == Poison && slices.Contains(e.Poison, i):
				poison = append(poison, r.Seq)
			case b.done == nil || !b.done[i]:
				rest = append(rest, r)
			}
		}
		if e.Class == Retry {
			time.Sleep(20 * time.Millisecond)
		}
		rs = rest
	}
	return poison
}

// readTopic reads all that the topic holds with kafka-go's Reader, partition by partition.
func readTopic(tb testing.TB, broker, topic string) []kafka.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := kafka.DialContext(ctx, "tcp", broker)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	partitions, err := conn.ReadPartitions(topic)
	if err != nil {
		tb.Fatal(err)
	}
	var all []kafka.Message
	for _, p := range partitions {
		all = append(all, readPartition(ctx, tb, broker, p)...)
	}
	return all
}

func readPartition(ctx context.Context, tb testing.TB, broker string, p kafka.Partition) []kafka.Message {
	tb.Helper()
	leader, err := kafka.DialLeader(ctx, "tcp", broker, p.Topic, p.ID)
	if err != nil {
		tb.Fatal(err)
	}
	end, err := leader.ReadLastOffset()
	_ = leader.Close()
	if err != nil {
		tb.Fatal(err)
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: p.Topic, Partition: p.ID, MinBytes: 1, MaxBytes: 8 << 20, MaxWait: 100 * time.Millisecond})
	defer func() { _ = r.Close() }()
	var all []kafka.Message
	for next := int64(0); next < end; {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			tb.Fatalf("partition %d at offset %d of %d: %v", p.ID, next, end, err)
		}
		next = m.Offset + 1
		all = append(all, m)
	}
	return all
}

// mustHold fails unless the messages are the records, each once, each key's in
// their order, with the right key, value, time and headers.
func mustHold(tb testing.TB, messages []kafka.Message, rs []Record, allowTwice bool) {
	tb.Helper()
	byValue := map[string]*Record{}
	for i := range rs {
		byValue[string(rs[i].Value)] = &rs[i]
	}
	seen, last, home := map[string]int{}, map[string]uint64{}, map[string]int{}
	for _, m := range messages {
		r := byValue[string(m.Value)]
		if r == nil {
			tb.Fatalf("partition %d offset %d: %q was never written", m.Partition, m.Offset, m.Value)
		}
		key := string(m.Key)
		if want := string(appendKafkaKey(nil, kafkaKeyFlow, r)); key != want {
			tb.Fatalf("seq %d: key %q, want %q", r.Seq, key, want)
		}
		if p, ok := home[key]; ok && p != m.Partition {
			tb.Fatalf("key %q stands in partitions %d and %d", key, p, m.Partition)
		}
		home[key] = m.Partition
		if seen[string(m.Value)]++; seen[string(m.Value)] > 1 && !allowTwice {
			tb.Errorf("seq %d stands %d times", r.Seq, seen[string(m.Value)])
		}
		if r.Seq < last[key] && !allowTwice {
			tb.Errorf("key %q: seq %d behind %d", key, r.Seq, last[key])
		}
		last[key] = r.Seq
		if got := m.Time.UnixMilli(); got != kafkaMS(r.Time) {
			tb.Fatalf("seq %d: time %d, want %d", r.Seq, got, kafkaMS(r.Time))
		}
		mustHaveHeader(tb, m, headerContentType, "application/json")
		mustHaveHeader(tb, m, headerSchema, "ctferry.v1")
	}
	for i := range rs {
		if seen[string(rs[i].Value)] == 0 {
			tb.Errorf("seq %d is lost", rs[i].Seq)
		}
	}
}

func mustHaveHeader(tb testing.TB, m kafka.Message, name, want string) {
	tb.Helper()
	for _, h := range m.Headers {
		if h.Key == name && string(h.Value) == want {
			return
		}
	}
	tb.Fatalf("offset %d: no header %s: %s in %v", m.Offset, name, want, m.Headers)
}

// mustClass is the class of an error that must be an *Error.
func mustClass(tb testing.TB, err error) Class {
	tb.Helper()
	var e *Error
	if !errors.As(err, &e) {
		tb.Fatalf("want an *Error, got %v", err)
	}
	return e.Class
}
