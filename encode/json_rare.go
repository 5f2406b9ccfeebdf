package encode

import "github.com/ctferry/ctferry/source/flow"

// extra writes the rare objects of a flow.
func (j *jsonEncoder) extra(dst []byte, v *view) []byte {
	x := v.e.Extra
	if v.wantsMaster() {
		dst = jsonTupleMember(dst, v, `,"master":`, &x.Master, v.master)
	}
	if v.got(flow.HasMasterFlowID) {
		dst = jsonID(dst, `,"master_flow_id":"`, x.MasterFlowID)
	}
	if v.got(seqAdjBits) {
		dst = append(dst, `,"seqadj":`...)
		start := len(dst)
		if v.got(flow.HasOrigSeqAdj) {
			dst = jsonSeqAdj(append(dst, `,"orig":{`...), &x.OrigSeqAdj)
		}
		if v.got(flow.HasReplySeqAdj) {
			dst = jsonSeqAdj(append(dst, `,"reply":{`...), &x.ReplySeqAdj)
		}
		dst = jsonObject(dst, start)
	}
	if v.got(flow.HasSynProxy) {
		at := len(dst)
		dst = append(dst, `,"synproxy":`...)
		start := len(dst)
		dst = jsonMember(jsonSynProxy(dst, v, &x.SynProxy), at, start)
	}
	return dst
}

// jsonTupleMember writes a tuple that stands alone.
func jsonTupleMember(dst []byte, v *view, name string, t *flow.Tuple, has flow.TupleHas) []byte {
	dst = append(dst, name...)
	start := len(dst)
	return jsonObject(jsonTuple(dst, v, slotNone, t, has), start)
}

func jsonSeqAdj(dst []byte, s *flow.SeqAdj) []byte {
	dst = jsonUint(dst, `"correction_pos":`, uint64(s.CorrectionPos))
	dst = jsonUint(dst, `,"offset_before":`, uint64(s.OffsetBefore))
	dst = jsonUint(dst, `,"offset_after":`, uint64(s.OffsetAfter))
	return append(dst, '}')
}

func jsonSynProxy(dst []byte, v *view, s *flow.SynProxy) []byte {
	if v.shows(partISN) {
		dst = v.note(jsonUint(dst, `,"isn":`, uint64(s.ISN)), slotISN)
	}
	if v.shows(partITS) {
		dst = v.note(jsonUint(dst, `,"its":`, uint64(s.ITS)), slotITS)
	}
	if v.shows(partTSOff) {
		dst = v.note(jsonUint(dst, `,"tsoff":`, uint64(s.TSOff)), slotTSOff)
	}
	return dst
}

// jsonDump writes which dump a row belongs to.
func jsonDump(dst []byte, v *view) []byte {
	d := v.e.Dump
	if v.shows(partDumpID) {
		dst = v.note(jsonID(dst, `,"dump_id":"`, d.ID), slotDumpID)
	}
	if v.shows(partDumpReason) {
		dst = jsonWord(dst, `,"dump_reason":"`, dumpReasons[dumpReason(d.Reason)])
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpCount) {
		dst = jsonUint(dst, `,"dump_count":`, d.Count)
	}
	if v.e.Type == flow.TypeDumpEnd && v.shows(partDumpComplete) {
		dst = jsonBool(dst, `,"dump_complete":`, d.Complete)
	}
	if d.CountersReset && v.shows(partCountersReset) {
		dst = append(dst, `,"counters_reset":true`...)
	}
	return dst
}

// expectation writes an entry of the expect table.
func (j *jsonEncoder) expectation(dst []byte, v *view) []byte {
	x := &v.e.Extra.Expect
	dst = append(dst, `,"expect":`...)
	start := len(dst)
	if v.expect&flow.HasExpectID != 0 {
		dst = jsonUint(dst, `,"id":`, uint64(x.ID))
	}
	if v.expect&flow.HasExpectTuple != 0 {
		dst = jsonTupleMember(dst, v, `,"tuple":`, &x.Tuple, tupleBits(&x.Tuple))
	}
	if v.expect&flow.HasExpectMask != 0 {
		dst = jsonTupleMember(dst, v, `,"mask":`, &x.Mask, tupleBits(&x.Mask))
	}
	if v.expect&flow.HasExpectMaster != 0 {
		dst = jsonTupleMember(dst, v, `,"master":`, &x.Master, tupleBits(&x.Master))
	}
	if v.expect&flow.HasExpectTimeout != 0 {
		dst = jsonUint(dst, `,"timeout":`, uint64(x.Timeout))
	}
	if v.expect&flow.HasExpectHelper != 0 {
		dst = jsonString(append(dst, `,"helper":`...), x.Helper)
	}
	if v.expect&flow.HasExpectClass != 0 {
		dst = jsonUint(dst, `,"class":`, uint64(x.Class))
	}
	return jsonObject(jsonExpectEnd(dst, v, x), start)
}

func jsonExpectEnd(dst []byte, v *view, x *flow.Expectation) []byte {
	if v.expect&flow.HasExpectFlags != 0 && v.shows(partExpectFlags) {
		dst = jsonBits(dst, `,"flags":[`, x.Flags, flow.ExpectFlagName)
	}
	if v.expect&flow.HasExpectFlags != 0 && v.shows(partExpectFlagsRaw) {
		dst = jsonUint(dst, `,"flags_raw":`, uint64(x.Flags))
	}
	if v.expect&flow.HasExpectZone != 0 {
		dst = jsonUint(dst, `,"zone":`, uint64(x.Zone))
	}
	if v.expect&flow.HasExpectNAT != 0 {
		dst = append(dst, `,"nat":`...)
		start := len(dst)
		dst = jsonWord(dst, `,"dir":"`, direction(x.NATDir))
		dst = jsonObject(jsonTupleMember(dst, v, `,"tuple":`, &x.NAT, tupleBits(&x.NAT)), start)
	}
	if v.expect&flow.HasExpectFn != 0 {
		dst = jsonString(append(dst, `,"fn":`...), x.Fn)
	}
	return dst
}

// gap writes a loss.
func (j *jsonEncoder) gap(dst []byte, g *flow.Gap) []byte {
	dst = append(dst, `,"gap":`...)
	start := len(dst)
	dst = jsonText(dst, `,"scope":`, g.Scope)
	dst = jsonText(dst, `,"source":`, g.Source)
	dst = jsonText(dst, `,"sink":`, g.Sink)
	dst = jsonText(dst, `,"reason":`, g.Reason)
	if g.Lost != nil {
		dst = jsonUint(dst, `,"lost":`, *g.Lost)
	}
	if g.LostMax != nil {
		dst = jsonUint(dst, `,"lost_max":`, *g.LostMax)
	}
	if g.Since != 0 {
		dst = j.time(dst, `,"since":"`, g.Since)
	}
	dst = j.time(dst, `,"until":"`, g.Until)
	return jsonObject(dst, start)
}
