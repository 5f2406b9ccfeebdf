package testbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// values reads the topic's values in order.
func values(t *testing.T, k *Kafka, topic string) []string {
	t.Helper()
	all, err := k.Consume(bounded(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, string(r.Value))
	}
	return got
}

// One broker goes through all its states; data and addresses stay.
func TestLives(t *testing.T) {
	began := time.Now()
	k := Start(t, Options{})
	t.Logf("start %v, resident %s", time.Since(began).Round(time.Millisecond), resident(t, k))
	ctx := bounded(t)
	topic := topicFor(t, k, 1)
	brokers := fmt.Sprint(k.Brokers())
	client := newClient(t, k, SASLTLS, ScramSHA512) // one client for all lives: it must find the broker again
	steps := []struct {
		name string
		do   func() error
	}{
		{"restart", func() error { return k.Restart(ctx) }},
		{"shut down and restart", func() error { return errors.Join(k.Shutdown(), k.Restart(ctx)) }},
		{"kill and restart", func() error { return errors.Join(k.Kill(), k.Restart(ctx)) }},
		{"kill again and restart", func() error { return errors.Join(k.Kill(), k.Kill(), k.Restart(ctx)) }},
		{"pause and restart", func() error { return errors.Join(k.Pause(), k.Restart(ctx)) }},
		{"pause and kill and restart", func() error { return errors.Join(k.Pause(), k.Kill(), k.Restart(ctx)) }},
	}
	var want []string
	for _, step := range steps {
		want = append(want, "before "+step.name)
		if err := produceSoon(ctx, client, topic, want[len(want)-1]); err != nil {
			t.Fatalf("before %s: %v", step.name, err)
		}
		began := time.Now()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		t.Logf("%s: %v", step.name, time.Since(began).Round(time.Millisecond))
		if got := fmt.Sprint(k.Brokers()); got != brokers {
			t.Errorf("%s: brokers %s, before %s", step.name, got, brokers)
		}
		if got := values(t, k, topic); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: got %q, want %q", step.name, got, want)
		}
	}
}

// produceSoon tries until the client has seen that the broker is back; each value is written once, as a refused try is not written.
func produceSoon(ctx context.Context, c *kafka.Client, topic, value string) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := produce(ctx, c, topic, 0, value)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func resident(t *testing.T, k *Kafka) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}

func TestPauseAndResume(t *testing.T) {
	k := Start(t, Options{})
	ctx := bounded(t)
	topic := topicFor(t, k, 1)
	client := newClient(t, k, Plaintext, "")
	if err := produce(ctx, client, topic, 0, "one"); err != nil {
		t.Fatal(err)
	}
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := produce(short, client, topic, 0, "two"); err == nil {
		t.Error("a paused broker answered")
	}
	if err := k.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := produceSoon(ctx, client, topic, "three"); err != nil {
		t.Fatal(err)
	}
	// Whether "two" lay in the socket and was taken later is the client's affair.
	got := values(t, k, topic)
	if got[0] != "one" || got[len(got)-1] != "three" {
		t.Errorf("got %q", got)
	}
	// Stop must not wait for a process that cannot run.
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := k.Stop(); err != nil {
		t.Errorf("stop while paused: %v", err)
	}
	if d := time.Since(began); d > stopWait {
		t.Errorf("stop took %v", d)
	}
}

func TestStop(t *testing.T) {
	d := NeedKafka(t)
	k, err := d.Start(bounded(t), Options{HeapMiB: 256, Config: map[string]string{"message.max.bytes": "3000"}})
	if err != nil {
		t.Fatal(err)
	}
	pid, dir := k.PID(), k.dir
	topic := topicFor(t, k, 1)
	client := newClient(t, k, Plaintext, "")
	if err := produce(bounded(t), client, topic, 0, strings.Repeat("x", 4000)); !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("Options.Config was not heeded: %v, want %v", err, kafka.MessageSizeTooLarge)
	}
	began := time.Now()
	if err := k.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("stop %v", time.Since(began).Round(time.Millisecond))
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after stop: %v, want that it is gone", pid, err)
	}
	if exists(dir) {
		t.Errorf("%s is still there", dir)
	}
	for name, again := range map[string]func() error{
		"kill": k.Kill, "shutdown": k.Shutdown, "pause": k.Pause, "resume": k.Resume, "restart": func() error { return k.Restart(bounded(t)) },
	} {
		if err := again(); !errors.Is(err, errStopped) {
			t.Errorf("%s after stop: %v, want errStopped", name, err)
		}
	}
	if err := k.Stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

// A broker that cannot start says why, soon, and leaves nothing behind.
func TestStartFails(t *testing.T) {
	d := NeedKafka(t)
	t.Setenv("TMPDIR", t.TempDir())
	tests := []struct {
		name    string
		options Options
		limit   time.Duration
		want    string
	}{
		{"bad configuration", Options{Config: map[string]string{"num.io.threads": "none"}}, time.Minute, "num.io.threads"},
		{"bad flag", Options{JVM: []string{"-XX:NoSuchFlag"}}, time.Minute, "NoSuchFlag"},
		{"no time", Options{}, 300 * time.Millisecond, "deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), tt.limit)
			defer cancel()
			began := time.Now()
			_, err := d.Start(ctx, tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error about %q", err, tt.want)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			left, err := os.ReadDir(os.TempDir())
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What start looks for in the log before it tries other ports must be what the broker writes.
func TestPortTaken(t *testing.T) {
	k, err := NeedKafka(t).newKafka(Options{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp4", k.Address(TLS))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // accepts nobody
	if err := k.launch(bounded(t)); err == nil {
		t.Error("started on a port that is taken")
	}
	if log := k.Log(); !strings.Contains(log, portTaken) {
		t.Errorf("want %q in the log:\n%s", portTaken, log)
	}
	if err := k.Stop(); err != nil {
		t.Error(err)
	}
}

// Without a process there is still a folder to remove.
func TestStartWithoutJava(t *testing.T) {
	d := *NeedKafka(t)
	d.java = "/does/not/exist"
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := d.Start(bounded(t), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that there is no such program", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Test packages run side by side: so do their brokers.
func TestTwoBrokers(t *testing.T) {
	a, b := Start(t, Options{}), Start(t, Options{})
	for _, k := range []*Kafka{a, b} {
		topic := topicFor(t, k, 1)
		client := newClient(t, k, Plaintext, "")
		if err := produce(bounded(t), client, topic, 0, k.Address(Plaintext)); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []*Kafka{a, b} {
		if got := values(t, k, t.Name()); len(got) != 1 || got[0] != k.Address(Plaintext) {
			t.Errorf("broker %s holds %q", k.Address(Plaintext), got)
		}
	}
}
