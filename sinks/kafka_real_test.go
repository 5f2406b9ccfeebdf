package sinks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testbroker"
)

func createKafkaTopic(t *testing.T, broker *testbroker.Kafka, name string, partitions int, config map[string]string) {
	t.Helper()
	if err := broker.CreateTopic(t.Context(), name, partitions, config); err != nil {
		t.Fatal(err)
	}
}

// withSASL sets the options of the broker's user.
func withSASL(mechanism string) func(*KafkaOptions) {
	return func(o *KafkaOptions) {
		o.SASL = KafkaSASL{Mechanism: mechanism, User: testbroker.User, Password: option.NewSecret(testbroker.Password)}
	}
}

func TestKafkaRealDelivers(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	ca := option.TLS{CAFile: broker.Certificates().CA}
	mutual := option.TLS{CAFile: ca.CAFile, CertFile: broker.Certificates().ClientCert, KeyFile: broker.Certificates().ClientKey}
	withTLS := func(o *KafkaOptions) { o.TLS = ca }
	type way struct {
		name     string
		listener testbroker.Listener
		change   []func(*KafkaOptions)
	}
	ways := []way{
		{"sasl-plain", testbroker.SASL, []func(*KafkaOptions){withSASL(kafkaPlain)}},
		{"sasl-scram-256", testbroker.SASL, []func(*KafkaOptions){withSASL(kafkaScram256)}},
		{"sasl-scram-512-tls", testbroker.SASLTLS, []func(*KafkaOptions){withSASL(kafkaScram512), withTLS}},
		{"tls", testbroker.TLS, []func(*KafkaOptions){withTLS}},
		{"mtls", testbroker.MutualTLS, []func(*KafkaOptions){func(o *KafkaOptions) { o.TLS = mutual }}},
		{"crc32", testbroker.Plaintext, []func(*KafkaOptions){func(o *KafkaOptions) { o.Partitioner = kafkaCRC32 }}},
		{"acks-leader", testbroker.Plaintext, []func(*KafkaOptions){func(o *KafkaOptions) { o.Acks = kafkaAcksLeader }}},
	}
	for _, c := range kafkaCompressions() {
		ways = append(ways, way{c, testbroker.Plaintext, []func(*KafkaOptions){func(o *KafkaOptions) { o.Compression = c }}})
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			createKafkaTopic(t, broker, w.name, 4, nil)
			k := openTestKafka(t, []string{broker.Address(w.listener)}, func(o *KafkaOptions) {
				o.Topic = w.name
				for _, change := range w.change {
					change(o)
				}
			}, nil)
			rs := kafkaRecords(0, 3000)
			for from := 0; from < len(rs); from += 600 {
				ferryKafka(t, k, rs[from:from+600])
			}
			mustHold(t, readTopic(t, broker.Brokers()[0], w.name), rs, false)
			if w.name != "acks-leader" && !k.idempotent {
				t.Error("not idempotent")
			}
		})
	}
}

// The broker writes but its answers are lost, again and again.
func TestKafkaRealLostAnswers(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 3, nil)
	front := newKafkaDropper(t, broker.Brokers())
	k := openTestKafka(t, front.addrs, nil, nil)
	rs := kafkaRecords(0, 6000)
	for i := range 30 {
		front.dropNext.Store(int32(i % 12))
		ferryKafka(t, k, rs[i*200:(i+1)*200])
	}
	if front.dropped.Load() < 50 {
		t.Errorf("only %d answers were dropped", front.dropped.Load())
	}
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs, false)
	if n := k.Counters().PossibleDuplicates; n != 0 {
		t.Errorf("%d possible duplicates", n)
	}
}

// Killed three times in the middle of the stream, and stopped in good order once.
func TestKafkaRealRestart(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 4, nil)
	k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.RequestTimeout = 3 * time.Second }, nil)
	failed := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(failed)
		for i := range 4 {
			time.Sleep(700 * time.Millisecond)
			var err error
			if i < 3 {
				err = broker.Kill()
			} else {
				err = broker.Shutdown()
			}
			time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			if err == nil {
				err = broker.Restart(t.Context())
			}
			if err != nil {
				failed <- err
				break
			}
		}
		close(done)
	}()
	var rs []Record
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		next := kafkaRecords(len(rs), 200)
		ferryKafka(t, k, next)
		rs = append(rs, next...)
		time.Sleep(5 * time.Millisecond)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records over four restarts", len(rs))
	mustHold(t, readTopic(t, broker.Brokers()[0], kafkaTestTopic), rs, false)
	if n := k.Counters().PossibleDuplicates; n != 0 {
		t.Errorf("%d possible duplicates", n)
	}
}

// Open tells what only a person can mend from what passes.
func TestKafkaRealOpenRefused(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	opens := func(name string, l testbroker.Listener, want Class, text string, change func(*KafkaOptions)) {
		t.Run(name, func(t *testing.T) {
			k := newTestKafka(t, []string{broker.Address(l)}, change, nil)
			defer func() { _ = k.Close(t.Context()) }()
			err := k.Open(t.Context())
			if mustClass(t, err) != want || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "opensesame") {
				t.Errorf("got %v: %v, want %v: %s", mustClass(t, err), err, want, text)
			}
		})
	}
	wrong := KafkaSASL{User: testbroker.User, Password: option.NewSecret("opensesame")}
	for _, mechanism := range []string{kafkaPlain, kafkaScram256, kafkaScram512} {
		opens("password "+mechanism, testbroker.SASL, Configuration, "sasl: user, password or token refused", func(o *KafkaOptions) {
			o.SASL = wrong
			o.SASL.Mechanism = mechanism
		})
	}
	other, err := testbroker.NewCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	opens("authority", testbroker.TLS, Configuration, "certificate", func(o *KafkaOptions) { o.TLS.CAFile = other.CA })
	opens("no certificate", testbroker.MutualTLS, Configuration, "certificate", func(o *KafkaOptions) { o.TLS.CAFile = broker.Certificates().CA })
	opens("foreign certificate", testbroker.MutualTLS, Configuration, "certificate", func(o *KafkaOptions) {
		o.TLS = option.TLS{CAFile: broker.Certificates().CA, CertFile: other.ClientCert, KeyFile: other.ClientKey}
	})
	opens("tls to plaintext", testbroker.Plaintext, Retry, "", func(o *KafkaOptions) {
		o.TLS.CAFile, o.DialTimeout, o.RequestTimeout = other.CA, time.Second, 2*time.Second
	})
	opens("plaintext to tls", testbroker.TLS, Retry, "", func(o *KafkaOptions) { o.DialTimeout, o.RequestTimeout = time.Second, 2*time.Second })
	opens("unknown topic", testbroker.Plaintext, Retry, "topic nowhere: does not exist on these brokers", func(o *KafkaOptions) { o.Topic = "nowhere" })
	opens("missing password file", testbroker.SASL, Configuration, "sasl.password_file", func(o *KafkaOptions) {
		o.SASL = KafkaSASL{Mechanism: kafkaPlain, User: "u", PasswordFile: filepath.Join(t.TempDir(), "none")}
	})
}

func TestKafkaRealWriteRefused(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, "secret", 1, nil)
	if err := broker.DenyWrite(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	createKafkaTopic(t, broker, "small", 1, map[string]string{"max.message.bytes": "20000"})
	createKafkaTopic(t, broker, "present", 1, map[string]string{"message.timestamp.before.max.ms": "60000"})
	createKafkaTopic(t, broker, "compact", 1, map[string]string{"cleanup.policy": "compact"})

	t.Run("topic", func(t *testing.T) {
		k := newTestKafka(t, []string{broker.Address(testbroker.SASL)}, func(o *KafkaOptions) {
			o.Topic = "secret"
			withSASL(kafkaPlain)(o)
		}, nil)
		defer func() { _ = k.Close(t.Context()) }()
		err := k.Open(t.Context())
		if err == nil {
			err = k.Write(t.Context(), &Batch{Records: kafkaRecords(0, 5)})
		}
		if mustClass(t, err) != Configuration || !strings.Contains(err.Error(), "topic secret: not authorised") {
			t.Error(err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.Topic, o.Compression = "small", "none" }, nil)
		rs := kafkaRecords(0, 1000)
		rs[7].Value = bytes.Repeat([]byte("x"), 30_000)
		if got := ferryKafka(t, k, rs); len(got) != 1 || got[0] != 7 {
			t.Fatalf("poison %v, want 7", got)
		}
		mustHold(t, readTopic(t, broker.Brokers()[0], "small"), append(append([]Record{}, rs[:7]...), rs[8:]...), false)
	})
	t.Run("times", func(t *testing.T) {
		k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.Topic = "present" }, nil)
		rs := kafkaRecords(0, 20) // an hour old
		ferryKafka(t, k, rs)
		all := readTopic(t, broker.Brokers()[0], "present")
		if len(all) != 20 || time.Since(all[0].Time) > time.Minute || k.Counters().TimesRefused != 20 {
			t.Errorf("%d messages, the first of %v, %d refused", len(all), all[0].Time, k.Counters().TimesRefused)
		}
	})
	t.Run("records", func(t *testing.T) {
		k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.Topic, o.Key = "compact", kafkaKeyNone }, nil)
		err := k.Write(t.Context(), &Batch{Records: kafkaRecords(0, 3)})
		e, ok := err.(*Error)
		if !ok || e.Class != Poison || len(e.Poison) != 3 {
			t.Errorf("a topic that wants keys: %v", err)
		}
	})
}

func TestKafkaRealGroups(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	protobuf := encode.Format{Name: "protobuf", ContentType: `application/x-protobuf; messageType="ctferry.v1.Record"`}
	for _, tt := range []struct {
		group       Group
		format      encode.Format
		contentType string
		split       func([]byte) [][]byte
	}{
		{GroupNDJSON, kafkaTestFormat(), "application/x-ndjson", func(v []byte) [][]byte { return bytes.Split(v, []byte("\n")) }},
		{GroupRecordBatch, protobuf, `application/x-protobuf; messageType="ctferry.v1.RecordBatch"`, splitRecordBatch},
	} {
		t.Run(string(tt.group), func(t *testing.T) {
			topic := string(tt.group)
			createKafkaTopic(t, broker, topic, 3, nil)
			k := openTestKafka(t, broker.Brokers(), func(o *KafkaOptions) { o.Topic, o.MaxMessageBytes = topic, 20_000 },
				func(e *Env) { e.Group, e.Format = tt.group, tt.format })
			rs := kafkaRecords(0, 2000)
			ferryKafka(t, k, rs[:1000])
			ferryKafka(t, k, rs[1000:])
			seen, last, home := map[string]bool{}, map[uint64]string{}, map[uint64]int{}
			bySeq := map[string]Record{}
			for _, r := range rs {
				bySeq[string(r.Value)] = r
			}
			messages := readTopic(t, broker.Brokers()[0], topic)
			for _, m := range messages {
				if m.Key != nil {
					t.Fatalf("key %q", m.Key)
				}
				mustHaveHeader(t, m, headerContentType, tt.contentType)
				for _, v := range tt.split(m.Value) {
					r, ok := bySeq[string(v)]
					if !ok || seen[string(v)] || last[r.FlowID] > fmt.Sprintf("%08d", r.Seq) {
						t.Fatalf("unknown, twice or out of order: %q", v)
					}
					if p, ok := home[r.FlowID]; ok && p != m.Partition {
						t.Fatalf("flow %x stands in partitions %d and %d", r.FlowID, p, m.Partition)
					}
					seen[string(v)], last[r.FlowID], home[r.FlowID] = true, fmt.Sprintf("%08d", r.Seq), m.Partition
				}
			}
			if len(seen) != len(rs) {
				t.Errorf("%d of %d records", len(seen), len(rs))
			}
			if len(messages) > 50 {
				t.Errorf("%d messages for %d records", len(messages), len(rs))
			}
		})
	}
}

// splitRecordBatch reads a ctferry.v1.RecordBatch by hand.
func splitRecordBatch(v []byte) [][]byte {
	var all [][]byte
	for len(v) > 0 {
		n, w := binary.Uvarint(v[1:])
		if v[0] != 0x0a || w <= 0 || len(v) < 1+w+int(n) {
			return nil
		}
		all = append(all, v[1+w:1+w+int(n)])
		v = v[1+w+int(n):]
	}
	return all
}

// A password that changes in its file counts when the outlet opens again.
func TestKafkaRealPasswordFile(t *testing.T) {
	broker := testbroker.Start(t, testbroker.Options{})
	createKafkaTopic(t, broker, kafkaTestTopic, 1, nil)
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	k := newTestKafka(t, []string{broker.Address(testbroker.SASL)}, func(o *KafkaOptions) {
		o.SASL = KafkaSASL{Mechanism: kafkaScram512, User: testbroker.User, PasswordFile: file}
	}, nil)
	defer func() { _ = k.Close(t.Context()) }()
	if err := k.Open(t.Context()); mustClass(t, err) != Configuration {
		t.Fatal(err)
	}
	write(testbroker.Password)
	if err := k.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ferryKafka(t, k, kafkaRecords(0, 10))
}
