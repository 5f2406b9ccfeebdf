package encode

import (
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// stream is a batch as a busy host reads it: begins and ends of flows of mixed
// families and protocols, each with its own values.
func stream() *flow.Batch {
	b := flow.NewBatch(256)
	soil(b)
	for i := 0; b.Free() > 0; i++ {
		e := b.Next()
		e.Origin = corpusOriginShared
		e.Type, e.Table, e.TimeSource = flow.TypeNew, flow.TableConntrack, flow.TimeReceived
		e.Seq, e.Time = uint64(1_000_000+i), epoch+int64(i)*6007
		fillStream(e, i/2)
		if i%2 == 1 {
			endStream(e, i/2)
		}
	}
	return b
}

// fillStream makes the beginning of flow i.
func fillStream(e *flow.Event, i int) {
	src, dst := "10.1.2.3", "192.0.2.80"
	if i%10 < 3 {
		src, dst = "2001:db8:1:2::1234", "2001:db8:0:1::53"
	}
	proto := []uint8{flow.ProtoUDP, flow.ProtoTCP, flow.ProtoTCP, flow.ProtoICMP, flow.ProtoSCTP, flow.ProtoTCP, 50, flow.ProtoUDP}[i%8]
	tuples(e, proto, src, dst, dst, src)
	e.ID, e.FlowID = uint32(i)*2654435761, uint64(i)*0x9e3779b97f4a7c15
	e.Orig.Src[3], e.Orig.Src[15] = byte(i), byte(i)
	e.Reply.Dst = e.Orig.Src
	e.Has |= flow.HasStatus | flow.HasTimeout | flow.HasMark | flow.HasPortID
	e.Status, e.Timeout, e.Mark, e.PortID = flow.StatusConfirmed, 120, uint32(i), 4711
	switch proto {
	case flow.ProtoICMP:
		icmp(e, 8, 0)
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoSCTP:
		ports(e, 40000+uint16(i), 443, 443, 40000+uint16(i))
	}
	switch proto {
	case flow.ProtoTCP:
		e.Has |= flow.HasTCPState | flow.HasTCPWScaleOrig | flow.HasTCPWScaleReply | flow.HasTCPFlagsOrig | flow.HasTCPFlagsReply
		e.TCP = flow.TCP{State: 1, WScaleOrig: uint8(i % 8), FlagsOrig: 3}
	case flow.ProtoSCTP:
		e.Has |= flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
		e.SCTP = flow.SCTP{State: 4, VTagOrig: uint32(i) * 77777, VTagReply: 5}
	}
}

// endStream makes it the flow's end.
func endStream(e *flow.Event, i int) {
	e.Type, e.TimeSource = flow.TypeDestroy, flow.TimeKernel
	counters(e)
	e.ReplyCounters.Bytes = uint64(i) * 12345
	e.Has |= flow.HasStart | flow.HasStop | flow.HasReceived
	e.Has &^= flow.HasTimeout
	e.Start, e.Stop, e.Received = e.Time-int64(i%4)*tick/2, e.Time, e.Time+250_000
	e.Status |= flow.StatusSeenReply | flow.StatusAssured | flow.StatusDying
}

// BenchmarkStream writes them one behind the other into some megabytes, as the
// way to a sink does, so that neither what is read nor what is written is near.
func BenchmarkStream(b *testing.B) {
	withID, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		b.Fatal(err)
	}
	for name, p := range map[string]Projection{"": {}, "+community_id": withID} {
		for format := range Formats() {
			b.Run(format+name, func(b *testing.B) {
				events, enc := stream().Events(), Formats()[format].NewEncoder(p)
				buf, i := make([]byte, 0, 8<<20), 0
				var bytes int64
				b.ReportAllocs()
				for b.Loop() {
					n := len(buf)
					buf = enc.Append(buf, &events[i%len(events)])
					if bytes += int64(len(buf) - n); cap(buf)-len(buf) < 4096 {
						buf = buf[:0]
					}
					i++
				}
				b.ReportMetric(float64(bytes)/float64(i), "B/record")
			})
		}
	}
}
