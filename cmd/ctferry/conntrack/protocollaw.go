package conntrack

// The options of the protocols that stand for an end of a tuple.
const (
	origEnds   = keys(1<<kPortSrc | 1<<kPortDst)
	replyEnds  = keys(1<<kPortReplySrc | 1<<kPortReplyDst)
	expectEnds = keys(1<<kPortMaskSrc | 1<<kPortMaskDst | 1<<kPortTupleSrc | 1<<kPortTupleDst)
	vtags      = keys(1<<kVTagOrig | 1<<kVTagReply)
)

// portLaw is the law of a protocol with ports. creates are the further options
// that a new entry must have, matches those that any other command on the
// conntrack table may have, expects those that a new expectation must have.
func portLaw(creates, matches, expects keys) func(Verb, Table) law {
	return func(v Verb, t Table) law {
		switch {
		case v == VerbHelp:
			return law{may: ^keys(0)}
		case t == TableExpect && v == VerbCreate:
			return law{must: origEnds | expectEnds | expects}
		case t == TableExpect:
			return law{must: origEnds | replyEnds}
		case v == VerbCreate || v == VerbAdd:
			return law{must: creates, may: origEnds | replyEnds}
		}
		return law{may: origEnds | replyEnds | matches}
	}
}

func sctpLaw(v Verb, t Table) law {
	state := keysOf(kState)
	if v == VerbGet || v == VerbUpdate {
		return portLaw(state|vtags, state|vtags, vtags)(v, t)
	}
	return portLaw(state|vtags, state, vtags)(v, t)
}

func dccpLaw(v Verb, t Table) law {
	return portLaw(keysOf(kState, kRole), keysOf(kState), keysOf(kRole))(v, t)
}

func greLaw(v Verb, t Table) law {
	return portLaw(0, 0, replyEnds)(v, t)
}

func icmpLaw(v Verb, t Table) law {
	query := keysOf(kICMPType, kICMPCode)
	switch {
	case v == VerbHelp:
		return law{may: ^keys(0)}
	case t == TableExpect:
		return law{}
	case v == VerbCreate || v == VerbAdd || v == VerbGet:
		return law{must: query, may: keysOf(kICMPID)}
	}
	return law{may: query | keysOf(kICMPID)}
}
