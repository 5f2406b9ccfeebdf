package control

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/encode"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Headers of an answer's messages. The messages of one answer are numbered from
// 0: rows (any number), error (if it failed; micro's error headers, an Error as
// JSON), result (a Result as JSON, if there is one), and the end mark, which is
// empty. A missing number is a lost message.
const (
	headerNode    = "Ctferry-Node"    // who answers
	headerRun     = "Ctferry-Run"     // its run, hex
	headerRequest = "Ctferry-Request" // Request.ID
	headerKind    = "Ctferry-Kind"    // rows, result, error or end
	headerSeq     = "Ctferry-Seq"     // from 0
	headerRows    = "Ctferry-Rows"    // of rows: records in the message; of end: in all of them
	headerChunks  = "Ctferry-Chunks"  // of end: messages of rows
	headerType    = "Content-Type"
)

// Headers of a request. Without a window the caller does not acknowledge: the
// node then paces itself.
const (
	headerWindow = "Ctferry-Window" // messages that may be under way without acknowledgement
	headerChunk  = "Ctferry-Chunk"  // bytes of a message, at most
	headerStream = "Ctferry-Stream" // the caller's name for the answer, random
	headerUser   = "Ctferry-User"   // who the caller says it is; nobody has verified it
	headerInfo   = "Nats-Request-Info"
	headerOf     = "Nats-Subject" // nats-server's, of what nobody hears
)

// messageKind is what a message of an answer is.
type messageKind string

const (
	kindRows   messageKind = "rows"
	kindResult messageKind = "result"
	kindError  messageKind = "error"
	kindEnd    messageKind = "end"
)

// Bounds of a request's headers.
const (
	maxWindow  = 64
	maxChunk   = 256 << 10
	minChunk   = 1 << 10
	maxToken   = 64
	maxUser    = 256
	jsonType   = "application/json"
	statusLost = "503" // of nats-server, where nobody hears
)

// messageHead is what the headers of an answer's message say.
type messageHead struct {
	Node, Run, Request string
	Kind               messageKind
	Seq                uint64
	Rows               uint64
	Chunks             uint64
}

// header spells the head.
func (h *messageHead) header(contentType string) nats.Header {
	out := nats.Header{
		headerNode: {oneLine(h.Node)}, headerRun: {h.Run}, headerKind: {string(h.Kind)},
		headerSeq: {strconv.FormatUint(h.Seq, 10)},
	}
	if h.Request != "" {
		out[headerRequest] = []string{oneLine(h.Request)}
	}
	if h.Kind == kindRows || h.Kind == kindEnd {
		out[headerRows] = []string{strconv.FormatUint(h.Rows, 10)}
	}
	if h.Kind == kindEnd {
		out[headerChunks] = []string{strconv.FormatUint(h.Chunks, 10)}
	}
	if contentType != "" {
		out[headerType] = []string{contentType}
	}
	return out
}

// readHead reads what header spells.
func readHead(in nats.Header) (h messageHead, err error) {
	h = messageHead{Node: in.Get(headerNode), Run: in.Get(headerRun), Request: in.Get(headerRequest), Kind: messageKind(in.Get(headerKind))}
	if h.Node == "" {
		return h, fmt.Errorf("header %s: missing", headerNode)
	}
	if h.Seq, err = headerNumber(in, headerSeq); err != nil {
		return h, err
	}
	switch h.Kind {
	case kindResult, kindError:
	case kindRows, kindEnd:
		if h.Rows, err = headerNumber(in, headerRows); err != nil {
			return h, err
		}
		if h.Kind == kindEnd {
			h.Chunks, err = headerNumber(in, headerChunks)
		}
	default:
		err = fmt.Errorf("header %s: %.20q, want rows, result, error or end", headerKind, h.Kind)
	}
	return h, err
}

func headerNumber(in nats.Header, name string) (uint64, error) {
	n, err := strconv.ParseUint(in.Get(name), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("header %s: %.24q, want a whole number", name, in.Get(name))
	}
	return n, nil
}

// oneLine keeps a value within its header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '_'
		}
		return r
	}, s)
}

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

// errorHeaders adds to h how NATS services tell an error.
func errorHeaders(h nats.Header, e *Error) nats.Header {
	h[micro.ErrorHeader] = []string{oneLine(e.Error())}
	h[micro.ErrorCodeHeader] = []string{strconv.Itoa(int(e.Code))}
	return h
}

// groupType is the media type of a message of rows.
func groupType(f encode.Format) string {
	if f.Framing == encode.Lines && f.ContentType == jsonType {
		return "application/x-ndjson"
	}
	return f.ContentType
}
