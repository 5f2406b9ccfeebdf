package flow

// ToldHas is the set of the values that a Told carries.
type ToldHas uint8

// The presence bits of what is told.
const (
	HasToldDuration ToldHas = 1 << iota
	HasToldClose
	HasToldCommunity
	HasToldNATCommunity
)

// Told are derived values as a record tells them, where they cannot be derived
// again: a projection has hidden what they are made of, or it is not known how
// they were made. Only decoders set them, and what is told is believed before
// what could be derived. The translation has ToldNAT.
type Told struct {
	Has          ToldHas
	Close        CloseReason // CloseUnknown: the record tells none, whatever it looks like
	Duration     uint64      // ns
	Community    string      // Community ID v1 of the original tuple, by an unknown seed
	NATCommunity string      // and of the flow behind the translation
}

// ToldValues gives what is told of the given values, nil if it is nothing.
func (e *Event) ToldValues(bits ToldHas) *Told {
	if !e.Any(HasTold) || e.Extra == nil || e.Extra.Told.Has&bits == 0 {
		return nil
	}
	return &e.Extra.Told
}
