package sinks

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/internal/natsconn"
)

const (
	// natsChunk is how many bytes of messages are gathered before they are written.
	natsChunk = 32 << 10
	// natsLarge is from how many bytes on a body is not copied for that.
	natsLarge = 32 << 10
)

// natsPen sends messages: as they stand on the wire where there is a natsWire,
// else by nats.go, which comes to the same.
type natsPen struct {
	header nats.Header // of every message, for nats.go; JetStream's id changes in it
	head   []byte      // the same for the wire, without that id and the empty line

	nc      *nats.Conn
	wire    *natsWire     // nil: nats.go publishes
	timeout time.Duration // of one write to it
	buf     []byte
	parts   [][]byte // of one write
	msg     nats.Msg
}

// newNATSPen makes a pen for messages with these headers.
func newNATSPen(h nats.Header, timeout time.Duration) natsPen {
	p := natsPen{header: h, head: []byte(natsHeaderLine), msg: nats.Msg{Header: h}, timeout: min(timeout, natsconn.DefaultWriteTimeout)}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if name != jetstream.MsgIDHeader {
				p.head = fmt.Appendf(p.head, "%s: %s\r\n", name, natsHeaderValue(value))
			}
		}
	}
	return p
}

// natsHeaderValue is a value as nats.go writes it.
func natsHeaderValue(v string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(textproto.TrimString(v))
}

// begin is called before the first message of a Write.
func (p *natsPen) begin(l *natsLink) { p.nc, p.wire, p.buf = l.nc, l.plain(), p.buf[:0] }

// publish sends one message, whose body may be in parts, or gathers it until flush.
// Its bytes are not needed any more when it returns. reply and id may be empty.
func (p *natsPen) publish(subject string, reply, id []byte, body ...[]byte) error {
	if p.wire == nil {
		return p.byClient(subject, reply, id, body)
	}
	size := 0
	for _, part := range body {
		size += len(part)
	}
	p.write(subject, reply, id, size)
	if size >= natsLarge {
		return p.lend(body)
	}
	p.gather(body)
	p.buf = append(p.buf, '\r', '\n')
	if len(p.buf) >= natsChunk {
		return p.flush()
	}
	return nil
}

// lend writes what was gathered and, from where it stands, the body behind it.
func (p *natsPen) lend(body [][]byte) error {
	before := len(p.buf)
	p.buf = append(p.buf, '\r', '\n')
	p.parts = append(p.parts[:0], p.buf[:before])
	p.parts = append(append(p.parts, body...), p.buf[before:])
	return p.send()
}

// gather copies a body into the buffer.
func (p *natsPen) gather(body [][]byte) {
	for _, part := range body {
		p.buf = append(p.buf, part...)
	}
}

// write puts a message up to its body into the buffer (NATS protocol, HPUB).
func (p *natsPen) write(subject string, reply, id []byte, body int) {
	head := len(p.head) + len("\r\n")
	if len(id) > 0 {
		head += len(jetstream.MsgIDHeader) + len(": ") + len(id) + len("\r\n")
	}
	b := append(append(p.buf, "HPUB "...), subject...)
	b = append(b, ' ')
	if len(reply) > 0 {
		b = append(append(b, reply...), ' ')
	}
	b = append(strconv.AppendUint(b, uint64(head), 10), ' ')
	b = append(strconv.AppendUint(b, uint64(head+body), 10), '\r', '\n')
	b = append(b, p.head...)
	if len(id) > 0 {
		b = append(append(append(b, jetstream.MsgIDHeader+": "...), id...), '\r', '\n')
	}
	p.buf = append(b, '\r', '\n')
}

// byClient has nats.go publish. It copies all before it returns, or has written it.
func (p *natsPen) byClient(subject string, reply, id []byte, body [][]byte) error {
	if len(id) > 0 {
		p.header[jetstream.MsgIDHeader][0] = string(id)
	}
	p.msg.Subject, p.msg.Reply, p.msg.Data = subject, string(reply), p.inOne(body)
	defer func() { p.msg.Data = nil }() // it was lent
	return p.nc.PublishMsg(&p.msg)
}

// inOne gives a body as nats.go wants it, in the buffer, which is free then, where it is in parts.
func (p *natsPen) inOne(body [][]byte) []byte {
	if len(body) == 1 {
		return body[0]
	}
	p.buf = p.buf[:0]
	p.gather(body)
	return p.buf
}

// flush writes what was gathered. nats.go flushes by itself.
func (p *natsPen) flush() error {
	if p.wire == nil || len(p.buf) == 0 {
		return nil
	}
	p.parts = append(p.parts[:0], p.buf)
	return p.send()
}

// send writes the parts, and makes an error that of a connection that broke.
func (p *natsPen) send() error {
	err := p.wire.send(p.timeout, p.parts)
	clear(p.parts)
	p.buf = p.buf[:0]
	if err != nil {
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, err)
	}
	return nil
}
