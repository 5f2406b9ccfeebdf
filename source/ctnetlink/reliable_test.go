package ctnetlink

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestSetReliable lets the kernel keep what found no room, then lets go of it: the
// table empties though nobody reads.
func TestSetReliable(t *testing.T) {
	both(t, func(t *testing.T, via Receive) { letGo(t, via) })
}

func letGo(t *testing.T, via Receive) {
	ns := testnet.New(t)
	l := listen(t, ns, Config{Groups: ConntrackDestroy, Buffer: 64 << 10, Receive: via, Reliable: true})
	if err := errors.Join(l.SetReliable(false), l.SetReliable(true)); err != nil {
		t.Fatal(err)
	}
	done := churn(t, testnet.Churn{NS: ns, Entries: 2000})
	conn, err := Dial(DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	entries := func() uint32 {
		fill, err := conn.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fill.Entries
	}
	if n := entries(); n < 1900 {
		t.Fatalf("the kernel keeps %d of %d flows", n, done.Deleted)
	}
	parked := 0
	if _, err := conn.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{Dying: true}, func(b *flow.Batch) error {
		parked += b.Len()
		return nil
	}); err != nil || parked == 0 {
		t.Errorf("%d flows await delivery: %v", parked, err)
	}
	if err := l.SetReliable(false); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); entries() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := entries(); n != 0 {
		t.Errorf("%d flows are still kept", n)
	}
	got := 0
	drain(t, l, func(*flow.Event) { got++ })
	if s, err := l.Stats(); err != nil || uint64(got)+s.Drops < uint64(done.Deleted) {
		t.Errorf("%d events read, %d dropped, of %d: %v", got, s.Drops, done.Deleted, err)
	}
}

// TestSetReliableUnprepared: a ring that was opened without it says so.
func TestSetReliableUnprepared(t *testing.T) {
	needRing(t)
	l := listen(t, testnet.New(t), Config{Groups: ConntrackDestroy, Receive: ReceiveRing})
	if err := errors.Join(l.SetReliable(false), l.SetReliable(true)); !errors.Is(err, errUnprepared) {
		t.Errorf("error %v", err)
	}
}

func TestSetReliableOnAClosedListener(t *testing.T) {
	ns := testnet.New(t)
	l, err := Listen(Config{NetNS: ns.Path(), Groups: ConntrackDestroy})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.SetReliable(true); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
