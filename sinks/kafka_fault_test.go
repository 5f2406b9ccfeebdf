package sinks

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refuseProduce answers the first n produce requests with the error.
func refuseProduce(c *kfake.Cluster, n int32, e *kerr.Error, change func(*kmsg.ProduceResponseTopicPartition)) *atomic.Int32 {
	var left atomic.Int32
	left.Store(n)
	c.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if left.Add(-1) < 0 {
			return nil, nil, false
		}
		return produceAnswer(kreq.(*kmsg.ProduceRequest), e, change), nil, true
	})
	return &left
}

func produceAnswer(req *kmsg.ProduceRequest, e *kerr.Error, change func(*kmsg.ProduceResponseTopicPartition)) kmsg.Response {
	res := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, e.Code
			if change != nil {
				change(&rp)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res
}

func TestKafkaDelivers(t *testing.T) {
	for _, compression := range kafkaCompressions() {
		t.Run(compression, func(t *testing.T) {
			c := startKfake(t, 3, 5)
			k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Compression = compression }, nil)
			rs := kafkaRecords(0, 2500)
			for from := 0; from < len(rs); from += 500 {
				if poison := ferryKafka(t, k, rs[from:from+500]); poison != nil {
					t.Fatal(poison)
				}
			}
			mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
		})
	}
}

// Each of these passes by itself: nothing is lost, doubled or disordered.
func TestKafkaPassingErrors(t *testing.T) {
	for _, e := range []*kerr.Error{
		kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition, kerr.RequestTimedOut,
		kerr.BrokerNotAvailable, kerr.ReplicaNotAvailable, kerr.NetworkException, kerr.CoordinatorLoadInProgress,
		kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError, kerr.UnknownServerError, kerr.CorruptMessage,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.MessageTooLarge, kerr.RecordListTooLarge,
	} {
		t.Run(e.Message, func(t *testing.T) {
			c := startKfake(t, 2, 3)
			k := openTestKafka(t, c.ListenAddrs(), nil, nil)
			rs := kafkaRecords(0, 900)
			ferryKafka(t, k, rs[:300])
			left := refuseProduce(c, 4, e, nil)
			ferryKafka(t, k, rs[300:600])
			ferryKafka(t, k, rs[600:])
			if left.Load() >= 0 {
				t.Error("the fault was not met")
			}
			mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
		})
	}
}

func TestKafkaLeaderMoves(t *testing.T) {
	c := startKfake(t, 3, 4)
	k := openTestKafka(t, c.ListenAddrs(), nil, nil)
	var requests atomic.Int32
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	rs := kafkaRecords(0, 2000)
	for i := range 10 {
		requests.Store(0)
		ferryKafka(t, k, rs[i*200:(i+1)*200])
		if n := requests.Load(); n > 8 {
			t.Errorf("round %d: %d requests to 4 partitions: a moved leader must be looked up at once", i, n)
		}
		for p := range int32(4) {
			if err := c.MoveTopicPartition(kafkaTestTopic, p, (c.LeaderFor(kafkaTestTopic, p)+1)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
}

// The broker writes the batch and drops the connection instead of answering.
func TestKafkaLostAnswers(t *testing.T) {
	c := startKfake(t, 2, 3)
	front := newKafkaDropper(t, c.ListenAddrs())
	k := openTestKafka(t, front.addrs, func(o *KafkaOptions) { o.RequestTimeout = 2 * time.Second }, nil)
	rs := kafkaRecords(0, 4000)
	for i := range 20 {
		front.dropNext.Store(int32(i % 5))
		ferryKafka(t, k, rs[i*200:(i+1)*200])
	}
	if front.dropped.Load() == 0 {
		t.Error("no answer was dropped")
	}
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
	if n := k.Counters().PossibleDuplicates; n != 0 {
		t.Errorf("%d possible duplicates", n)
	}
}

// When the outlet drops a record of a batch that may be in the log, the batch's
// sequence must not be used for another: the broker would drop that silently.
func TestKafkaRecordGoneOfWrittenBatch(t *testing.T) {
	for name, answer := range map[string]int16{
		"answer lost":       0,
		"leader steps down": kerr.NotLeaderForPartition.Code, // it says so when it has written the batch and waits for its replicas
	} {
		t.Run(name, func(t *testing.T) {
			c := startKfake(t, 1, 1)
			front := newKafkaDropper(t, c.ListenAddrs())
			front.answer.Store(int32(answer))
			k := openTestKafka(t, front.addrs, nil, nil)
			rs := kafkaRecords(0, 300)
			ferryKafka(t, k, rs[:100])
			front.dropNext.Store(1000) // this Write gives up
			if err := k.Write(t.Context(), &Batch{Records: rs[100:200]}); err == nil || mustClass(t, err) != Retry {
				t.Fatalf("want a retry, got %v", err)
			}
			front.dropNext.Store(0)
			ferryKafka(t, k, rs[101:201]) // as many records as before, but others
			ferryKafka(t, k, rs[201:])
			mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, true)
			if k.Counters().PossibleDuplicates == 0 {
				t.Error("possible duplicates were not counted")
			}
		})
	}
}

func TestKafkaRefusedForGood(t *testing.T) {
	for _, tt := range []struct {
		e    *kerr.Error
		want string
	}{
		{kerr.TopicAuthorizationFailed, "topic flows: not authorised"},
		{kerr.ClusterAuthorizationFailed, "topic flows: not authorised on the cluster"},
		{kerr.PolicyViolation, "topic flows: refused by the broker's policy"},
		{kerr.UnsupportedCompressionType, "topic flows: compression refused"},
	} {
		t.Run(tt.e.Message, func(t *testing.T) {
			c := startKfake(t, 1, 1)
			k := openTestKafka(t, c.ListenAddrs(), nil, nil)
			refuseProduce(c, 1, tt.e, nil)
			rs := kafkaRecords(0, 10)
			err := k.Write(t.Context(), &Batch{Records: rs})
			if mustClass(t, err) != Configuration || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v (%v), want %q", err, mustClass(t, err), tt.want)
			}
			ferryKafka(t, k, rs) // it has been mended
			mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
		})
	}
}

func TestKafkaTooLarge(t *testing.T) {
	c := startKfake(t, 1, 1, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Compression = "none" }, nil)
	rs := kafkaRecords(0, 1000)
	rs[3].Value = []byte(`"` + strings.Repeat("x", 30_000) + `"`)
	rs[500].Value = rs[3].Value
	if got := ferryKafka(t, k, rs); len(got) != 2 || got[0] != 3 || got[1] != 500 {
		t.Fatalf("poison %v, want 3 and 500", got)
	}
	good := append(append([]Record{}, rs[:3]...), append(append([]Record{}, rs[4:500]...), rs[501:]...)...)
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), good, false)
}

func TestKafkaRecordLargerThanOption(t *testing.T) {
	c := startKfake(t, 1, 1)
	k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Compression, o.MaxMessageBytes = "none", 2000 }, nil)
	rs := kafkaRecords(0, 20)
	rs[0].Value = []byte(strings.Repeat("x", 3000))
	err := k.Write(t.Context(), &Batch{Records: rs})
	if mustClass(t, err) != Poison || !strings.Contains(err.Error(), "3000 bytes") {
		t.Fatalf("got %v", err)
	}
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs[1:], false)
}

func TestKafkaBadRecords(t *testing.T) {
	t.Run("named", func(t *testing.T) {
		c := startKfake(t, 1, 1)
		k := openTestKafka(t, c.ListenAddrs(), nil, nil)
		refuseProduce(c, 1, kerr.InvalidRecord, func(p *kmsg.ProduceResponseTopicPartition) {
			for _, i := range []int32{2, 5} {
				bad := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				bad.RelativeOffset, bad.ErrorMessage = i, kmsg.StringPtr("no good")
				p.ErrorRecords = append(p.ErrorRecords, bad)
			}
		})
		if got := ferryKafka(t, k, kafkaRecords(0, 50)); len(got) != 2 || got[0] != 2 || got[1] != 5 {
			t.Fatalf("poison %v, want 2 and 5", got)
		}
	})
	t.Run("unnamed", func(t *testing.T) {
		c := startKfake(t, 1, 1)
		k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Compression = "none" }, nil)
		c.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			req := kreq.(*kmsg.ProduceRequest)
			if strings.Contains(string(req.Topics[0].Partitions[0].Records), `"seq":17,`) {
				return produceAnswer(req, kerr.InvalidRecord, nil), nil, true
			}
			return nil, nil, false
		})
		rs := kafkaRecords(0, 50)
		if got := ferryKafka(t, k, rs); len(got) != 1 || got[0] != 17 {
			t.Fatalf("poison %v, want 17", got)
		}
		mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), append(append([]Record{}, rs[:17]...), rs[18:]...), false)
	})
}

func TestKafkaTimesRefused(t *testing.T) {
	c := startKfake(t, 1, 1)
	k := openTestKafka(t, c.ListenAddrs(), nil, nil)
	refuseProduce(c, 1, kerr.InvalidTimestamp, nil)
	began := time.Now().Add(-time.Second)
	rs := kafkaRecords(0, 30)
	ferryKafka(t, k, rs)
	for _, m := range readTopic(t, c.ListenAddrs()[0], kafkaTestTopic) {
		if m.Time.Before(began) {
			t.Fatalf("offset %d bears %v, not the time of sending", m.Offset, m.Time)
		}
	}
	if got := k.Counters().TimesRefused; got != 30 {
		t.Errorf("counted %d", got)
	}
	ferryKafka(t, k, kafkaRecords(30, 1))
	all := readTopic(t, c.ListenAddrs()[0], kafkaTestTopic)
	if last := all[len(all)-1]; !last.Time.Before(began) {
		t.Error("the next batch must bear event times again")
	}
	refuseProduce(c, 2, kerr.InvalidTimestamp, nil)
	if err := k.Write(t.Context(), &Batch{Records: kafkaRecords(31, 1)}); mustClass(t, err) != Configuration {
		t.Errorf("even send time refused: %v", err)
	}
}

// Only the batch that was refused bears the time of sending, and is counted.
func TestKafkaTimesRefusedOnce(t *testing.T) {
	c := startKfake(t, 1, 1)
	k := openTestKafka(t, c.ListenAddrs(), nil, nil)
	refuseProduce(c, 1, kerr.InvalidTimestamp, nil)
	began := time.Now().Add(-time.Second)
	rs := kafkaRecords(0, 4000) // several batches
	ferryKafka(t, k, rs)
	changed := uint64(0)
	for _, m := range readTopic(t, c.ListenAddrs()[0], kafkaTestTopic) {
		if !m.Time.Before(began) {
			changed++
		}
	}
	if got := k.Counters().TimesRefused; got != changed || got == 0 || got > 2000 {
		t.Errorf("%d bear the time of sending, %d are counted", changed, got)
	}
}

func TestKafkaUnknownTopic(t *testing.T) {
	c := startKfake(t, 1, 1)
	k := newTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Topic = "nowhere" }, nil)
	defer func() { _ = k.Close(context.Background()) }()
	err := k.Open(t.Context())
	if mustClass(t, err) != Retry || !strings.Contains(err.Error(), "topic nowhere: does not exist on these brokers") {
		t.Fatalf("got %v", err)
	}
	k.cluster.topics["nowhere"].unknown = time.Now().Add(-2 * kafkaUnknownGrace)
	if err := k.Open(t.Context()); mustClass(t, err) != Configuration {
		t.Fatalf("it persists, but: %v", err)
	}
}

func TestKafkaTemplate(t *testing.T) {
	c := startKfake(t, 2, 2, kfake.SeedTopics(3, "flows.new.ipv4", "flows.status.none"))
	k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Topic = "flows.{event_type}.{family}" }, nil)
	rs := kafkaRecords(0, 100)
	ferryKafka(t, k, rs)
	var news, statuses []Record
	for _, r := range rs {
		if r.FlowID == 0 {
			statuses = append(statuses, r)
		} else {
			news = append(news, r)
		}
	}
	mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.new.ipv4"), news, false)
	mustHold(t, readTopic(t, c.ListenAddrs()[0], "flows.status.none"), statuses, false)

	// One topic that does not exist keeps its own records only.
	more := kafkaRecords(100, 20)
	more[4].Proto, more[4].Family = 17, 10
	b := &Batch{Records: more}
	err := k.Write(t.Context(), b)
	if mustClass(t, err) != Retry || !strings.Contains(err.Error(), "topic flows.new.ipv6: does not exist") {
		t.Fatal(err)
	}
	for i := range more {
		if b.done[i] != (i != 4) {
			t.Errorf("record %d: done %v", i, b.done[i])
		}
	}
}

func TestKafkaNoIdempotence(t *testing.T) {
	c := startKfake(t, 1, 1)
	c.ControlKey(int16(kmsg.InitProducerID), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		res := kreq.ResponseKind().(*kmsg.InitProducerIDResponse)
		res.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return res, nil, true
	})
	k := newTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Idempotent = KafkaIdempotentOn }, nil)
	defer func() { _ = k.Close(context.Background()) }()
	if err := k.Open(t.Context()); mustClass(t, err) != Configuration || !strings.Contains(err.Error(), "not authorised on the cluster") {
		t.Errorf("true: %v", err)
	}
	for _, how := range []KafkaIdempotence{KafkaIdempotentAuto, KafkaIdempotentOff} {
		auto := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Idempotent = how }, nil)
		ferryKafka(t, auto, kafkaRecords(0, 10))
		if auto.idempotent {
			t.Error("idempotent")
		}
	}
}
