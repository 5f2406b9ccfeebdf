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
