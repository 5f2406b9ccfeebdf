package encode_test

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// forge sends an event of the conntrack table to everybody who listens in the
// namespace. conntrack(8) does not ask who sent an event, which makes it an
// oracle for what this kernel would never say. Our own reader does ask.
func forge(tb testing.TB, ns *testnet.Namespace, events []*flow.Event) {
	tb.Helper()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, e := range events {
			m, group := message(tb, e)
			if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (group - 1)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// message is an event as the kernel would send it, and the group to which.
func message(tb testing.TB, e *flow.Event) (m []byte, group int) {
	tb.Helper()
	kind, flags, group := uint16(0), uint16(0), 2
	switch e.Type {
	case flow.TypeNew:
		flags, group = unix.NLM_F_CREATE|unix.NLM_F_EXCL, 1
	case flow.TypeDestroy:
		kind, group = 2, 3
	}
	a := netlink.NewAttributeEncoder()
	a.ByteOrder = binary.BigEndian
	attributes(a, e)
	body, err := a.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	m = binary.NativeEndian.AppendUint32(nil, uint32(20+len(body)))
	m = binary.NativeEndian.AppendUint16(m, unix.NFNL_SUBSYS_CTNETLINK<<8|kind)
	m = binary.NativeEndian.AppendUint16(m, flags)
	m = binary.NativeEndian.AppendUint32(m, 0)
	var port uint32
	if e.Any(flow.HasPortID) {
		port = e.PortID
	}
	m = binary.NativeEndian.AppendUint32(m, port)
	return append(append(m, byte(e.Family), 0, 0, 0), body...), group
}

// nest appends nested attributes.
func nest(a *netlink.AttributeEncoder, kind uint16, fill func(*netlink.AttributeEncoder)) {
	a.Nested(kind, func(n *netlink.AttributeEncoder) error { fill(n); return nil })
}

// attributes appends all that an event has (enum ctattr_type).
func attributes(a *netlink.AttributeEncoder, e *flow.Event) {
	if e.Any(flow.HasOrig) {
		nest(a, 1, tupleAttributes(&e.Orig))
	}
	if e.Any(flow.HasReply) {
		nest(a, 2, tupleAttributes(&e.Reply))
	}
	for _, v := range []struct {
		has   flow.Has
		kind  uint16
		value uint32
	}{{flow.HasStatus, 3, e.Status}, {flow.HasTimeout, 7, e.Timeout}, {flow.HasMark, 8, e.Mark}, {flow.HasUse, 11, e.Use}, {flow.HasID, 12, e.ID}} {
		if e.Any(v.has) {
			a.Uint32(v.kind, v.value)
		}
	}
	if e.Any(flow.HasZone) {
		a.Uint16(18, e.Zone)
	}
	protocolAttributes(a, e)
	counterAttributes(a, 9, e.Any(flow.HasOrigCounters), e.OrigCounters)
	counterAttributes(a, 10, e.Any(flow.HasReplyCounters), e.ReplyCounters)
	if e.Any(flow.HasStart | flow.HasStop) {
		nest(a, 20, func(a *netlink.AttributeEncoder) {
			if e.Any(flow.HasStart) {
				a.Uint64(1, uint64(e.Start))
			}
			if e.Any(flow.HasStop) {
				a.Uint64(2, uint64(e.Stop))
			}
		})
	}
	if e.Any(flow.HasHelper) {
		nest(a, 5, func(a *netlink.AttributeEncoder) { a.String(1, e.Extra.Helper) })
	}
	if e.Any(flow.HasSecCtx) {
		nest(a, 19, func(a *netlink.AttributeEncoder) { a.String(1, e.Extra.SecCtx) })
	}
	if e.Any(flow.HasLabels) {
		a.Bytes(22, e.Labels[:])
	}
}

func counterAttributes(a *netlink.AttributeEncoder, kind uint16, has bool, c flow.Counters) {
	if has {
		nest(a, kind, func(a *netlink.AttributeEncoder) { a.Uint64(1, c.Packets); a.Uint64(2, c.Bytes) })
	}
}

// protocolAttributes appends CTA_PROTOINFO.
func protocolAttributes(a *netlink.AttributeEncoder, e *flow.Event) {
	for _, p := range []struct {
		has  flow.Has
		kind uint16
		fill func(*netlink.AttributeEncoder)
	}{
		{flow.HasTCPState, 1, func(a *netlink.AttributeEncoder) { a.Uint8(1, e.TCP.State) }},
		{flow.HasDCCPState, 2, func(a *netlink.AttributeEncoder) { a.Uint8(1, e.DCCP.State); a.Uint8(2, e.DCCP.Role) }},
		{flow.HasSCTPState, 3, func(a *netlink.AttributeEncoder) {
			a.Uint8(1, e.SCTP.State)
			a.Uint32(2, e.SCTP.VTagOrig)
			a.Uint32(3, e.SCTP.VTagReply)
		}},
	} {
		if e.Any(p.has) {
			nest(a, 4, func(a *netlink.AttributeEncoder) { nest(a, p.kind, p.fill) })
		}
	}
}

// tupleAttributes appends addresses, protocol and zone.
func tupleAttributes(t *flow.Tuple) func(*netlink.AttributeEncoder) {
	return func(a *netlink.AttributeEncoder) {
		nest(a, 1, func(a *netlink.AttributeEncoder) {
			src, dst := t.SrcAddr(), t.DstAddr()
			kind := uint16(1)
			if t.Family == flow.IPv6 {
				kind = 3
			}
			a.Bytes(kind, src.AsSlice())
			a.Bytes(kind+1, dst.AsSlice())
		})
		nest(a, 2, func(a *netlink.AttributeEncoder) {
			a.Uint8(1, t.Proto)
			if t.Got(flow.HasPorts) {
				a.Uint16(2, t.SrcPort)
				a.Uint16(3, t.DstPort)
			}
			if t.Got(flow.HasICMP) {
				kind := uint16(4)
				if t.Proto == flow.ProtoICMPv6 {
					kind = 7
				}
				a.Uint16(kind, t.ICMPID)
				a.Uint8(kind+1, t.ICMPType)
				a.Uint8(kind+2, t.ICMPCode)
			}
		})
		if t.Got(flow.HasTupleZone) {
			a.Uint16(3, t.Zone)
		}
	}
}
