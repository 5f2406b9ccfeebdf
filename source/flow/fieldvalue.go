package flow

// number gives the value of a field that is compared as a number, and whether
// the event has it.
func (e *Event) number(f Field, info *fieldInfo) (uint32, bool) {
	if info.side != sideNone {
		return e.tupleNumber(info)
	}
	switch f {
	case FieldEventType:
		return uint32(e.Type), e.Type != TypeUnspecified
	case FieldTable:
		return uint32(e.Table), e.Table != TableUnspecified
	case FieldFamily:
		return uint32(e.Family), e.Family != FamilyUnspecified
	case FieldZone:
		return uint32(e.zone()), true
	}
	if e.Table == TableExpect {
		return e.expectNumber(f)
	}
	switch f {
	case FieldProto:
		return uint32(e.Proto), e.Any(HasOrig)
	case FieldID:
		return e.ID, e.Any(HasID)
	case FieldTimeout:
		return e.Timeout, e.Any(HasTimeout)
	case FieldRole:
		return uint32(e.DCCP.Role), e.Any(HasDCCPRole)
	case FieldOrigVTag:
		return e.SCTP.VTagOrig, e.Any(HasSCTPVTagOrig)
	case FieldReplyVTag:
		return e.SCTP.VTagReply, e.Any(HasSCTPVTagReply)
	}
	return e.natNumber(f)
}

// natNumber is absent unless both tuples are there to be compared.
func (e *Event) natNumber(f Field) (uint32, bool) {
	if !e.derivesNAT() && !e.tellsNAT() {
		return 0, false
	}
	switch k := e.NATKind(); f {
	case FieldNAT:
		return uint32(k), true
	case FieldSrcNAT:
		return uint32(k & NATSource), true
	case FieldDstNAT:
		return uint32(k & NATDest >> 1), true
	case FieldAnyNAT:
		return uint32(k&NATSource | k&NATDest>>1), true
	}
	return 0, false
}

func (e *Event) expectNumber(f Field) (uint32, bool) {
	x := e.expect()
	if x == nil {
		return 0, false
	}
	switch f {
	case FieldProto:
		return uint32(x.Tuple.Proto), x.Got(HasExpectTuple) && x.Tuple.Got(HasProto)
	case FieldID:
		return x.ID, x.Got(HasExpectID)
	case FieldTimeout:
		return x.Timeout, x.Got(HasExpectTimeout)
	case FieldClass:
		return x.Class, x.Got(HasExpectClass)
	}
	return 0, false
}

// tupleNumber gives what info.bits names of one tuple. A GRE key is no port,
// nor a port a key.
func (e *Event) tupleNumber(info *fieldInfo) (uint32, bool) {
	t := e.side(info.side)
	if info.bits == HasTupleZone {
		if t == nil {
			return 0, true
		}
		return uint32(t.zone()), true
	}
	if t == nil || !t.Got(info.bits) {
		return 0, false
	}
	switch info.bits {
	case HasSrcPort:
		return uint32(t.SrcPort), t.HasKeys() == (info.protos == protoGRE)
	case HasDstPort:
		return uint32(t.DstPort), t.HasKeys() == (info.protos == protoGRE)
	case HasICMPType:
		return uint32(t.ICMPType), true
	case HasICMPCode:
		return uint32(t.ICMPCode), true
	case HasICMPID:
		return uint32(t.ICMPID), true
	}
	return 0, false
}

func (e *Event) text(f Field) (string, bool) {
	switch f {
	case FieldNetNS:
		if e.Origin == nil {
			return "", false
		}
		return e.Origin.NetNS, true
	case FieldSecCtx:
		if !e.Any(HasSecCtx) {
			return "", false
		}
		return e.Extra.SecCtx, true
	case FieldHelper:
		return e.helper()
	}
	return "", false
}

// helper is the expectation's own where the event is one.
func (e *Event) helper() (string, bool) {
	if e.Table == TableExpect {
		x := e.expect()
		if x == nil || !x.Got(HasExpectHelper) {
			return "", false
		}
		return x.Helper, true
	}
	if !e.Any(HasHelper) {
		return "", false
	}
	return e.Extra.Helper, true
}
