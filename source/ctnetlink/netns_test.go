package ctnetlink

import (
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestNamespaces listens and dumps by path: each namespace has its own table.
func TestNamespaces(t *testing.T) {
	both(t, func(t *testing.T, via Receive) { checkNamespaces(t, via, testnet.New(t), testnet.New(t)) })
}

// TestNamedNamespace does so by a name under /run/netns.
func TestNamedNamespace(t *testing.T) {
	both(t, func(t *testing.T, via Receive) {
		checkNamespaces(t, via, testnet.NewNamed(t, "ctnetlink-test"), testnet.New(t))
	})
}

func checkNamespaces(t *testing.T, via Receive, busy, idle *testnet.Namespace) {
	t.Helper()
	cookies := map[uint64]bool{}
	for i, ns := range []*testnet.Namespace{busy, idle} {
		l := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
		churn(t, testnet.Churn{NS: busy, Entries: 3, Keep: true, First: i * 10})
		want := 3 * (1 - i)
		if got := drain(t, l, none); got != want {
			t.Errorf("%s: %d events, want %d", ns.Path(), got, want)
		}
		fill, err := dialNS(t, ns).Stats(t.Context())
		if err != nil || int(fill.Entries) != want {
			t.Errorf("%s: %+v, want %d: %v", ns.Path(), fill, want, err)
		}
		if l.Cookie() == 0 || cookies[l.Cookie()] {
			t.Errorf("%s: cookie %d", ns.Path(), l.Cookie())
		}
		cookies[l.Cookie()] = true
	}
}

// TestOwnNamespace listens in the namespace of the calling thread.
func TestOwnNamespace(t *testing.T) { both(t, testOwnNamespace) }

func testOwnNamespace(t *testing.T, via Receive) {
	ns := testnet.New(t)
	other := listen(t, ns, Config{Receive: via, Groups: ConntrackNew})
	err := ns.Do(func() error {
		l, err := Listen(Config{Receive: via, Groups: ConntrackNew})
		if err != nil {
			return err
		}
		defer l.Close()
		if l.Cookie() != other.Cookie() {
			t.Errorf("cookie %d, by path %d", l.Cookie(), other.Cookie())
		}
		if l.PortID() == other.PortID() || l.PortID() == 0 {
			t.Errorf("ports %d and %d", l.PortID(), other.PortID())
		}
		c, err := Dial(DialConfig{})
		if err != nil {
			return err
		}
		defer c.Close()
		churn(t, testnet.Churn{NS: ns, Entries: 4, Keep: true})
		if fill, err := c.Stats(t.Context()); err != nil || fill.Entries != 4 {
			t.Errorf("%+v: %v", fill, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
