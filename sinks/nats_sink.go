package sinks

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
)

// NATS publishes to subjects, to core NATS or into a stream.
type NATS struct {
	o       NATSOptions
	env     Env
	subject natsSubjectTemplate
	plan    natsPlan
	body    natsBody
	pen     natsPen
	id      natsID

	link    *natsLink // nil before Open and when that failed
	js      jetstream.JetStream
	answers *natsAnswers // JetStream's, of this connection
	flight  natsFlight
	stored  int // the stream's own bound of a message, 0 for none

	room, most int  // see natsPlan.arrange
	again      bool // the last Write failed, so its messages must come out the same

	duplicates atomic.Uint64
}

// NATSCounters are what happened beside delivery, since the start.
type NATSCounters struct {
	Duplicates uint64 // messages sent again that the stream already had
}

// Counters may be called at any time.
func (n *NATS) Counters() NATSCounters { return NATSCounters{n.duplicates.Load()} }

// New makes the sink. It does no I/O.
func (o *NATSOptions) New(env Env) (Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subject, err := parseNATSSubject(o.Subject)
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	n := &NATS{o: *o, env: env, subject: subject, plan: newNATSPlan(subject, env.Group), id: newNATSID(env)}
	header := nats.Header{natsContentType: {groupContentType(env.Format, env.Group)}, headerSchema: {cmp.Or(o.Schema, encode.Schema)}}
	for name, value := range o.Headers {
		header[name] = []string{value}
	}
	if o.JetStream.On() {
		header[jetstream.ExpectedStreamHeader] = []string{o.JetStream.Stream}
		header[jetstream.MsgIDHeader] = []string{""}
	}
	n.body = natsBody{framing: env.Format.Framing, group: env.Group, plan: &n.plan}
	n.pen = newNATSPen(header, o.PublishTimeout)
	return n, nil
}

// Open connects and, for JetStream, sees that the stream is there and takes
// our subjects, or makes it so if it may.
func (n *NATS) Open(ctx context.Context) error {
	n.hangUp()
	link, err := dialNATS(ctx, &n.o, n.env)
	if err != nil {
		return &Error{Class: natsClass(err), Reopen: true, Err: err}
	}
	n.link = link
	if !link.nc.HeadersSupported() {
		return natsConfiguration("server %s does not know headers: expected nats-server 2.2 or later", link.nc.ConnectedUrlRedacted())
	}
	if n.o.JetStream.On() {
		if err := n.openStream(ctx); err != nil {
			return err
		}
	}
	if _, most := n.bounds(); most < int(natsMinMessageBytes) {
		return natsConfiguration("server %s takes messages of %d bytes at most, %s after headers are too few: expected max_payload, and the stream's max_msg_size, to leave %s",
			link.nc.ConnectedUrlRedacted(), link.nc.MaxPayload(), sizeOf(most), natsMinMessageBytes)
	}
	return nil
}

// bounds gives how many bytes of payload fit into a message of several records
// and into any message, as the server and the stream have it now. Both count
// headers too.
func (n *NATS) bounds() (room, most int) {
	most = int(n.link.nc.MaxPayload())
	if n.stored > 0 {
		most = min(most, n.stored)
	}
	most -= natsHeaderLen(n.pen.header)
	if n.o.JetStream.On() {
		most -= n.id.maxLen()
	}
	return min(most, int(n.o.MaxMessageBytes)), most
}

// Write sends the batch and waits until the server, or the stream, has it.
func (n *NATS) Write(ctx context.Context, b *Batch) error {
	room, most := n.bounds()
	if n.again {
		room, most = min(room, n.room), min(most, n.most)
	}
	n.room, n.most = room, most
	n.plan.arrange(b.Records, room, most)
	n.link.forget()
	n.body.begin(b)
	defer n.body.end()
	n.pen.begin(n.link)
	err := n.send(ctx, b)
	n.again = err != nil
	if err != nil || len(n.plan.poison) == 0 {
		return err
	}
	return &Error{
		Class: Poison, Poison: n.plan.poison,
		Err: fmt.Errorf("subject %s: record of %d bytes: a message holds at most %d",
			n.plan.target(&b.Records[n.plan.poison[0]]).subject, len(b.Records[n.plan.poison[0]].Value), most),
	}
}

func (n *NATS) send(ctx context.Context, b *Batch) error {
	if n.o.JetStream.On() {
		return n.store(ctx, b)
	}
	return n.publish(ctx, b)
}

// done marks a message's records as acknowledged.
func (n *NATS) done(m *natsMessage, b *Batch) {
	for i := range n.plan.places(m) {
		b.Done(i)
	}
}

// Close ends the connection. What was not acknowledged stays the outlet's.
func (n *NATS) Close(context.Context) error {
	n.hangUp()
	return nil
}

func (n *NATS) hangUp() {
	if n.link != nil {
		n.link.nc.Close()
		n.link, n.answers = nil, nil
	}
}
