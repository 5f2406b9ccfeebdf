package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsAnswers receives a stream's acknowledgements, all on one subscription:
// each message names a reply subject of its own, which ends in its number. The
// client of JetStream would do so too, with a future, a timer and two channels
// for each message, and one goroutine more in between.
type natsAnswers struct {
	prefix string // of reply subjects
	come   chan *nats.Msg
	number uint64 // of the latest message; none is given twice on a connection
	reply  []byte
	plain  []byte // how an acknowledgement begins that only tells its sequence number
}

// natsAnswersWait is how many answers nats.go may have for us that we have not
// taken, over what is in flight: those to messages that were given up.
const natsAnswersWait = 64

// listenNATS subscribes, and waits until the server knows: messages may overtake
// what nats.go has to say.
func listenNATS(ctx context.Context, link *natsLink, o *NATSOptions) (*natsAnswers, error) {
	a := &natsAnswers{
		prefix: link.nc.NewInbox() + ".",
		come:   make(chan *nats.Msg, 2*o.MaxInFlight+natsAnswersWait),
		plain:  fmt.Appendf(nil, `{"stream":%q,"seq":`, o.JetStream.Stream),
	}
	if _, err := link.nc.ChanSubscribe(a.prefix+"*", a.come); err != nil {
		return nil, fmt.Errorf("subscribe to %s*: %w", a.prefix, err)
	}
	err := link.ask(ctx, o.PublishTimeout, func(ctx context.Context) error {
		if err := link.nc.FlushWithContext(ctx); err != nil || !link.settled(ctx) {
			return err
		}
		return link.refusal(a.prefix + "*")
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s*: %w", a.prefix, err)
	}
	return a, nil
}

// next gives the reply subject of the next message, valid until the next call.
func (a *natsAnswers) next() []byte {
	a.number++
	a.reply = strconv.AppendUint(append(a.reply[:0], a.prefix...), a.number, 10)
	return a.reply
}

// forget throws away answers to messages that were given up.
func (a *natsAnswers) forget() {
	for {
		select {
		case <-a.come:
		default:
			return
		}
	}
}

// of tells which message is answered.
func (a *natsAnswers) of(answer *nats.Msg) (number uint64, ok bool) {
	digits, ok := strings.CutPrefix(answer.Subject, a.prefix)
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, ok && err == nil
}

// read tells what an answer says: that the message is stored, or was before, or
// why it is not.
func (a *natsAnswers) read(answer *nats.Msg) (duplicate bool, err error) {
	if rest, ok := bytes.CutPrefix(answer.Data, a.plain); ok && isNATSSequence(rest) {
		return false, nil
	}
	if len(answer.Data) == 0 && answer.Header.Get("Status") == natsNoResponders {
		return false, jetstream.ErrNoStreamResponse
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	switch err := json.Unmarshal(answer.Data, &ack); {
	case err != nil:
		return false, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	case ack.Error != nil:
		return false, ack.Error
	case ack.Stream == "":
		return false, jetstream.ErrInvalidJSAck
	}
	return ack.Duplicate, nil
}

// natsNoResponders is the server's Status where nobody takes the subject.
const natsNoResponders = "503"

// isNATSSequence reports whether b is a number and the end of an object.
func isNATSSequence(b []byte) bool {
	digits, ok := bytes.CutSuffix(b, []byte("}"))
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
	}
	return ok && len(digits) > 0
}
