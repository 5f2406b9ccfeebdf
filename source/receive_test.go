package source

import (
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
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

// TestFallingBackIsTold opens several namespaces without the right to a ring:
// auto says once why, socket has nothing to say, ring is an error.
func TestFallingBackIsTold(t *testing.T) {
	for receive, lines := range map[string]int{"auto": 1, "socket": 0, "ring": 0} {
		cfg := small(receive)
		var text strings.Builder
		var sockets []*socket
		out := &keeper{}
		log := slog.New(slog.NewTextHandler(&text, nil))
		var err error
		dirs := []namespace{{path: testnet.New(t).Path()}, {name: "a", path: testnet.New(t).Path()}}
		without(t, []int{unix.CAP_SYS_ADMIN, unix.CAP_BPF}, func() {
			var s *Source
			s, err = newIn(dirs[0], cfg, Identity{}, flow.TypesOf(kernelTypes()...), out, log)
			if err != nil {
				return
			}
			sockets = append(sockets, s.sockets[0])
			var second *socket
			if second, err = s.openSocket(dirs[1]); err == nil {
				sockets = append(sockets, second)
			}
		})
		if (receive == "ring") != errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v", receive, err)
		}
		if n := strings.Count(text.String(), "events are received without the ring"); n != lines {
			t.Errorf("%s: told %d times: %s", receive, n, &text)
		}
		for _, k := range sockets {
			if err := k.listener.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// without calls f on a thread that has not these capabilities: without SYS_ADMIN and
// BPF it may not load programs.
func without(t *testing.T, capabilities []int, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&head, &had[0]); err != nil {
		t.Fatal(err)
	}
	now := had
	for _, c := range capabilities {
		now[c/32].Effective &^= 1 << (c % 32)
	}
	if err := unix.Capset(&head, &now[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&head, &had[0]); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestRingsAreBounded opens more namespaces than may have a ring unasked.
func TestRingsAreBounded(t *testing.T) {
	needRing(t)
	for receive, want := range map[string]int{"auto": maxRings, "ring": maxRings + 2, "socket": 0} {
		cfg := small(receive)
		cfg.Buffer, cfg.Max = minBuffer, minBuffer
		ns := testnet.New(t)
		s, err := newIn(namespace{path: ns.Path()}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), &keeper{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for len(s.sockets) < maxRings+2 {
			k, err := s.openSocket(namespace{name: "x", path: ns.Path()})
			if err != nil {
				t.Fatal(err)
			}
			s.sockets = append(s.sockets, k)
		}
		rings := 0
		for _, k := range s.sockets {
			if way, _ := k.listener.Receives(); way == ctnetlink.ReceiveRing {
				rings++
			}
		}
		if rings != want {
			t.Errorf("%s: %d rings, want %d", receive, rings, want)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
