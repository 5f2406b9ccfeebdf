package sinks

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ctferry/ctferry/internal/testbroker"
	"github.com/ctferry/ctferry/source/flow"
)

// refuseTopic has the brokers refuse one topic for as long as on says so.
func refuseTopic(c *kfake.Cluster, topic string, e *kerr.Error, on *atomic.Bool) {
	c.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		if !on.Load() || req.Topics[0].Topic != topic {
			return nil, nil, false
		}
		return produceAnswer(req, e, nil), nil, true
	})
}

// twoTopics are records of which every third is a destroy.
func twoTopics(from, n int) (all, news, destroys []Record) {
	all = kafkaRecords(from, n)
	for i := range all {
		all[i].FlowID = uint64(i%5 + 1)
		all[i].Type = flow.TypeNew
		if i%3 == 0 {
			all[i].Type = flow.TypeDestroy
			destroys = append(destroys, all[i])
			continue
		}
		news = append(news, all[i])
	}
	return all, news, destroys
}

// byType has topics flows.new and flows.destroy, and little patience.
func byType(o *KafkaOptions) {
	o.Topic, o.TopicPatience = "flows.{event_type}", 40*time.Millisecond
}

// undelivered gives the records that are not done.
func undelivered(b *Batch) []Record {
	var left []Record
	for i := range b.Records {
		if !b.done[i] {
			left = append(left, b.Records[i])
		}
	}
	return left
}

func TestKafkaOneTopicRefused(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.PolicyViolation, kerr.InvalidTopicException} {
		t.Run(e.Message, func(t *testing.T) {
			c := startKfake(t, 2, 2, kfake.SeedTopics(2, "flows.new", "flows.destroy"))
			k := openTestKafka(t, c.ListenAddrs(), byType, nil)
			var on atomic.Bool
			on.Store(true)
			refuseTopic(c, "flows.destroy", e, &on)

			all, news, destroys := twoTopics(0, 60)
			b := &Batch{Records: all}
			if err := k.Write(t.Context(), b); mustClass(t, err) != Configuration {
				t.Fatalf("at once: %v", err)
			}
			mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.new"), news, false)
			left := undelivered(b)
			if len(left) != len(destroys) {
				t.Fatalf("%d left, expected %d", len(left), len(destroys))
			}
			time.Sleep(60 * time.Millisecond)
			if poison := ferryKafka(t, k, left); len(poison) != len(destroys) {
				t.Fatalf("%d given up, expected %d", len(poison), len(destroys))
			}

			// The other topic goes on, and the records of this one are given up at once.
			more, moreNews, moreDestroys := twoTopics(60, 30)
			err := k.Write(t.Context(), &Batch{Records: slices.Clone(more)})
			if mustClass(t, err) != Poison || !strings.Contains(err.Error(), "given up after topic_patience of 40ms") ||
				len(err.(*Error).Poison) != len(moreDestroys) {
				t.Fatalf("later: %v", err)
			}
			mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.new"), append(news, moreNews...), false)

			on.Store(false) // it is mended: nothing need be said to the sink
			last, _, lastDestroys := twoTopics(90, 30)
			if poison := ferryKafka(t, k, last); len(poison) != 0 {
				t.Fatalf("%d given up after the topic came back", len(poison))
			}
			mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.destroy"), lastDestroys, false)
		})
	}
}

// TestKafkaPatienceHolds has cases in which nothing may be given up.
func TestKafkaPatienceHolds(t *testing.T) {
	tests := map[string]struct {
		change func(*KafkaOptions)
		e      *kerr.Error
	}{
		"no patience limit": {func(o *KafkaOptions) { byType(o); o.TopicPatience = 0 }, kerr.TopicAuthorizationFailed},
		"one topic":         {func(o *KafkaOptions) { o.Topic, o.TopicPatience = "flows.destroy", 10*time.Millisecond }, kerr.TopicAuthorizationFailed},
		"passing error":     {byType, kerr.NotEnoughReplicas},
		"whole cluster":     {byType, kerr.ClusterAuthorizationFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := startKfake(t, 1, 1, kfake.SeedTopics(1, "flows.new", "flows.destroy"))
			k := openTestKafka(t, c.ListenAddrs(), tt.change, nil)
			var on atomic.Bool
			on.Store(true)
			refuseTopic(c, "flows.destroy", tt.e, &on)
			rs, _, _ := twoTopics(0, 30)
			for range 4 {
				b := &Batch{Records: rs, done: make([]bool, len(rs))}
				if class := mustClass(t, k.Write(t.Context(), b)); class == Poison || class == Split {
					t.Fatalf("class %v", class)
				}
				rs = undelivered(b)
				time.Sleep(60 * time.Millisecond)
			}
			on.Store(false)
			if poison := ferryKafka(t, k, rs); len(poison) != 0 {
				t.Errorf("%d given up", len(poison))
			}
		})
	}
}

// patiently has topics by type and more patience than a test; wait has it run out.
func patiently(o *KafkaOptions) { byType(o); o.TopicPatience = time.Hour }

// wait puts everything that the sink remembers an hour and more into the past.
func (k *Kafka) wait() {
	const long = 61 * time.Minute
	for _, t := range k.cluster.topics {
		if !t.refused.IsZero() {
			t.refused = t.refused.Add(-long)
		}
	}
	k.delivered, k.yielded = k.delivered.Add(-long), k.yielded.Add(-long)
}

// mustRefuse writes and expects that nothing is given up yet.
func mustRefuse(t *testing.T, k *Kafka, rs []Record) {
	t.Helper()
	if err := k.Write(t.Context(), &Batch{Records: slices.Clone(rs)}); mustClass(t, err) != Configuration {
		t.Fatal(err)
	}
}

// mustGiveUp writes and expects that so many records are given up.
func mustGiveUp(t *testing.T, k *Kafka, rs []Record, n int) {
	t.Helper()
	err := k.Write(t.Context(), &Batch{Records: slices.Clone(rs)})
	if mustClass(t, err) != Poison || len(err.(*Error).Poison) != n {
		t.Fatalf("expected %d to be given up: %v", n, err)
	}
}

// TestKafkaOneTopicHoldsNothing has records of the refused topic stand before all
// others: those were not tried, so it cannot be known whether they are taken.
func TestKafkaOneTopicHoldsNothing(t *testing.T) {
	for name, before := range map[string]int{"since the start": 0, "after a quiet time": 30} {
		t.Run(name, func(t *testing.T) {
			c := startKfake(t, 1, 1, kfake.SeedTopics(1, "flows.new", "flows.destroy"))
			k := openTestKafka(t, c.ListenAddrs(), patiently, nil)
			var on atomic.Bool
			refuseTopic(c, "flows.destroy", kerr.TopicAuthorizationFailed, &on)
			_, news, destroys := twoTopics(0, before)
			ferryKafka(t, k, slices.Concat(news, destroys))
			on.Store(true)
			k.wait()

			_, moreNews, destroys := twoTopics(before, 30)
			mustRefuse(t, k, destroys)
			mustRefuse(t, k, destroys)
			k.wait()
			mustGiveUp(t, k, destroys, len(destroys))
			mustGiveUp(t, k, slices.Concat(destroys[:3], moreNews), 3) // others are taken: now it is known
			mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.new"), append(news, moreNews...), false)
			mustGiveUp(t, k, destroys, len(destroys))
		})
	}
}

// TestKafkaNothingTaken has every topic refused, from the start or from one moment
// on: then it is the sink that does not work, and as much as one Write has is given
// up once in topic_patience, no more.
func TestKafkaNothingTaken(t *testing.T) {
	for name, before := range map[string]int{"from the start": 0, "later": 30} {
		t.Run(name, func(t *testing.T) {
			c := startKfake(t, 1, 1, kfake.SeedTopics(1, "flows.new", "flows.destroy"))
			k := openTestKafka(t, c.ListenAddrs(), patiently, nil)
			first, _, _ := twoTopics(0, before)
			ferryKafka(t, k, first)
			left := refuseProduce(c, 1000, kerr.TopicAuthorizationFailed, nil)
			rs, _, _ := twoTopics(before, 30)
			mustRefuse(t, k, rs)
			for range 3 {
				k.wait()
				mustGiveUp(t, k, rs, 30)
				mustRefuse(t, k, rs)
			}
			left.Store(0) // it is mended
			ferryKafka(t, k, rs)
		})
	}
}

// TestKafkaOneTopicUnknown has a topic that does not exist hold up its own records only.
func TestKafkaOneTopicUnknown(t *testing.T) {
	c := startKfake(t, 1, 1, kfake.SeedTopics(1, "flows.new"))
	k := openTestKafka(t, c.ListenAddrs(), byType, nil)
	all, news, destroys := twoTopics(0, 30)
	b := &Batch{Records: all}
	if err := k.Write(t.Context(), b); mustClass(t, err) != Retry {
		t.Fatal(err)
	}
	k.cluster.topics["flows.destroy"].unknown = time.Now().Add(-2 * kafkaUnknownGrace)
	left := undelivered(b)
	if err := k.Write(t.Context(), &Batch{Records: left}); mustClass(t, err) != Configuration {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond)
	err := k.Write(t.Context(), &Batch{Records: left})
	if mustClass(t, err) != Poison || len(err.(*Error).Poison) != len(destroys) || !strings.Contains(err.Error(), "topic flows.destroy: does not exist") {
		t.Fatalf("%v", err)
	}
	mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.new"), news, false)
}

// TestKafkaRealTopicsRefused has a real broker refuse one topic and not know another,
// whose records come first.
func TestKafkaRealTopicsRefused(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, "flows.new", 2, nil)
	createKafkaTopic(t, broker, "flows.destroy", 2, nil)
	if err := broker.DenyWrite(t.Context(), "flows.destroy"); err != nil {
		t.Fatal(err)
	}
	k := openTestKafka(t, []string{broker.Address(testbroker.SASL)}, func(o *KafkaOptions) {
		byType(o)
		withSASL(kafkaPlain)(o)
	}, nil)
	_, news, destroys := twoTopics(0, 60)
	unknown := slices.Clone(destroys)
	for i := range unknown {
		unknown[i].Type = flow.TypeUpdate
	}
	for _, rs := range [][]Record{destroys, unknown} {
		giveUpInTime(t, k, rs)
	}
	if poison := ferryKafka(t, k, slices.Concat(destroys, news)); len(poison) != len(destroys) {
		t.Fatalf("%d given up, expected %d", len(poison), len(destroys))
	}
	mustHold(t, readTopic(t, broker.Brokers()[0], "flows.new"), news, false)
}

// giveUpInTime writes until the records are given up.
func giveUpInTime(t *testing.T, k *Kafka, rs []Record) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := k.Write(t.Context(), &Batch{Records: slices.Clone(rs)})
		switch class := mustClass(t, err); {
		case class == Poison && len(err.(*Error).Poison) == len(rs):
			return
		case class == Poison || time.Since(began) > time.Minute:
			t.Fatalf("expected all %d records to be given up: %v", len(rs), err)
		}
	}
}
