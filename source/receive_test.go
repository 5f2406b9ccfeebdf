package source

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
)

// both runs a test once for each way by which events come.
func both(t *testing.T, f func(t *testing.T, receive string)) {
	t.Helper()
	for _, receive := range []string{"socket", "ring"} {
		t.Run("receive="+receive, func(t *testing.T) {
			if receive == "ring" {
				needRing(t)
			}
			f(t, receive)
		})
	}
}

// needRing skips where the machine has no ring for us.
func needRing(t *testing.T) {
	t.Helper()
	l, err := ctnetlink.Listen(ctnetlink.Config{NetNS: testnet.New(t).Path(), Groups: ctnetlink.ConntrackNew, Receive: ctnetlink.ReceiveRing})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		testnet.Unavailable(t, "the receive ring: %v", err)
	}
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
