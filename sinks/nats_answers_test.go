package sinks

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestNATSAnswersRead(t *testing.T) {
	a := &natsAnswers{prefix: "_INBOX.x.", plain: []byte(`{"stream":"CTFERRY","seq":`)}
	for _, tt := range []struct {
		data      string
		header    nats.Header
		duplicate bool
		err       error
		code      jetstream.ErrorCode
	}{
		{data: `{"stream":"CTFERRY","seq":1}`},
		{data: `{"stream":"CTFERRY","seq":18446744073709551615}`},
		{data: `{"stream":"CTFERRY","seq":7,"duplicate": true}`, duplicate: true},
		{data: `{"stream":"CTFERRY","domain":"hub","seq":7}`},
		{data: `{"stream": "CTFERRY", "seq": 7}`},
		{data: `{"stream":"CTFERRY","seq":}`, err: jetstream.ErrInvalidJSAck},
		{data: `{"stream":"CTFERRY","seq":7`, err: jetstream.ErrInvalidJSAck},
		{data: `{"seq":7}`, err: jetstream.ErrInvalidJSAck},
		{data: `nonsense`, err: jetstream.ErrInvalidJSAck},
		{data: ``, err: jetstream.ErrInvalidJSAck},
		{header: nats.Header{"Status": {"503"}}, err: jetstream.ErrNoStreamResponse},
		{data: `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"CTFERRY","seq":0}`, code: natsStoreFailed},
	} {
		duplicate, err := a.read(&nats.Msg{Data: []byte(tt.data), Header: tt.header})
		var api *jetstream.APIError
		switch {
		case duplicate != tt.duplicate:
			t.Errorf("%s: duplicate %v", tt.data, duplicate)
		case tt.code != 0 && (!errors.As(err, &api) || api.ErrorCode != tt.code):
			t.Errorf("%s: %v", tt.data, err)
		case tt.code == 0 && !errors.Is(err, tt.err):
			t.Errorf("%s: %v, want %v", tt.data, err, tt.err)
		}
	}
}

// An answer belongs to the message whose reply subject it came on, or to none.
func TestNATSAnswersOf(t *testing.T) {
	a := &natsAnswers{prefix: "_INBOX.x."}
	for range 3 {
		a.next()
	}
	if reply := string(a.next()); reply != "_INBOX.x.4" {
		t.Fatal(reply)
	}
	for subject, want := range map[string]uint64{
		"_INBOX.x.4": 4, "_INBOX.x.18446744073709551615": 1<<64 - 1,
		"_INBOX.x.": 0, "_INBOX.y.4": 0, "_INBOX.x.-4": 0, "_INBOX.x.4a": 0, "_INBOX.x.18446744073709551616": 0,
	} {
		if number, ok := a.of(&nats.Msg{Subject: subject}); ok != (want > 0) || ok && number != want {
			t.Errorf("%s: %d, %v", subject, number, ok)
		}
	}
}
