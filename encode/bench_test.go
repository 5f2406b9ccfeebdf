package encode

import (
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// BenchmarkEncode writes the events that a busy host has most of. B/record is
// the record's own size.
func BenchmarkEncode(b *testing.B) {
	withID, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		b.Fatal(err)
	}
	for name, format := range Formats() {
		for _, event := range []string{"tcp_new", "tcp_destroy", "tcp_snat", "udp_dnat", "everything"} {
			b.Run(name+"/"+event, func(b *testing.B) { benchEncode(b, format, event, Projection{}) })
		}
		b.Run(name+"/tcp_destroy+community_id", func(b *testing.B) { benchEncode(b, format, "tcp_destroy", withID) })
	}
}

func benchEncode(b *testing.B, format Format, event string, p Projection) {
	e := oneOf(b, event)
	enc := format.NewEncoder(p)
	buf := enc.Append(nil, e)
	b.ReportAllocs()
	for b.Loop() {
		e.Time += 1_000_003
		buf = enc.Append(buf[:0], e)
	}
	b.ReportMetric(float64(len(buf)), "B/record")
}

// BenchmarkDecode reads them back.
func BenchmarkDecode(b *testing.B) {
	for name, format := range Formats() {
		for _, event := range []string{"tcp_new", "tcp_destroy"} {
			b.Run(name+"/"+event, func(b *testing.B) {
				record := format.NewEncoder(Projection{}).Append(nil, oneOf(b, event))
				dec, batch := format.NewDecoder(), flow.NewBatch(1)
				b.ReportAllocs()
				for b.Loop() {
					batch.Reset()
					if err := dec.Decode(batch, record); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestAppendAllocatesNothing is the budget of the hot path.
func TestAppendAllocatesNothing(t *testing.T) {
	p, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range Formats() {
		enc := format.NewEncoder(p)
		for _, s := range corpus() {
			b := flow.NewBatch(1)
			e := newEvent(b, s.fill)
			buf := enc.Append(nil, e)
			if n := testing.AllocsPerRun(20, func() { buf = enc.Append(buf[:0], e) }); n != 0 {
				t.Errorf("%s: %s: %v allocations an event, want 0", name, s.name, n)
			}
		}
	}
}
