package ctnetlink

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// both runs a test once for each way by which events come.
func both(t *testing.T, f func(*testing.T, Receive)) {
	t.Helper()
	for _, via := range []Receive{ReceiveSocket, ReceiveRing} {
		t.Run("receive="+via.String(), func(t *testing.T) {
			if via == ReceiveRing {
				needRing(t)
			}
			f(t, via)
		})
	}
}

// needRing skips where the machine has no ring for us.
func needRing(tb testing.TB) {
	tb.Helper()
	r, err := newRing(1, false, nil)
	if errors.Is(err, unix.EPERM) || errors.Is(ringNeeds(err), errNoRing) {
		testnet.Unavailable(tb, "the receive ring: %v", ringNeeds(err))
	}
	if err == nil {
		err = r.close()
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func TestReceiveWords(t *testing.T) {
	for _, r := range []Receive{ReceiveAuto, ReceiveRing, ReceiveSocket} {
		if got, err := ParseReceive(r.String()); got != r || err != nil {
			t.Errorf("%s: %v, %v", r, got, err)
		}
	}
	if _, err := ParseReceive("queue"); err == nil || !strings.Contains(err.Error(), "auto, ring or socket") {
		t.Error(err)
	}
	if s := Receive(9).String(); s != "Receive(9)" {
		t.Error(s)
	}
}
