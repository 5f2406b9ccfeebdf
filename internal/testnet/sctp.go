package testnet

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"golang.org/x/sys/unix"
)

// sctpPort is the destination of SCTP flows if the traffic names none: nobody binds it.
const sctpPort = 5060

// Chunk types of RFC 9260, section 3.2.
const (
	sctpInit             = 1
	sctpInitAck          = 2
	sctpShutdown         = 7
	sctpShutdownAck      = 8
	sctpCookieEcho       = 10
	sctpCookieAck        = 11
	sctpShutdownComplete = 14
)

// SCTP makes n associations, each a handshake of four packets, from raw sockets, so that
// the kernel need not have SCTP sockets. With shut the association is shut down in order
// and the entry ends in CLOSED, else it stays ESTABLISHED. Where the kernel does speak
// SCTP its stack aborts these strangers: the entries are made all the same, in CLOSED.
func (t Traffic) SCTP(ctx context.Context, n int, shut bool) (int, error) {
	return t.run(ctx, "sctp", n, openSCTP(shut))
}

// sctpSession is the raw sockets and how associations end.
type sctpSession struct {
	rawPair
	t    Traffic
	shut bool
}

// openSCTP opens an sctpSession.
func openSCTP(shut bool) opener {
	return func(ctx context.Context, t Traffic) (session, error) {
		if t.Port == 0 {
			t.Port = sctpPort
		}
		pair, err := openRaw(ctx, t, unix.IPPROTO_SCTP)
		return &sctpSession{pair, t, shut}, err
	}
}

// sctpStep is one packet: who sends it, under which verification tag, what it says.
type sctpStep struct {
	answer bool
	tag    uint32
	chunk  []byte
}

// flow makes one association.
func (s *sctpSession) flow(context.Context) error {
	src := s.t.NS.next()
	client, server := 0x01000000|uint32(src), 0x02000000|uint32(src)
	steps := []sctpStep{
		{false, 0, sctpChunk(sctpInit, sctpInitBody(client))},
		{true, client, sctpChunk(sctpInitAck, sctpInitBody(server))},
		{false, server, sctpChunk(sctpCookieEcho, []byte("ferryman"))},
		{true, client, sctpChunk(sctpCookieAck, nil)},
	}
	if s.shut {
		steps = append(steps,
			sctpStep{false, server, sctpChunk(sctpShutdown, make([]byte, 4))},
			sctpStep{true, client, sctpChunk(sctpShutdownAck, nil)},
			sctpStep{false, server, sctpChunk(sctpShutdownComplete, nil)},
		)
	}
	for _, step := range steps {
		from, to := src, s.t.Port
		if step.answer {
			from, to = to, from
		}
		if err := s.send(s.t, step.answer, sctpPacket(from, to, step.tag, step.chunk)); err != nil {
			return err
		}
	}
	return nil
}

// sctpPacket is a common header (RFC 9260, section 3.1) and a chunk. The checksum is
// CRC32c and travels in little endian.
func sctpPacket(from, to uint16, tag uint32, chunk []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint32(b, tag)
	b = append(append(b, 0, 0, 0, 0), chunk...)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// sctpChunk is a chunk without flags; its body is of whole words.
func sctpChunk(kind byte, body []byte) []byte {
	b := []byte{kind, 0, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(4+len(body)))
	return append(b, body...)
}

// sctpInitBody is the fixed part of INIT and INIT ACK: tag, window, streams, first TSN.
func sctpInitBody(tag uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, tag)
	b = binary.BigEndian.AppendUint32(b, 65536)
	b = append(b, 0, 1, 0, 1)
	return binary.BigEndian.AppendUint32(b, tag)
}
