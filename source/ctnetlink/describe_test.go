package ctnetlink

import (
	"fmt"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// describe writes what an event carries, one value a line, guarded by the
// presence bits. Two events are equal if their descriptions are.
func describe(e *flow.Event) string {
	var b strings.Builder
	line := func(name string, has bool, v ...any) {
		if has {
			fmt.Fprintf(&b, "%s %s\n", name, strings.TrimSuffix(fmt.Sprintln(v...), "\n"))
		}
	}
	got := e.Got
	line("event", true, e.Type, e.Table, e.Family)
	line("orig", got(flow.HasOrig), describeTuple(&e.Orig))
	line("reply", got(flow.HasReply), describeTuple(&e.Reply))
	line("proto", got(flow.HasOrig), e.Proto)
	line("status", got(flow.HasStatus), fmt.Sprintf("%#x", e.Status))
	line("timeout", got(flow.HasTimeout), e.Timeout)
	line("mark", got(flow.HasMark), e.Mark)
	line("zone", got(flow.HasZone), e.Zone)
	line("use", got(flow.HasUse), e.Use)
	line("id", got(flow.HasID), e.ID)
	line("portid", got(flow.HasPortID), e.PortID)
	line("orig_counters", got(flow.HasOrigCounters), e.OrigCounters.Packets, e.OrigCounters.Bytes)
	line("reply_counters", got(flow.HasReplyCounters), e.ReplyCounters.Packets, e.ReplyCounters.Bytes)
	line("time", e.Time != 0 || e.TimeSource != 0, e.Time, e.TimeSource)
	line("start", got(flow.HasStart), e.Start)
	line("stop", got(flow.HasStop), e.Stop)
	line("labels", got(flow.HasLabels), fmt.Sprintf("%x", e.Labels))
	line("tcp_state", got(flow.HasTCPState), flow.TCPStateName(e.TCP.State), e.TCP.State)
	line("tcp_wscale_orig", got(flow.HasTCPWScaleOrig), e.TCP.WScaleOrig)
	line("tcp_wscale_reply", got(flow.HasTCPWScaleReply), e.TCP.WScaleReply)
	line("tcp_flags_orig", got(flow.HasTCPFlagsOrig), e.TCP.FlagsOrig)
	line("tcp_flags_reply", got(flow.HasTCPFlagsReply), e.TCP.FlagsReply)
	line("sctp_state", got(flow.HasSCTPState), flow.SCTPStateName(e.SCTP.State), e.SCTP.State)
	line("sctp_vtag_orig", got(flow.HasSCTPVTagOrig), e.SCTP.VTagOrig)
	line("sctp_vtag_reply", got(flow.HasSCTPVTagReply), e.SCTP.VTagReply)
	line("dccp_state", got(flow.HasDCCPState), e.DCCP.State)
	line("dccp_role", got(flow.HasDCCPRole), e.DCCP.Role)
	line("dccp_seq", got(flow.HasDCCPSeq), e.DCCP.HandshakeSeq)
	if e.Extra != nil {
		describeExtra(line, e)
	}
	return b.String()
}

func describeExtra(line func(string, bool, ...any), e *flow.Event) {
	x, got := e.Extra, e.Got
	line("helper", got(flow.HasHelper), fmt.Sprintf("%q", x.Helper))
	line("secctx", got(flow.HasSecCtx), fmt.Sprintf("%q", x.SecCtx))
	line("master", got(flow.HasMaster), describeTuple(&x.Master))
	line("orig_seqadj", got(flow.HasOrigSeqAdj), x.OrigSeqAdj)
	line("reply_seqadj", got(flow.HasReplySeqAdj), x.ReplySeqAdj)
	line("synproxy", got(flow.HasSynProxy), x.SynProxy)
	if !got(flow.HasExpect) {
		return
	}
	p := &x.Expect
	line("expect_id", p.Got(flow.HasExpectID), p.ID)
	line("expect_tuple", p.Got(flow.HasExpectTuple), describeTuple(&p.Tuple))
	line("expect_mask", p.Got(flow.HasExpectMask), describeTuple(&p.Mask))
	line("expect_master", p.Got(flow.HasExpectMaster), describeTuple(&p.Master))
	line("expect_timeout", p.Got(flow.HasExpectTimeout), p.Timeout)
	line("expect_helper", p.Got(flow.HasExpectHelper), fmt.Sprintf("%q", p.Helper))
	line("expect_zone", p.Got(flow.HasExpectZone), p.Zone)
	line("expect_flags", p.Got(flow.HasExpectFlags), p.Flags)
	line("expect_class", p.Got(flow.HasExpectClass), p.Class)
	line("expect_nat", p.Got(flow.HasExpectNAT), p.NATDir, describeTuple(&p.NAT))
	line("expect_fn", p.Got(flow.HasExpectFn), fmt.Sprintf("%q", p.Fn))
}

func describeTuple(t *flow.Tuple) string {
	var parts []string
	add := func(name string, has flow.TupleHas, v any) {
		if t.Got(has) {
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		}
	}
	add("src", flow.HasSrc, t.SrcAddr())
	add("dst", flow.HasDst, t.DstAddr())
	add("proto", flow.HasProto, t.Proto)
	add("sport", flow.HasSrcPort, t.SrcPort)
	add("dport", flow.HasDstPort, t.DstPort)
	add("icmp_type", flow.HasICMPType, t.ICMPType)
	add("icmp_code", flow.HasICMPCode, t.ICMPCode)
	add("icmp_id", flow.HasICMPID, t.ICMPID)
	add("zone", flow.HasTupleZone, t.Zone)
	return strings.Join(parts, " ")
}
