package ctnetlink

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// place is an attribute of fixed length: the nests that it stands in, its type,
// the length of its payload.
type place struct {
	nests []uint16
	kind  uint16
	size  int
}

func conntrackPlaces() []place {
	ip, proto := []uint16{ctaTupleReply, ctaTupleIP}, []uint16{ctaTupleMaster, ctaTupleProto}
	tcp, dccp, sctp := []uint16{ctaProtoInfo, ctaProtoInfoTCP}, []uint16{ctaProtoInfo, ctaProtoInfoDCCP}, []uint16{ctaProtoInfo, ctaProtoInfoSCTP}
	return []place{
		{nil, ctaStatus, 4}, {nil, ctaTimeout, 4}, {nil, ctaMark, 4}, {nil, ctaUse, 4}, {nil, ctaID, 4}, {nil, ctaZone, 2},
		{nil, ctaLabels, 16}, {nil, ctaTimestampEvent, 8},
		{ip, ctaIPv4Src, 4}, {ip, ctaIPv4Dst, 4},
		{proto, ctaProtoNum, 1}, {proto, ctaProtoSrcPort, 2}, {proto, ctaProtoDstPort, 2}, {proto, ctaProtoICMPID, 2},
		{proto, ctaProtoICMPType, 1}, {proto, ctaProtoICMPCode, 1}, {proto, ctaProtoICMPv6ID, 2},
		{proto, ctaProtoICMPv6Type, 1}, {proto, ctaProtoICMPv6Code, 1},
		{[]uint16{ctaTupleOrig}, ctaTupleZone, 2},
		{tcp, ctaTCPState, 1}, {tcp, ctaTCPWScaleOrig, 1}, {tcp, ctaTCPWScaleReply, 1}, {tcp, ctaTCPFlagsOrig, 2}, {tcp, ctaTCPFlagsReply, 2},
		{dccp, ctaDCCPState, 1}, {dccp, ctaDCCPRole, 1}, {dccp, ctaDCCPSeq, 8},
		{sctp, ctaSCTPState, 1}, {sctp, ctaSCTPVTagOrig, 4}, {sctp, ctaSCTPVTagReply, 4},
		{[]uint16{ctaCountersOrig}, ctaCountersPackets, 8}, {[]uint16{ctaCountersReply}, ctaCountersBytes, 8},
		{[]uint16{ctaTimestamp}, ctaTimestampStart, 8}, {[]uint16{ctaTimestamp}, ctaTimestampStop, 8},
		{[]uint16{ctaSeqAdjOrig}, ctaSeqAdjCorrectionPos, 4}, {[]uint16{ctaSeqAdjReply}, ctaSeqAdjOffsetBefore, 4},
		{[]uint16{ctaSeqAdjReply}, ctaSeqAdjOffsetAfter, 4},
		{[]uint16{ctaSynProxy}, ctaSynProxyISN, 4}, {[]uint16{ctaSynProxy}, ctaSynProxyITS, 4}, {[]uint16{ctaSynProxy}, ctaSynProxyTSOff, 4},
	}
}

func expectPlaces() []place {
	return []place{
		{nil, ctaExpectTimeout, 4}, {nil, ctaExpectID, 4}, {nil, ctaExpectZone, 2}, {nil, ctaExpectFlags, 4}, {nil, ctaExpectClass, 4},
		{[]uint16{ctaExpectNAT}, ctaExpectNATDir, 4},
		{[]uint16{ctaExpectNAT, ctaExpectNATTuple, ctaTupleIP}, ctaIPv4Src, 4},
		{[]uint16{ctaExpectTuple, ctaTupleProto}, ctaProtoNum, 1},
		{[]uint16{ctaExpectMask, ctaTupleProto}, ctaProtoSrcPort, 2},
		{[]uint16{ctaExpectMaster, ctaTupleProto}, ctaProtoDstPort, 2},
	}
}

// message holds the attribute with a payload of n bytes.
func (p place) message(subsystem uint16, n int) []byte {
	var w writer
	at := w.begin(subsystem, msgCtNew, 0, 0, flow.IPv4)
	var open []int
	for _, kind := range p.nests {
		open = append(open, w.nest(kind))
	}
	w.putBytes(p.kind, make([]byte, n))
	for i := len(open) - 1; i >= 0; i-- {
		w.close(open[i])
	}
	w.finish(at)
	return w.b
}

// TestLengths gives every attribute of fixed length every other length too.
func TestLengths(t *testing.T) {
	for subsystem, places := range map[uint16][]place{
		unix.NFNL_SUBSYS_CTNETLINK: conntrackPlaces(), unix.NFNL_SUBSYS_CTNETLINK_EXP: expectPlaces(),
	} {
		for _, p := range places {
			for n := range 20 {
				b := flow.NewBatch(1)
				var d decoder
				_, err := d.datagram(b, p.message(subsystem, n))
				name := fmt.Sprintf("subsystem %d, attribute %v/%d of %d bytes, not %d", subsystem, p.nests, p.kind, n, p.size)
				switch {
				case n != p.size && (!errors.Is(err, errLength) || b.Len() != 0):
					t.Errorf("%s: %v, %d events", name, err, b.Len())
				case n == p.size && err != nil && !errors.Is(err, errPartial):
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// TestNests breaks every nest: half an attribute's header stands at its end.
func TestNests(t *testing.T) {
	for subsystem, places := range map[uint16][]place{
		unix.NFNL_SUBSYS_CTNETLINK:     append(conntrackPlaces(), place{[]uint16{ctaHelp}, ctaHelpName, 3}, place{[]uint16{ctaSecCtx}, ctaSecCtxName, 3}),
		unix.NFNL_SUBSYS_CTNETLINK_EXP: expectPlaces(),
	} {
		for _, p := range places {
			if p.nests == nil {
				continue
			}
			var w writer
			at := w.begin(subsystem, msgCtNew, 0, 0, flow.IPv4)
			var open []int
			for _, kind := range p.nests {
				open = append(open, w.nest(kind))
			}
			w.b = append(w.b, 5, 0)
			for i := len(open) - 1; i >= 0; i-- {
				w.close(open[i])
			}
			w.pad()
			w.finish(at)
			b := flow.NewBatch(1)
			var d decoder
			if _, err := d.datagram(b, w.b); !errors.Is(err, errAttr) || b.Len() != 0 {
				t.Errorf("subsystem %d, nest %v: %v, %d events", subsystem, p.nests, err, b.Len())
			}
		}
	}
}

// TestNames reads strings with and without their NUL, and refuses others.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
		err  error
	}{{"ftp\x00", "ftp", nil}, {"ftp", "ftp", nil}, {"", "", nil}, {"\x00", "", nil}, {"f\x00p", "", errString}, {"ftp\x00\x00", "", errString}} {
		for _, kind := range []uint16{ctaHelp, ctaSecCtx} {
			p := attrMessage(nested(kind, func(w *writer) {
				w.putBytes(77, []byte{1}) // one that nobody knows is passed over
				w.putBytes(ctaHelpName, []byte(c.in))
			})...)
			b := flow.NewBatch(1)
			var d decoder
			_, err := d.datagram(b, p)
			if !errors.Is(err, c.err) {
				t.Errorf("%q: %v", c.in, err)
			}
			if err != nil {
				continue
			}
			x := b.Events()[0].Extra
			if got := map[uint16]string{ctaHelp: x.Helper, ctaSecCtx: x.SecCtx}[kind]; got != c.want {
				t.Errorf("%q: %q", c.in, got)
			}
		}
	}
}
