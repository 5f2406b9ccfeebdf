package natsconn

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestAsPermissionError(t *testing.T) {
	for _, tt := range []struct{ text, op, subject, queue string }{
		{`Permissions Violation for Publish to "a.b"`, OpPublish, "a.b", ""},
		{`Permissions Violation for Publish to "a.\"b\""`, OpPublish, `a."b"`, ""},
		{`Permissions Violation for Publish to "a.Violation for Subscription to \"x\""`, OpPublish, `a.Violation for Subscription to "x"`, ""},
		{`Permissions Violation for Publish with Reply of "_R_.x"`, OpReply, "_R_.x", ""},
		{`Permissions Violation for Subscription to "a.>"`, OpSubscribe, "a.>", ""},
		{`Permissions Violation for Subscription to "a.>" using queue "q 1"`, OpSubscribe, "a.>", "q 1"},
		{`Permissions Violation for Subscription to "a.>" using queue "q" (sid "7")`, OpSubscribe, "a.>", "q"},
		{`Permissions Violation for Subscription to "a.>" (sid "7")`, OpSubscribe, "a.>", ""},
		{`Permissions Violation for Subscription to "a.b.c", too many tokens`, OpSubscribe, "a.b.c", ""},
		{`Permissions Violation`, "", "", ""},
		{`Permissions Violation for Publish to nothing quoted`, "", "", ""},
		{`Permissions Violation for Publish to "a`, "", "", ""},
	} {
		err := fmt.Errorf("sink: %w", fmt.Errorf("%w: %s", nats.ErrPermissionViolation, tt.text))
		pe := AsPermissionError(err)
		if pe == nil || pe.Op != tt.op || pe.Subject != tt.subject || pe.Queue != tt.queue {
			t.Errorf("%s: %+v", tt.text, pe)
			continue
		}
		if !errors.Is(pe, nats.ErrPermissionViolation) || !IsAuth(pe) || AsPermissionError(pe) != pe {
			t.Errorf("%s: %v is not what it was", tt.text, pe)
		}
	}
	for _, err := range []error{nil, io.EOF, nats.ErrAuthorization} {
		if pe := AsPermissionError(err); pe != nil {
			t.Errorf("%v: %v", err, pe)
		}
	}
}

func TestPermissionErrorText(t *testing.T) {
	for want, pe := range map[string]*PermissionError{
		`nats: no permission to publish "a"`:                {Op: OpPublish, Subject: "a"},
		`nats: no permission to publish with reply "a"`:     {Op: OpReply, Subject: "a"},
		`nats: no permission to subscribe "a" in queue "q"`: {Op: OpSubscribe, Subject: "a", Queue: "q"},
		`EOF`: {Err: io.EOF},
	} {
		if pe.Error() != want {
			t.Errorf("got %s, want %s", pe, want)
		}
	}
}

// Whatever subject a server quotes is read back as it was.
func FuzzPermissionParse(f *testing.F) {
	f.Add("a.b", "", 0)
	f.Add(`x " using queue "y`, "q", 2)
	f.Add("Violation for Publish to ", "\x00\xff", 1)
	f.Fuzz(func(t *testing.T, subject, queue string, kind int) {
		var text, op string
		switch kind % 3 {
		case 0:
			op, text, queue = OpPublish, fmt.Sprintf("Permissions Violation for Publish to %q", subject), ""
		case 1:
			op, text, queue = OpReply, fmt.Sprintf("Permissions Violation for Publish with Reply of %q", subject), ""
		default:
			op, text = OpSubscribe, fmt.Sprintf("Permissions Violation for Subscription to %q using queue %q (sid \"1\")", subject, queue)
		}
		var pe PermissionError
		pe.parse(text)
		if pe.Op != op || pe.Subject != subject || pe.Queue != queue {
			t.Errorf("%s: %+v", text, pe)
		}
		pe = PermissionError{}
		pe.parse(subject) // anything at all: no panic
	})
}
