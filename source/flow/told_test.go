package flow

import "testing"

// TestToldValues: what is told is believed before what looks like it, and read only where
// it is guarded.
func TestToldValues(t *testing.T) {
	e := &Event{Type: TypeDestroy, Table: TableConntrack, Proto: ProtoTCP, Has: HasOrig | HasTCPState | HasTold}
	e.TCP.State = TCPClose
	if e.CloseReason() != CloseReset || e.ToldValues(HasToldClose) != nil {
		t.Error("a slot without its side slot tells something")
	}
	e.Extra = &Extra{Told: Told{Has: HasToldDuration, Close: CloseTimeout, Duration: 5}}
	if e.CloseReason() != CloseReset || e.ToldValues(HasToldClose) != nil || e.ToldValues(HasToldClose|HasToldDuration) == nil {
		t.Error("what another record told was read")
	}
	e.Extra.Told.Has |= HasToldClose
	if got := e.CloseReason(); got != CloseTimeout {
		t.Errorf("told: %v", got)
	}
	e.Extra.Told.Close = CloseUnknown
	if got := e.CloseReason(); got != CloseUnknown {
		t.Errorf("a reason for what told none: %v", got)
	}
	e.Has &^= HasTold
	if got := e.CloseReason(); got != CloseReset || e.ToldValues(HasToldClose) != nil {
		t.Errorf("not told: %v", got)
	}
}
