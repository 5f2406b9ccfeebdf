package ctnetlink

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
)

// unprivileged calls f on a thread without CAP_NET_ADMIN, which the thread gets
// back afterwards.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	with := caps
	caps[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if err := unix.Capset(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&head, &with[0]); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestGrowUnprivileged grows without the right to: as far as rmem_max allows,
// and never back.
func TestGrowUnprivileged(t *testing.T) {
	text, err := os.ReadFile(rmemMaxPath)
	if err != nil {
		testnet.Unavailable(t, "%v", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	ns := testnet.New(t)
	small := listen(t, ns, Config{Receive: ReceiveSocket, Groups: ConntrackNew, Buffer: 8 << 10, MaxBuffer: 8 * limit})
	big := listen(t, ns, Config{Receive: ReceiveSocket, Groups: ConntrackNew, Buffer: 4 * limit, MaxBuffer: 8 * limit})
	had, err := big.Stats()
	if err != nil {
		t.Fatal(err)
	}
	unprivileged(t, func() {
		if got, err := small.Grow(8 * limit); err != nil || got != 2*limit {
			t.Errorf("grown to %d, want %d: %v", got, 2*limit, err)
		}
		if got, err := big.Grow(8 * limit); err != nil || got != int(had.Buffer) {
			t.Errorf("grown to %d, had %d: %v", got, had.Buffer, err)
		}
	})
	// Without root in the first user namespace the big one never got past the limit.
	if had.Buffer != uint64(4*limit) && had.Buffer != uint64(2*limit) {
		t.Errorf("asked for %d, got %d, limit %d", 4*limit, had.Buffer, 2*limit)
	}
}
