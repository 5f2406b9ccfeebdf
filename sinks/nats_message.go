package sinks

import (
	"encoding/hex"
	"math"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// natsContentType is how NATS spells the header; its names keep their case.
const natsContentType = "Content-Type"

// natsHeaderLine begins a message's headers on the wire.
const natsHeaderLine = "NATS/1.0\r\n"

// natsHeaderLen is the length of headers on the wire, which counts towards the
// server's bound of a message. For the message id see natsID.maxLen.
func natsHeaderLen(h nats.Header) int {
	n := len(natsHeaderLine) + len("\r\n")
	for name, values := range h {
		if name == jetstream.MsgIDHeader {
			continue
		}
		for _, v := range values {
			n += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return n
}

// natsID makes the ids by which a stream recognises a message that is sent
// again: node, run, sink, first and last sequence number.
type natsID struct {
	env    Env
	origin *flow.Origin // that prefix was made for
	prefix []byte       // nil before the first
	buf    []byte
}

func newNATSID(env Env) natsID { return natsID{env: env} }

// maxLen is a bound of the header's length on the wire.
func (id *natsID) maxLen() int {
	const digits = 20 // of 2^64-1
	return len(jetstream.MsgIDHeader) + len(": \r\n") + natsValueLen + 2*len(id.env.Run) + len(id.env.Name) + 2*digits + 4
}

// of gives the id of a message with these first and last records, valid until the
// next call.
func (id *natsID) of(first, last *Record) []byte {
	if id.prefix == nil || first.Origin != id.origin {
		id.begin(first.Origin)
	}
	id.buf = append(id.buf[:0], id.prefix...)
	id.buf = strconv.AppendUint(id.buf, first.Seq, 10)
	id.buf = append(id.buf, '-')
	id.buf = strconv.AppendUint(id.buf, last.Seq, 10)
	return id.buf
}

// begin makes what the ids of an origin have in common.
func (id *natsID) begin(origin *flow.Origin) {
	node, run := id.env.Node, id.env.Run
	if origin != nil {
		node, run = origin.Node, origin.Run
	}
	id.origin = origin
	id.prefix = append(id.prefix[:0], natsToken(node)...)
	id.prefix = append(id.prefix, '.')
	id.prefix = hex.AppendEncode(id.prefix, run[:])
	id.prefix = append(id.prefix, '.')
	id.prefix = append(id.prefix, id.env.Name...)
	id.prefix = append(id.prefix, '.')
}

// sizeOf shows a number of bytes as the configuration would.
func sizeOf(n int) option.Size { return option.Size(min(max(n, 0), math.MaxInt)) }
