package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestNamespacesComeAndGo follows a glob: a namespace that appears is read
// under its name, one that goes is let go, and its account stays.
func TestNamespacesComeAndGo(t *testing.T) { both(t, testNamespacesComeAndGo) }

func testNamespacesComeAndGo(t *testing.T, receive string) {
	own := tracked(t)
	cfg := small(receive)
	prefix := fmt.Sprintf("ctferry-test-%d-", os.Getpid())
	cfg.NetNS = []string{prefix + "*"}
	out := &keeper{}
	s := start(t, own, cfg, out)
	other := named(t, prefix+"a")
	eventually(t, "the namespace's socket", func() bool { return len(s.Books()) == 2 })
	if names := s.Namespaces(); len(names) != 1 || names[0] != prefix+"a" {
		t.Errorf("namespaces %v", names)
	}
	first, ok := s.Origin("")
	second, ok2 := s.Origin(prefix + "a")
	if !ok || !ok2 || first.NetNS != "" || second.NetNS != prefix+"a" || first.Cookie == second.Cookie || first.Run != second.Run {
		t.Errorf("origins %+v and %+v", first, second)
	}
	if agent := s.Agent("request"); agent.Reason != "request" || len(agent.Sockets) != 2 || len(agent.Tables) != 2 || agent.Uptime <= 0 {
		t.Errorf("agent %+v", agent)
	}
	for _, ns := range []*testnet.Namespace{own, other} {
		if _, err := (testnet.Churn{NS: ns, Entries: 50}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both namespaces' events", func() bool { return len(out.of(flow.TypeDestroy)) == 100 })
	ids := map[string]map[uint64]bool{"": {}, prefix + "a": {}}
	for _, r := range out.of(flow.TypeNew) {
		ids[r.netns][r.flowID] = true
	}
	for id := range ids[""] {
		if ids[prefix+"a"][id] {
			t.Errorf("flow id %x is the same in two namespaces", id)
		}
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket to close", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.sockets) == 1 && len(s.retired) == 1
	})
	if _, ok := s.Origin(prefix + "a"); ok || len(s.Namespaces()) != 0 {
		t.Error("a namespace that is gone has an origin")
	}
	if b := s.Books()[1]; b.NetNS != prefix+"a" || b.Received != 100 || !b.Balanced() {
		t.Errorf("account of the namespace that is gone: %+v", b)
	}
	checkSequence(t, out)
}

// TestNamespacesAreTrackedApart: each has its flows, one bound holds for all, and
// what a namespace that goes has taken of it comes back.
func TestNamespacesAreTrackedApart(t *testing.T) {
	own := tracked(t)
	cfg := tracking()
	prefix := fmt.Sprintf("ctferry-track-%d-", os.Getpid())
	cfg.NetNS = []string{prefix + "*"}
	out := &keeper{}
	s := start(t, own, cfg, out)
	other := named(t, prefix+"a")
	eventually(t, "the namespace's socket", func() bool { return len(s.Books()) == 2 })
	fillTable(t, own, 300)
	fillTable(t, other, 200)
	eventually(t, "the flows of both", func() bool {
		b := s.Books()
		return b[0].Track.Flows == 300 && b[1].Track.Flows == 200
	})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket to close", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.retired) == 1
	})
	s.mu.Lock()
	used := s.budget.used
	s.mu.Unlock()
	if b := s.Books(); used != 300 || b[1].Track.Flows != 0 || b[1].Track.Added != 200 || !b[1].Balanced() || !b[0].Balanced() {
		t.Errorf("%d entries are in use; books %+v", used, b)
	}
}

// TestNameMadeAnew gives a namespace's name to another one, before a scan finds that:
// the other's table is not taken for it, in which all flows would have ended.
func TestNameMadeAnew(t *testing.T) {
	name := fmt.Sprintf("ctferry-anew-%d", os.Getpid())
	old := named(t, name)
	cfg, out := tracking(), &keeper{}
	s, err := newIn(namespace{name: name, path: filepath.Join(netnsDir, name)}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), out, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := &running{s, out, nil}
	r.primed(t)
	fillTable(t, old, 100)
	eventually(t, "the flows", func() bool { return s.Books()[0].Track.Flows == 100 })
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	other := named(t, name)
	defer other.Close()
	err = s.sockets[0].dump(ctx, flow.TableConntrack, dumpJob{reason: "reconcile"})
	if tables := s.Agent("test").Tables; len(tables) != 0 {
		t.Errorf("the table of another namespace is told: %+v", tables)
	}
	if counters := s.TableCounters(); len(counters) != 0 {
		t.Errorf("the counters of another namespace are told: %+v", counters)
	}
	if b := s.Books()[0].Track; !errors.Is(err, errRemade) || b.Flows != 100 || b.Synthetic != 0 {
		t.Errorf("%v; books %+v", err, b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestNameMadeUnderAScan finds a name before there is a namespace behind it, and opens
// it after: that socket must not stay, or the next scan would open one more beside it.
func TestNameMadeUnderAScan(t *testing.T) {
	cfg := small("socket")
	name := fmt.Sprintf("ctferry-young-%d", os.Getpid())
	cfg.NetNS = []string{name}
	s, err := newIn(namespace{path: tracked(t).Path()}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), &keeper{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	path := filepath.Join(netnsDir, name)
	if err := errors.Join(os.MkdirAll(netnsDir, 0o755), os.WriteFile(path, nil, 0o400)); err != nil {
		testnet.Unavailable(t, "a file in %s: %v", netnsDir, err)
	}
	found := findNamespaces(netnsDir, cfg.NetNS)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	ns := named(t, name)
	defer ns.Close()
	for ns := range found {
		s.open(ns, time.Now(), func(*socket) { t.Error("read under an inode that is not its own") })
	}
	started := 0
	for range 2 {
		s.scan(time.Now(), func(*socket) { started++ })
	}
	if len(found) != 1 || started != 1 || len(s.sockets) != 2 {
		t.Errorf("%d found; %d opened, of which %d stayed", len(found), started, len(s.sockets)-1)
	}
}

// TestOpenedAtLast: a namespace that could not be opened at first is blind since before
// it was found, not only since the scan before the one that opened it.
func TestOpenedAtLast(t *testing.T) {
	cfg, out := small("socket"), &keeper{}
	cfg.NetNS = []string{fmt.Sprintf("ctferry-late-%d", os.Getpid())}
	s, err := newIn(namespace{path: tracked(t).Path()}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), out, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	before := time.Now()
	ns := named(t, cfg.NetNS[0])
	defer ns.Close()
	scan := func(before time.Time) { s.scan(before, func(*socket) {}) }
	s.cfg.Buffer = 1 << 40 // nobody gets that
	scan(before)
	scan(time.Now())
	s.cfg.Buffer = cfg.Buffer
	scan(time.Now())
	gaps := out.of(flow.TypeGap)
	if len(gaps) != 1 || gaps[0].gap.Since != before.UnixNano() || gaps[0].gap.Reason != opened || len(s.missed) != 0 {
		t.Errorf("not read since %d; told: %+v", before.UnixNano(), gaps)
	}
}

// TestStoppedStaysOut: a reload does not let a socket that is being drained join again.
func TestStoppedStaysOut(t *testing.T) {
	ns := tracked(t)
	s, err := newIn(namespace{path: ns.Path()}, small("socket"), Identity{}, flow.TypesOf(kernelTypes()...), &keeper{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.interrupt()
	if err := s.sockets[0].drain(); err != nil {
		t.Fatal(err)
	}
	if err := s.Wants(flow.TypesOf(kernelTypes()...)); err != nil {
		t.Fatal(err)
	}
	fillTable(t, ns, 10)
	if n, err := s.sockets[0].read(); n != 0 || err != nil {
		t.Errorf("%d events that nobody will read: %v", n, err)
	}
}

// TestAgentWhileNamespacesCome asks for the state beside the scan that opens sockets.
func TestAgentWhileNamespacesCome(t *testing.T) {
	cfg := small("socket")
	prefix := fmt.Sprintf("ctferry-asked-%d-", os.Getpid())
	cfg.NetNS = []string{prefix + "*"}
	s := start(t, tracked(t), cfg, &keeper{})
	for i := range 2 {
		ns := named(t, fmt.Sprint(prefix, i))
		defer ns.Close()
	}
	eventually(t, "the sockets", func() bool { return len(s.Agent("request").Sockets) == 3 })
}

// named makes a namespace that the test itself closes.
func named(t *testing.T, name string) *testnet.Namespace {
	t.Helper()
	ns, err := testnet.Create()
	if err != nil {
		testnet.Unavailable(t, "a network namespace: %v", err)
	}
	if err := errors.Join(ns.Up(), ns.Record(), ns.Bind(name)); err != nil {
		testnet.Unavailable(t, "a named network namespace: %v", err)
	}
	return ns
}

func TestRetiredAccountsAreBounded(t *testing.T) {
	var all []flow.SocketBooks
	for i := range 10 * maxRetired {
		all = addBooks(all, flow.SocketBooks{NetNS: fmt.Sprint(i), Received: 1, Offered: 1, Emitted: 1})
	}
	if len(all) != maxRetired {
		t.Errorf("%d accounts: expected at most %d", len(all), maxRetired)
	}
	var sum uint64
	for i := range all {
		if !all[i].Balanced() {
			t.Errorf("%+v does not balance", all[i])
		}
		sum += all[i].Received
	}
	if sum != 10*maxRetired {
		t.Errorf("sum %d: expected %d", sum, 10*maxRetired)
	}
}

// TestAbsent tells names that nothing has, and no patterns.
func TestAbsent(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "blue"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := absentIn(dir, []string{"blue", "red", "t*", "[ab]", "?", "green"}); !slices.Equal(got, []string{"red", "green"}) {
		t.Errorf("%q", got)
	}
	if got := absentIn(filepath.Join(dir, "none"), []string{"blue"}); !slices.Equal(got, []string{"blue"}) {
		t.Errorf("without the folder: %q", got)
	}
}
