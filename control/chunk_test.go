package control

import (
	"context"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

// TestChunks packs rows in every format and takes them apart again: in order,
// each once, in messages no longer than asked for, each as full as can be.
func TestChunks(t *testing.T) {
	b := natstest.Start(t)
	nc := b.Dial(t)
	o := newOrigin("edge-1", 1)
	for name, format := range encode.Formats() {
		for _, limit := range []int{1 << 10, 7000, 0} {
			sub, err := nc.SubscribeSync(nc.NewInbox())
			if err != nil {
				t.Fatal(err)
			}
			out := newOutgoing(nc, messageHead{Node: "edge-1"}, sub.Subject, "nobody", 0, quick(), func(e *Error) { t.Error(e) })
			c := newChunker(out, o, format, limit, nc.MaxPayload())
			const rows = 600
			batch := flow.NewBatch(rows)
			for i := range uint32(rows) {
				fillRow(batch.Next(), nil, i)
			}
			if err := c.add(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			if err := c.flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			unpack, next := newUnpacker(format), uint32(0)
			for n := range c.chunks {
				m, err := sub.NextMsg(patience)
				if err != nil {
					t.Fatal(err)
				}
				head, err := readHead(m.Header)
				if err != nil || head.Seq != n || head.Kind != kindRows {
					t.Fatalf("%s: %+v, %v", name, head, err)
				}
				if most := limit; most > 0 && len(m.Data) > most && head.Rows > 1 {
					t.Errorf("%s: a message of %d bytes, want at most %d", name, len(m.Data), most)
				}
				if n < c.chunks-1 && len(m.Data) < min(c.limit, 7000)-2000 && c.limit > 2000 {
					t.Errorf("%s: message %d has %d bytes of %d", name, n, len(m.Data), c.limit)
				}
				if _, err := unpack.unpack(m.Data, head.Rows, func(b *flow.Batch) error {
					for i := range b.Events() {
						if e := &b.Events()[i]; e.Mark != next || e.Origin.Node != "edge-1" {
							t.Fatalf("%s: row %d of %q, want %d", name, e.Mark, e.Origin.Node, next)
						}
						next++
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if next != rows || c.told != rows {
				t.Errorf("%s, %d bytes: %d rows came, %d told, want %d", name, limit, next, c.told, rows)
			}
		}
	}
}
