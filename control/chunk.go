package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// chunker packs rows into messages. It is one answer's, for one goroutine.
type chunker struct {
	out    *outgoing
	format encode.Format
	enc    encode.Encoder
	limit  int          // bytes of a message of several rows
	most   int          // bytes of a message of one row
	origin *flow.Origin // of rows that have none

	buf, row []byte
	held     uint64 // rows in buf
	told     uint64 // rows sent
	chunks   uint64 // messages of rows sent
}

// newChunker packs rows in a format, in messages of at most limit bytes but
// where one row alone is longer; none is longer than the server takes.
func newChunker(out *outgoing, origin *flow.Origin, format encode.Format, limit int, maxPayload int64) *chunker {
	most := int(maxPayload) - spare
	if most < minChunk {
		most = int(maxPayload) / 2
	}
	if limit == 0 {
		limit = maxChunk
	}
	return &chunker{
		out: out, origin: origin, format: format, enc: format.NewEncoder(encode.Projection{}),
		limit: max(1, min(limit, maxChunk, int(maxPayload/2))), most: most,
	}
}

// add packs the rows of a batch and sends what is full.
func (c *chunker) add(ctx context.Context, b *flow.Batch) error {
	for i := range b.Events() {
		e := &b.Events()[i]
		if e.Origin == nil {
			e.Origin = c.origin
		}
		c.row = c.enc.Append(c.row[:0], e)
		if len(c.row) > c.most {
			return &Error{Code: CodeTooLarge, Message: fmt.Sprintf("a row has %d bytes, and the NATS server takes messages of %d (max_payload)", len(c.row), c.out.nc.MaxPayload())}
		}
		if c.held > 0 && len(c.buf)+len(c.row)+chunkExtra > c.limit {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		if c.held > 0 && c.format.Framing == encode.Lines {
			c.buf = append(c.buf, '\n')
		}
		c.buf = encode.AppendGroup(c.buf, c.format.Framing, slices.Values([][]byte{c.row}))
		c.held++
	}
	return nil
}

// chunkExtra is how many bytes a row may need in a message beside its own.
const chunkExtra = 12

// flush sends what is packed.
func (c *chunker) flush(ctx context.Context) error {
	if c.held == 0 {
		return nil
	}
	h := c.out.head
	h.Kind, h.Rows = kindRows, c.held
	if err := c.out.rows(ctx, h.header(groupType(c.format)), c.buf); err != nil {
		return err
	}
	c.told += c.held
	c.chunks++
	c.buf, c.held = c.buf[:0], 0
	return nil
}

// drop forgets rows that nobody hears.
func (c *chunker) drop() { c.buf, c.held = c.buf[:0], 0 }

// unpacker takes messages of rows apart, into one batch that it fills again and
// again. It is one call's, for one goroutine.
type unpacker struct {
	format encode.Format
	dec    encode.Decoder
	batch  *flow.Batch
}

// unpackSlots is how many rows a caller is given at once.
const unpackSlots = 256

func newUnpacker(f encode.Format) *unpacker {
	return &unpacker{format: f, dec: f.NewDecoder(), batch: flow.NewBatch(unpackSlots)}
}

// unpack hands the rows of one message on, and counts those that it handed on.
// The error of rows comes back as it is; every other one is of the message.
func (u *unpacker) unpack(body []byte, want uint64, rows func(*flow.Batch) error) (told uint64, err error) {
	var seen uint64
	hand := func() error {
		if u.batch.Len() == 0 {
			return nil
		}
		n := u.batch.Len()
		if err := rows(u.batch); err != nil {
			return err
		}
		told += uint64(n)
		u.batch.Reset()
		return nil
	}
	u.batch.Reset()
	for record, err := range encode.SplitGroup(u.format.Framing, body) {
		if err == nil && u.batch.Free() == 0 {
			if err := hand(); err != nil {
				return told, err
			}
		}
		if err == nil {
			err = u.dec.Decode(u.batch, record)
		}
		if err != nil {
			return told, &chunkError{fmt.Errorf("row %d of a message: %w", seen, err)}
		}
		seen++
	}
	if err := hand(); err != nil {
		return told, err
	}
	if seen != want {
		return told, &chunkError{fmt.Errorf("a message has %d rows and says %d", seen, want)}
	}
	return told, nil
}

// chunkError is a message of rows that cannot be read.
type chunkError struct{ err error }

func (e *chunkError) Error() string { return e.err.Error() }

func (e *chunkError) Unwrap() error { return e.err }
