package sinks

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

const natsStoredAnswer = `{"stream":"CTFERRY","seq":1}`

// natsAirborne is a flight of n messages, one record each, that have all left.
func natsAirborne(t *testing.T, n int) *natsFlight {
	t.Helper()
	sink := newTestNATS(t, "nats://hub", inStream, nil)
	batch := &Batch{Records: natsRecords(0, n)}
	sink.link = &natsLink{told: make(chan struct{}, 1)}
	sink.answers = &natsAnswers{prefix: "_INBOX.x.", number: 40, plain: []byte(`{"stream":"CTFERRY","seq":`), come: make(chan *nats.Msg, n)}
	sink.plan.arrange(batch.Records, 1<<20, 1<<20)
	f := newNATSFlight(sink, batch)
	f.next, f.open = n, n
	return f
}

func (f *natsFlight) answer(number int, data string) {
	f.note(&nats.Msg{Subject: fmt.Sprintf("_INBOX.x.%d", number), Data: []byte(data)})
	f.pass()
}

// Answers may come in any order; the front waits for its own.
func TestNATSFlightOrder(t *testing.T) {
	f := natsAirborne(t, 5) // numbers 41 to 45
	for _, step := range []struct{ number, front, open int }{
		{43, 0, 4}, {41, 1, 3}, {41, 1, 3}, {40, 1, 3}, {46, 1, 3}, {45, 1, 2}, {42, 3, 1}, {44, 5, 0},
	} {
		f.answer(step.number, natsStoredAnswer)
		if f.front != step.front || f.open != step.open {
			t.Fatalf("answer to %d: front %d, open %d, want %+v", step.number, f.front, f.open, step)
		}
	}
	batch := f.b
	f.end()
	if done := doneOf(batch); done != nil {
		t.Fatalf("marks %v, where all is delivered", done)
	}
}

// Of several refusals the earliest message's counts, and nothing behind it is
// taken for delivered.
func TestNATSFlightRefused(t *testing.T) {
	f := natsAirborne(t, 5)
	refusal := func(code int) string {
		return fmt.Sprintf(`{"error":{"code":503,"err_code":%d,"description":"no"},"stream":"CTFERRY","seq":0}`, code)
	}
	f.answer(45, refusal(10045))
	f.answer(43, refusal(10043))
	f.answer(44, natsStoredAnswer)
	if err := f.fill(); err != nil || f.next != 5 {
		t.Fatalf("%v, next %d", err, f.next)
	}
	f.answer(42, natsStoredAnswer)
	f.answer(41, natsStoredAnswer)
	var api *jetstream.APIError
	if err := f.await(t.Context()); !errors.As(err, &api) || api.ErrorCode != 10043 || f.front != 2 {
		t.Fatalf("front %d: %v", f.front, err)
	}
	batch := f.b
	f.end()
	if done := doneOf(batch); !slices.Equal(done, []uint64{0, 1}) {
		t.Fatalf("done %v", done)
	}
}

// What breaks the connection, or a refused subject, ends the wait at once, and
// silence does in time.
func TestNATSFlightTrouble(t *testing.T) {
	f := natsAirborne(t, 2)
	f.n.link.broke(nil)
	if err := f.await(t.Context()); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("broken: %v", err)
	}
	f.end()
	f = natsAirborne(t, 2)
	f.n.link.failed(errors.New("something else"))
	f.n.o.PublishTimeout = 20 * time.Millisecond
	f.timer.Reset(time.Millisecond) // too early: it looks again
	if err := f.await(t.Context()); !errors.Is(err, jetstream.ErrAsyncPublishTimeout) || time.Since(f.since) < 20*time.Millisecond {
		t.Errorf("silent: %v after %s", err, time.Since(f.since))
	}
	f.end()
}

// Answers to messages of a Write that failed do not count for those of the next.
func TestNATSLateAnswers(t *testing.T) {
	b := natstest.Start(t)
	s := natsStream(t, b.Dial(t), nil)
	p := newNATSProxy(t, b.ClientURL())
	n := openTestNATS(t, p.url(), func(o *NATSOptions) { inStream(o); o.PublishTimeout, o.MaxInFlight = 200*time.Millisecond, 16 }, nil)
	p.hold()
	for range 3 {
		mustFail(t, natsWrite(t, n, &Batch{Records: natsRecords(0, 16)}), Retry, "no acknowledgement in time")
	}
	p.release()
	natsFerry(t, n, natsRecords(0, 50))
	mustHaveAll(t, natsStoredRecords(t, s, GroupNone), 0, 50)
}
