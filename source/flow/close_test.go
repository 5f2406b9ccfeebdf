package flow

import "testing"

func TestCloseReason(t *testing.T) {
	const replied = StatusSeenReply | StatusConfirmed
	cases := []struct {
		name  string
		proto uint8
		has   Has
		state uint8 // TCP
		bits  uint32
		want  CloseReason
	}{
		{"tcp reset", ProtoTCP, HasTCPState | HasStatus, TCPClose, replied, CloseReset},
		{"tcp reset of an unanswered SYN", ProtoTCP, HasTCPState | HasStatus, TCPClose, 0, CloseReset},
		{"tcp time wait", ProtoTCP, HasTCPState | HasStatus, TCPTimeWait, replied, CloseFinished},
		{"tcp last ack", ProtoTCP, HasTCPState | HasStatus, TCPLastAck, replied, CloseFinished},
		{"tcp time wait cut short", ProtoTCP, HasTCPState | HasStatus | HasTimeout, TCPTimeWait, replied, CloseFinished},
		{"tcp SYN without answer", ProtoTCP, HasTCPState | HasStatus, 1, 0, CloseUnreplied},
		{"tcp established ran out", ProtoTCP, HasTCPState | HasStatus, 3, replied, CloseTimeout},
		{"tcp established removed early", ProtoTCP, HasTCPState | HasStatus | HasTimeout, 3, replied, CloseUnknown},
		{"tcp before Linux 5.12", ProtoTCP, HasStatus, TCPClose, replied, CloseUnknown},
		{"tcp before Linux 5.12, unreplied", ProtoTCP, HasStatus, TCPClose, 0, CloseUnreplied},
		{"deleted", ProtoTCP, HasTCPState | HasStatus | HasPortID, TCPTimeWait, replied, CloseDeleted},
		{"udp unreplied", ProtoUDP, HasStatus, 0, StatusConfirmed, CloseUnreplied},
		{"udp ran out", ProtoUDP, HasStatus, 0, replied, CloseTimeout},
		{"udp removed early", ProtoUDP, HasStatus | HasTimeout, 0, replied, CloseUnknown},
		{"udp, a TCP state left in the slot", ProtoUDP, HasStatus, TCPClose, replied, CloseTimeout},
		{"no status", ProtoUDP, 0, 0, 0, CloseUnknown},
		{"sctp", ProtoSCTP, HasStatus, 0, replied, CloseUnknown},
		{"dccp", ProtoDCCP, HasStatus, 0, replied, CloseUnknown},
	}
	for _, c := range cases {
		e := &Event{Type: TypeDestroy, Table: TableConntrack, Has: HasOrig | c.has, Proto: c.proto, Status: c.bits, PortID: 9, Timeout: 9}
		e.TCP.State = c.state
		if got := e.CloseReason(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		e.Type = TypeUpdate
		inferred := e
		inferred.Type, inferred.Synthetic = TypeDestroy, true
		inferred.Has |= HasSynthetic
		if got := inferred.CloseReason(); got != CloseUnknown {
			t.Errorf("%s: close reason %q of an end that nobody saw", c.name, got)
		}
		if got := e.CloseReason(); got != CloseUnknown {
			t.Errorf("%s: an update closes with %v", c.name, got)
		}
		e.Type, e.Table = TypeDestroy, TableExpect
		if got := e.CloseReason(); got != CloseUnknown {
			t.Errorf("%s: an expectation closes with %v", c.name, got)
		}
	}
	for r, want := range map[CloseReason]string{CloseUnknown: "", CloseDeleted: "deleted", CloseReset: "reset",
		CloseFinished: "finished", CloseUnreplied: "unreplied", CloseTimeout: "timeout", 99: ""} {
		if r.String() != want {
			t.Errorf("%d: %q", r, r)
		}
	}
}
