package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// nowhere takes batches and forgets them.
type nowhere struct{}

func (nowhere) Take(*flow.Batch) float64 { return 0 }

// TestControlOfANameMadeAnew asks for a namespace whose name has just come to stand for
// another one: its rows must not have the flow ids of the one before.
func TestControlOfANameMadeAnew(t *testing.T) {
	name := fmt.Sprintf("ctferry-remade-%d", os.Getpid())
	old, err := testnet.Create()
	if err == nil {
		err = old.Bind(name)
	}
	if err != nil {
		testnet.Unavailable(t, "a named network namespace: %v", err)
	}
	away := sync.OnceValue(old.Close)
	defer away() //nolint:errcheck // where the test ends before it
	cfg := source.Default()
	cfg.NetNS, cfg.Receive = []string{name}, "socket"
	src, err := source.New(cfg, source.Identity{Node: "edge-1"}, flow.TypesOf(flow.TypeNew), nowhere{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	waitFor(t, "the namespace", func() bool { return len(src.Namespaces()) == 1 })

	x := newExecutor(&service{source: src, id: source.Identity{Node: "edge-1"}, log: slog.New(slog.DiscardHandler)})
	list := func() ([]uint64, error) {
		var cookies []uint64
		_, err := x.Call(t.Context(), &control.Request{Verb: control.VerbList, Table: control.TableConntrack, NetNS: name}, func(b *flow.Batch) error {
			for i := range b.Events() {
				cookies = append(cookies, b.Events()[i].Origin.Cookie)
			}
			return nil
		})
		return cookies, err
	}
	if _, err := list(); err != nil {
		t.Fatal(err)
	}
	if err := away(); err != nil {
		t.Fatal(err)
	}
	other := testnet.NewNamed(t, name)
	if _, err := (testnet.Churn{NS: other, Entries: 3, Keep: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := cookieOf(t, other)
	cookies, err := list()
	if e := (*control.Error)(nil); err != nil && (!errors.As(err, &e) || e.Code != control.CodeNotFound) {
		t.Errorf("error %v, expected that there is no such namespace", err)
	}
	for _, c := range cookies {
		if c != want {
			t.Fatalf("a row of namespace %d is said to be of %d", want, c)
		}
	}
	waitFor(t, "the new namespace", func() bool { o, ok := src.Origin(name); return ok && o.Cookie == want })
	if _, err := list(); err != nil {
		t.Error(err)
	}
}

func cookieOf(t *testing.T, ns *testnet.Namespace) uint64 {
	t.Helper()
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cookie, err := conn.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}
