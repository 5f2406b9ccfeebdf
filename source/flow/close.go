package flow

// CloseReason says how a flow ended, as far as a DESTROY event shows it.
type CloseReason uint8

// The reasons; CloseUnknown is absent from the record.
const (
	CloseUnknown   CloseReason = iota
	CloseDeleted               // a process asked for it (netlink port id present)
	CloseReset                 // TCP, a RST was seen
	CloseFinished              // TCP, both sides closed
	CloseUnreplied             // nobody ever answered
	CloseTimeout               // the entry's time ran out
)

var closeNames = [...]string{"", "deleted", "reset", "finished", "unreplied", "timeout"}

// String gives the record's close_reason.
func (r CloseReason) String() string {
	if int(r) < len(closeNames) {
		return closeNames[r]
	}
	return ""
}

// CloseReason derives how the flow ended. It needs what kernels since 5.12
// send with a DESTROY (the TCP state; the timeout, if any was left) and stays
// CloseUnknown where that does not decide it, as for an end that was inferred.
// Of a record that was cut down it is what the record told.
func (e *Event) CloseReason() CloseReason {
	switch {
	case e.Has&HasTold != 0 && e.ToldValues(HasToldClose) != nil:
		return e.Extra.Told.Close
	case e.Type != TypeDestroy || e.Table != TableConntrack || e.Any(HasSynthetic) && e.Synthetic:
		return CloseUnknown
	case e.Any(HasPortID):
		return CloseDeleted
	}
	if e.Any(HasTCPState) {
		switch e.TCP.State {
		case TCPClose:
			return CloseReset
		case TCPTimeWait, TCPLastAck:
			return CloseFinished
		}
	}
	if !e.Any(HasStatus) {
		return CloseUnknown // the kernel always sends it: this record is not whole
	}
	if e.Status&StatusSeenReply == 0 {
		return CloseUnreplied
	}
	// A timeout that is left means that the kernel removed the entry early; an
	// SCTP or DCCP association may have been shut down without our being told.
	if e.Any(HasTimeout) || e.Proto == ProtoSCTP || e.Proto == ProtoDCCP || e.Proto == ProtoTCP && !e.Any(HasTCPState) {
		return CloseUnknown
	}
	return CloseTimeout
}
