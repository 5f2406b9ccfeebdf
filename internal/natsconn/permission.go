package natsconn

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// What a user may lack the permission for.
const (
	OpPublish   = "publish"
	OpSubscribe = "subscribe"
	OpReply     = "reply" // a publish whose reply subject is not allowed
)

// PermissionError says that the server refused a subject to this user. The
// server tells of it after the fact: a publish has long returned nil. It is of
// the configuration class.
type PermissionError struct {
	// Op is OpPublish, OpSubscribe, OpReply, or empty when the server's words
	// were not understood.
	Op string
	// Subject is the subject refused, or empty likewise.
	Subject string
	// Queue is the queue group of a subscription, if any.
	Queue string
	// Err is what nats.go reported; it wraps nats.ErrPermissionViolation.
	Err error
}

// Error names the operation and the subject.
func (e *PermissionError) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	text := "nats: no permission to " + e.Op + " "
	if e.Op == OpReply {
		text = "nats: no permission to publish with reply "
	}
	text += strconv.Quote(e.Subject)
	if e.Queue != "" {
		text += " in queue " + strconv.Quote(e.Queue)
	}
	return text
}

// Unwrap returns what nats.go reported.
func (e *PermissionError) Unwrap() error { return e.Err }

// AsPermissionError finds a permission violation in err, wherever it came from,
// and reads the server's words for the subject. It returns nil if err is none.
func AsPermissionError(err error) *PermissionError {
	var pe *PermissionError
	if errors.As(err, &pe) {
		return pe
	}
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	pe = &PermissionError{Err: err}
	pe.parse(err.Error())
	return pe
}

// parse reads nats-server's sentences, client.go: pubPermissionViolation,
// replySubjectViolation, subPermissionViolation, maxTokensViolation and the one
// after a change of permissions. Names in them are quoted as by Go's %q.
func (e *PermissionError) parse(text string) {
	_, text, _ = strings.Cut(text, "Permissions Violation for ")
	for _, s := range []struct{ op, words string }{
		{OpPublish, "Publish to "},
		{OpReply, "Publish with Reply of "},
		{OpSubscribe, "Subscription to "},
	} {
		rest, found := strings.CutPrefix(text, s.words)
		quoted, err := strconv.QuotedPrefix(rest)
		if !found || err != nil {
			continue
		}
		e.Op, e.Subject = s.op, unquote(quoted)
		if queue, found := strings.CutPrefix(rest[len(quoted):], " using queue "); found {
			quoted, _ := strconv.QuotedPrefix(queue)
			e.Queue = unquote(quoted)
		}
	}
}

// unquote undoes %q; of what is not quoted it returns nothing.
func unquote(quoted string) string {
	s, _ := strconv.Unquote(quoted)
	return s
}
