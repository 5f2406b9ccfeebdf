package sinks

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// brokerRecords are the ends of n TCP connections as JSON, each of some 700
// bytes and of a flow of its own: addresses, ports, ids, times and counters
// differ as they do on a busy host, so that they compress no better than real
// ones.
func brokerRecords(tb testing.TB, n int) []Record {
	tb.Helper()
	projection, err := encode.NewProjection(nil, nil, true, 0)
	if err != nil {
		tb.Fatal(err)
	}
	format := encode.Formats()["json"]
	enc, rng := format.NewEncoder(projection), rand.New(rand.NewPCG(1, 2))
	origin := &flow.Origin{Node: "edge-1", NetNS: "", Run: natsTestRun(), BootID: [16]byte{1, 2, 3}}
	batch, rs := flow.NewBatch(1), make([]Record, 0, n)
	began := time.Now().Add(-time.Minute).UnixNano()
	for i := range n {
		batch.Reset()
		e := batch.Next()
		fillBrokerEvent(e, rng)
		e.Origin, e.Seq, e.Time = origin, uint64(i+1), began+int64(i)*10_000
		rs = append(rs, Record{
			Value: enc.Append(nil, e), Seq: e.Seq, Time: e.Time, FlowID: e.FlowID,
			Type: e.Type, Table: e.Table, Family: e.Family, Proto: e.Proto, Origin: origin,
		})
	}
	return rs
}

func fillBrokerEvent(e *flow.Event, rng *rand.Rand) {
	var src, dst [4]byte
	binary.BigEndian.PutUint32(src[:], 10<<24|rng.Uint32N(1<<16))
	binary.BigEndian.PutUint32(dst[:], 100<<24|rng.Uint32N(1<<24))
	e.Type, e.Table, e.Proto, e.TimeSource = flow.TypeDestroy, flow.TableConntrack, flow.ProtoTCP, flow.TimeReceived
	e.Orig.Src, e.Orig.Family = flow.AddrFrom(netip.AddrFrom4(src))
	e.Orig.Dst, _ = flow.AddrFrom(netip.AddrFrom4(dst))
	e.Family = e.Orig.Family
	e.Orig.SrcPort, e.Orig.DstPort = uint16(1024+rng.UintN(60000)), 443
	e.Orig.Has = flow.HasAddrs | flow.HasPorts
	e.Reply = e.Orig
	e.Reply.Src, e.Reply.Dst, e.Reply.SrcPort, e.Reply.DstPort = e.Orig.Dst, e.Orig.Src, 443, e.Orig.SrcPort
	e.OrigCounters = flow.Counters{Packets: rng.Uint64N(1e4), Bytes: rng.Uint64N(1e7)}
	e.ReplyCounters = flow.Counters{Packets: rng.Uint64N(1e4), Bytes: rng.Uint64N(1e8)}
	e.Status, e.ID, e.Mark = 0x18e, rng.Uint32(), 1
	e.Start = time.Now().UnixNano() - rng.Int64N(1e12)
	e.Stop = e.Start + rng.Int64N(1e11)
	e.Has = flow.HasOrig | flow.HasReply | flow.HasStatus | flow.HasID | flow.HasMark | flow.HasOrigCounters | flow.HasReplyCounters |
		flow.HasStart | flow.HasStop
	e.FlowID = rng.Uint64()
}

// brokerBatches cuts the records as an outlet does by its defaults.
func brokerBatches(tb testing.TB, rs []Record) []Batch {
	tb.Helper()
	config, err := NewConfig("siem", "kafka")
	if err != nil {
		tb.Fatal(err)
	}
	var all []Batch
	for len(rs) > 0 {
		n, size := 0, 0
		for n < len(rs) && n < config.Flush.Count && (n == 0 || size+len(rs[n].Value) <= int(config.Flush.Bytes)) {
			size += len(rs[n].Value)
			n++
		}
		all, rs = append(all, Batch{Records: rs[:n:n]}), rs[n:]
	}
	return all
}

// brokerPayload writes the records to a file, one a line.
func brokerPayload(tb testing.TB, rs []Record) string {
	tb.Helper()
	var lines bytes.Buffer
	for i := range rs {
		lines.Write(rs[i].Value)
		lines.WriteByte('\n')
	}
	path := filepath.Join(tb.TempDir(), "payload")
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// brokerRounds is how often each side of a comparison runs, in turn.
const brokerRounds = 5

// compareBrokers runs both sides in turn and reports the median, the least and
// the greatest of the ratios ours/theirs of each turn, and both medians. Both
// sides give records a second.
func compareBrokers(b *testing.B, ours, theirs func() float64) {
	b.Helper()
	var ratios, we, they []float64
	for i := range brokerRounds {
		var o, t float64
		if i%2 == 0 {
			o, t = ours(), theirs()
		} else {
			t, o = theirs(), ours()
		}
		ratios, we, they = append(ratios, o/t), append(we, o), append(they, t)
	}
	slices.Sort(ratios)
	slices.Sort(we)
	slices.Sort(they)
	b.ReportMetric(ratios[brokerRounds/2], "ratio")
	b.ReportMetric(ratios[0], "ratio-min")
	b.ReportMetric(ratios[brokerRounds-1], "ratio-max")
	b.ReportMetric(we[brokerRounds/2], "records/s")
	b.ReportMetric(they[brokerRounds/2], "baseline/s")
	b.ReportMetric(0, "ns/op")
}
