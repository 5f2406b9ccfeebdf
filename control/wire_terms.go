package control

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// flowTerms are how a caller wants its answer.
type flowTerms struct {
	Window int // 0: the caller does not acknowledge
	Chunk  int // bytes
	Token  string
	User   string
}

// header spells the terms.
func (f *flowTerms) header() nats.Header {
	out := nats.Header{headerStream: {f.Token}, headerWindow: {strconv.Itoa(f.Window)}, headerChunk: {strconv.Itoa(f.Chunk)}}
	if f.User != "" {
		out[headerUser] = []string{oneLine(f.User)}
	}
	return out
}

// readTerms reads the terms of a request. What is absent is 0 or "".
func readTerms(in nats.Header) (f flowTerms, err error) {
	f.Token, f.User = in.Get(headerStream), in.Get(headerUser)
	if len(f.Token) > maxToken || f.Token != "" && Token(f.Token) != f.Token {
		return f, badHeader(headerStream, "expected a token of at most %d signs A-Z, a-z, 0-9, _ and -", maxToken)
	}
	if len(f.User) > maxUser {
		return f, badHeader(headerUser, "expected at most %d bytes", maxUser)
	}
	if f.Window, err = termNumber(in, headerWindow, 0, maxWindow); err != nil {
		return f, err
	}
	f.Chunk, err = termNumber(in, headerChunk, minChunk, 1<<30)
	return f, err
}

// termNumber reads a number that may be absent.
func termNumber(in nats.Header, name string, least, most int) (int, error) {
	text := in.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badHeader(name, "%.24q: expected a whole number from %d to %d", text, least, most)
	}
	return n, nil
}

func badHeader(name, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: name, Message: fmt.Sprintf(format, args...)}
}

// Words of a caller to the node, on the subject that answers carry as their
// reply: "ack N" (it has taken N messages; also to say that it is there) and
// "cancel".
const (
	wordAck    = "ack "
	wordCancel = "cancel"
)

// ackWord spells an acknowledgement of the first n messages.
func ackWord(n uint64) []byte { return strconv.AppendUint([]byte(wordAck), n, 10) }

// readCallerWord reads a caller's word: how many messages it has taken, or that it
// wants no more.
func readCallerWord(data []byte) (acked uint64, cancel, ok bool) {
	if string(data) == wordCancel {
		return 0, true, true
	}
	digits, found := strings.CutPrefix(string(data), wordAck)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, false, found && err == nil
}

// isNobody reports whether the server says that nobody hears a subject.
func isNobody(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == statusLost && m.Header.Get(headerKind) == ""
}
