package sinks

import (
	"io"
	"time"

	"github.com/ctferry/ctferry/encode"
)

// frameMeter counts what a file or a stream would get.
type frameMeter struct {
	framing encode.Framing
	v       *Volume
	buf     []byte
	packer  io.WriteCloser // nil: nothing is compressed
	packed  byteCounter
}

// compress measures with what rotated files are compressed with.
func (m *frameMeter) compress(c FileCompress) (err error) {
	if c == CompressNone {
		return nil
	}
	m.v.Codec = string(c)
	m.packer, err = c.writer(&m.packed)
	return err
}

func (m *frameMeter) take(b *Batch) error {
	m.buf = m.buf[:0]
	for i := range b.Records {
		m.buf = appendFrame(m.buf, m.framing, b.Records[i].Value)
	}
	m.v.Bytes += uint64(len(m.buf))
	if m.packer == nil || m.v.Plain > meterPacked {
		return nil
	}
	m.v.Plain += uint64(len(m.buf))
	_, err := m.packer.Write(m.buf)
	return err
}

func (m *frameMeter) end() error {
	if m.packer == nil {
		return nil
	}
	err := m.packer.Close()
	m.v.Packed = uint64(m.packed)
	return err
}

// byteCounter is a writer that counts.
type byteCounter uint64

func (c *byteCounter) Write(p []byte) (int, error) {
	*c += byteCounter(len(p))
	return len(p), nil
}

// kafkaMeter makes record batches as the sink does, of one partition a topic:
// how many there are the brokers know. They are compressed and let go.
type kafkaMeter struct {
	k *Kafka
	v *Volume
}

func (m *kafkaMeter) take(b *Batch) error {
	k := m.k
	places, used := map[*kafkaTopic][]int{}, []*kafkaTopic(nil)
	for i := range b.Records {
		var key templateKey
		if !k.names.fixed() {
			key = templateKeyOf(&b.Records[i])
		}
		t := k.cluster.topic(k.names.expand(key))
		if places[t] == nil {
			used = append(used, t)
		}
		places[t] = append(places[t], i)
	}
	for _, t := range used {
		if err := m.partition(b, &kafkaPartition{topic: t, todo: places[t], producer: kafkaNoProducer()}); err != nil {
			return err
		}
	}
	k.cluster.forget(kafkaMaxTopics)
	return nil
}

func (m *kafkaMeter) partition(b *Batch, p *kafkaPartition) error {
	for p.at < len(p.todo) {
		c, err := m.k.fill(b, p, p.at, p.producer, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		p.at += c.n
		if m.k.tooLarge(c) {
			m.v.TooLarge++
		} else {
			m.v.Messages += uint64(c.count)
			m.v.Bytes += uint64(c.size)
			if m.v.Codec != "" {
				m.v.Plain += uint64(c.size)
				m.v.Packed += uint64(len(c.wire) - kafkaAtBaseOffset)
			}
		}
		m.k.chunks.put(c)
	}
	return nil
}

// natsMeter makes messages as the sink does for a server at its defaults.
type natsMeter struct {
	n *NATS
	v *Volume
}

// natsDefaultPayload is nats-server's own max_payload (server/const.go, MAX_PAYLOAD_SIZE).
const natsDefaultPayload = 1 << 20

func (m *natsMeter) take(b *Batch) error {
	n := m.n
	header := natsHeaderLen(n.pen.header)
	if n.o.JetStream.On() {
		header += n.id.maxLen()
	}
	most := natsDefaultPayload - header
	n.plan.arrange(b.Records, min(most, int(n.o.MaxMessageBytes)), most)
	m.v.TooLarge += uint64(len(n.plan.poison))
	m.v.Messages += uint64(len(n.plan.messages))
	for i := range n.plan.messages {
		m.v.Bytes += uint64(header + n.plan.messages[i].bytes)
	}
	return nil
}
