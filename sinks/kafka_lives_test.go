package sinks

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ctferry/ctferry/internal/testbroker"
)

// Without idempotence the same lost answers do leave duplicates: the tests that
// find none have teeth.
func TestKafkaRealLostAnswersWithoutIdempotence(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 1, nil)
	front := newKafkaDropper(t, broker.Brokers())
	k := openTestKafka(t, front.addrs, func(o *KafkaOptions) { o.Idempotent = KafkaIdempotentOff }, nil)
	front.dropNext.Store(2)
	rs := kafkaRecords(0, 100)
	ferryKafka(t, k, rs)
	all := readTopic(t, broker.Brokers()[0], kafkaTestTopic)
	if len(all) != 3*len(rs) {
		t.Errorf("%d messages, want each of %d three times", len(all), len(rs))
	}
	mustHold(t, all, rs, true)
}

// A broker that is stopped in its tracks answers too late; what it had
// received it may still write.
func TestKafkaRealPaused(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 3, nil)
	k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.RequestTimeout, o.DialTimeout = 300*time.Millisecond, 300*time.Millisecond }, nil)
	rs := kafkaRecords(0, 3000)
	ferryKafka(t, k, rs[:500])
	for i := 1; i < 6; i++ {
		pauseKafka(t, broker)
		resumed := make(chan error, 1)
		time.AfterFunc(900*time.Millisecond, func() { resumed <- broker.Resume() })
		ferryKafka(t, k, rs[i*500:(i+1)*500])
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
	}
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs, false)
}

// A topic that is deleted and made again has forgotten every sequence.
func TestKafkaRealTopicMadeAgain(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 2, nil)
	k := openTestKafka(t, broker.Brokers(), nil, nil)
	rs := kafkaRecords(0, 900)
	ferryKafka(t, k, rs[:300])
	if err := broker.DeleteTopic(t.Context(), kafkaTestTopic); err != nil {
		t.Fatal(err)
	}
	b := &Batch{Records: rs[300:310]}
	if err := k.Write(t.Context(), b); mustClass(t, err) != Retry || !strings.Contains(err.Error(), "topic flows: does not exist on these brokers") {
		t.Errorf("got %v", err)
	}
	createKafkaTopic(t, broker, kafkaTestTopic, 2, nil)
	ferryKafka(t, k, rs[300:600])
	ferryKafka(t, k, rs[600:])
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs[300:], false)
}

// What was sent and not acknowledged outlives Open.
func TestKafkaOpenAgainWithLostAnswers(t *testing.T) {
	c := startKfake(t, 1, 2)
	front := newKafkaDropper(t, c.ListenAddrs())
	k := openTestKafka(t, front.addrs, nil, nil)
	rs := kafkaRecords(0, 400)
	ferryKafka(t, k, rs[:100])
	front.dropNext.Store(1000)
	b := &Batch{Records: rs[100:300]}
	if err := k.Write(t.Context(), b); mustClass(t, err) != Retry {
		t.Fatal(err)
	}
	front.dropNext.Store(0)
	if err := k.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rest []Record
	for i, r := range b.Records {
		if b.done == nil || !b.done[i] {
			rest = append(rest, r)
		}
	}
	ferryKafka(t, k, append(rest, rs[300:]...))
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
	if n := k.Counters().PossibleDuplicates; n != 0 {
		t.Errorf("%d possible duplicates", n)
	}
}

func TestKafkaBrokersComeAndGo(t *testing.T) {
	c := startKfake(t, 3, 6)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	k := openTestKafka(t, []string{dead.Addr().String(), c.ListenAddrs()[0]}, nil, nil)
	rs := kafkaRecords(0, 1200)
	ferryKafka(t, k, rs[:400])
	if _, _, err := c.AddNode(7, 0); err != nil {
		t.Fatal(err)
	}
	for p := range int32(6) {
		if err := c.MoveTopicPartition(kafkaTestTopic, p, 7); err != nil {
			t.Fatal(err)
		}
	}
	ferryKafka(t, k, rs[400:800])
	for p := range int32(6) {
		if err := c.MoveTopicPartition(kafkaTestTopic, p, p%3); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RemoveNode(7); err != nil {
		t.Fatal(err)
	}
	ferryKafka(t, k, rs[800:])
	mustHold(t, readTopic(t, c.ListenAddrs()[0], kafkaTestTopic), rs, false)
}

func TestKafkaWithoutKeys(t *testing.T) {
	for _, partitioner := range []string{kafkaMurmur2, kafkaSticky, kafkaRoundRobin} {
		t.Run(partitioner, func(t *testing.T) {
			c := startKfake(t, 2, 4)
			k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Key, o.Partitioner = kafkaKeyNone, partitioner }, nil)
			rs := kafkaRecords(0, 400)
			for i := range 40 {
				ferryKafka(t, k, rs[i*10:(i+1)*10])
			}
			seen, used := map[string]bool{}, map[int]int{}
			for _, m := range readTopic(t, c.ListenAddrs()[0], kafkaTestTopic) {
				if m.Key != nil || seen[string(m.Value)] {
					t.Fatalf("key %q, or twice: %s", m.Key, m.Value)
				}
				seen[string(m.Value)] = true
				used[m.Partition]++
			}
			if len(seen) != len(rs) || len(used) != 4 || used[0] != 100 {
				t.Errorf("%d records over %v", len(seen), used)
			}
		})
	}
}

func TestKafkaTopicsAreBounded(t *testing.T) {
	const many = kafkaMaxTopics + 300
	var topics []string
	rs := kafkaRecords(0, many)
	for i := range rs {
		origin := *rs[i].Origin
		origin.Node = "n" + strings.Repeat("x", i%40) + "-" + string(rune('a'+i%26)) + "-" + time.Duration(i).String()
		rs[i].Origin = &origin
		topics = append(topics, kafkaTopicTemplate{template{[]templatePart{{field: "node"}}}}.expand(templateKeyOf(&rs[i])))
	}
	c := startKfake(t, 1, 1, kfake.SeedTopics(1, topics...))
	k := openTestKafka(t, c.ListenAddrs(), func(o *KafkaOptions) { o.Topic = "{node}" }, nil)
	for range 2 { // the second time their sequences have been forgotten
		for i := 0; i < many; i += 100 {
			ferryKafka(t, k, rs[i:min(i+100, many)])
			if n := len(k.cluster.topics); n > kafkaMaxTopics+100 {
				t.Fatalf("%d topics are remembered", n)
			}
		}
	}
	for i := 0; i < many; i += 400 {
		if got := len(readTopic(t, c.ListenAddrs()[0], topics[i])); got != 2 {
			t.Errorf("topic %s holds %d messages, want 2", topics[i], got)
		}
	}
}

// pauseKafka stops the broker and waits until each of its threads stands still.
func pauseKafka(t *testing.T, broker *testbroker.Kafka) {
	t.Helper()
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if kafkaStopped(t, broker.PID()) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the broker does not stop")
}

// kafkaStopped reads the threads' states (proc_pid_stat(5): behind the name in parentheses).
func kafkaStopped(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatal(stats, err)
	}
	for _, file := range stats {
		content, err := os.ReadFile(file)
		if _, state, ok := strings.Cut(string(content), ") "); err != nil || !ok || state[0] != 'T' {
			return false
		}
	}
	return true
}

func TestKafkaCancelled(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 2, nil)
	k := openTestKafka(t, broker.Brokers(), nil, nil)
	pauseKafka(t, broker)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	rs := kafkaRecords(0, 50)
	if err := k.Write(ctx, &Batch{Records: rs}); mustClass(t, err) != Retry {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	ferryKafka(t, k, rs)
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs, false)
}

func TestKafkaCloseLeavesNothing(t *testing.T) {
	c := startKfake(t, 3, 4)
	before := runtime.NumGoroutine()
	for range 5 {
		k := newTestKafka(t, c.ListenAddrs(), nil, nil)
		for range 3 {
			if err := k.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			ferryKafka(t, k, kafkaRecords(0, 100))
		}
		if err := k.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
