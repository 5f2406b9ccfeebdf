package source

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// sharded runs a test for each way by which events come, with two and with four
// shards.
func sharded(t *testing.T, f func(t *testing.T, cfg Config)) {
	t.Helper()
	both(t, func(t *testing.T, receive string) {
		for _, n := range []int{2, 4} {
			t.Run(fmt.Sprintf("shards=%d", n), func(t *testing.T) {
				cfg := small(receive)
				cfg.Shards = n
				f(t, cfg)
			})
		}
	})
}

// produce makes events of every kind at once, from several threads: table entries
// of ours, and packets over IPv4 and IPv6, translated ones, of all protocols, and
// of FTP, whose helper expects flows.
func produce(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	for _, rule := range []testnet.Rule{
		testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp"),
		testnet.SourceNAT(testnet.Match{Proto: unix.IPPROTO_UDP, Src: netip.MustParseAddr("127.0.0.1"), DstPort: 4739}, netip.MustParseAddr("127.0.0.9")),
	} {
		if err := ns.Lay(rule); err != nil {
			t.Fatal(err)
		}
	}
	var producers sync.WaitGroup
	run := func(f func() error) {
		producers.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 3 {
		run(func() error {
			_, err := testnet.Churn{NS: ns, First: i * 100_000, Entries: 4000, Update: true, Zone: uint16(i)}.Run(t.Context())
			return err
		})
	}
	run(func() error {
		_, err := testnet.Mix{NS: ns, Flows: 300}.Run(t.Context())
		return err
	})
	run(func() error {
		_, err := (testnet.Traffic{NS: ns, Port: 4739}).UDP(t.Context(), 200, true)
		return err
	})
	run(func() error {
		_, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 5, true)
		return err
	})
	producers.Wait()
	ns.Conntrack(t, "-F")
}

// lives are the kernel's events of each flow, in the order in which they came; of
// the table of expectations, all together.
func lives(out *keeper) map[string][]string {
	all := map[string][]string{}
	for _, r := range out.of(kernelTypes()...) {
		id := fmt.Sprintf("%x", r.flowID)
		if r.table == flow.TableExpect {
			id, r.time = "expectations", 0 // the kernel tells none
		}
		all[id] = append(all[id], fmt.Sprint(r.typ, r.time, r.mark, r.bytes))
	}
	slices.Sort(all["expectations"])
	return all
}

// TestShardsAreOne reads a namespace by one socket and by several, under load from
// all processors: each flow's events are the same and in the same order, and
// nothing comes twice.
func TestShardsAreOne(t *testing.T) { sharded(t, testShardsAreOne) }

func testShardsAreOne(t *testing.T, cfg Config) {
	ns := tracked(t)
	cfg.Buffer, cfg.Max = 64*option.MiB, 64*option.MiB
	cfg.Tables = []flow.Table{flow.TableConntrack, flow.TableExpect}
	whole := cfg
	whole.Shards = 1
	one, many := &keeper{}, &keeper{}
	first, second := start(t, ns, whole, one), start(t, ns, cfg, many)
	produce(t, ns)
	for _, s := range []*running{first, second} {
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	want, got := checkBalanced(t, first.Source), checkBalanced(t, second.Source)
	if want.Lost+got.Lost != 0 || want.Received != got.Received || got.Emitted != got.Received || got.Received < 30_000 || len(second.Books()) != 1 {
		t.Errorf("one socket: %+v; %d: %+v", want, cfg.Shards, got)
	}
	a, b := lives(one), lives(many)
	for id, life := range a {
		if !slices.Equal(life, b[id]) {
			t.Errorf("flow %s: %v, by shards %v", id, life, b[id])
		}
	}
	if len(a) != len(b) || len(a["expectations"]) == 0 {
		t.Errorf("%d flows, by shards %d; %d expectations", len(a), len(b), len(a["expectations"]))
	}
	checkSequence(t, many)
	checkSpread(t, second.Source)
}

// checkSpread wants each of the shards of the service's own namespace to have had
// its part.
func checkSpread(t *testing.T, s *Source) {
	t.Helper()
	shards := s.sockets[0].shards
	if len(shards) != s.cfg.Shards {
		t.Fatalf("%d shards, want %d", len(shards), s.cfg.Shards)
	}
	total := s.Books()[0].Received
	for i, k := range shards {
		if n := k.books.Received * uint64(len(shards)); n < total/2 || n > total*2 || !k.books.Balanced() {
			t.Errorf("shard %d had %d of %d events", i, k.books.Received, total)
		}
	}
}

// TestShardsLoseExactly holds all readers up until each shard's buffer has
// overflowed: what every one of them lost is in the books and in gap records.
func TestShardsLoseExactly(t *testing.T) { sharded(t, testShardsLoseExactly) }

func testShardsLoseExactly(t *testing.T, cfg Config) {
	ns := tracked(t)
	out := &keeper{}
	cfg.Buffer, cfg.Max = minBuffer, minBuffer
	s := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	release := s.stall()
	made, err := testnet.Churn{NS: ns, Entries: 5000}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	var told uint64
	for _, g := range out.of(flow.TypeGap)[1:] {
		told += *g.gap.Lost
	}
	for i, k := range s.sockets[0].shards {
		if k.books.Lost == 0 {
			t.Errorf("shard %d has lost nothing", i)
		}
	}
	if b.Offered != uint64(made.Events()) || told != b.Lost || uint64(len(out.of(kernelTypes()...))) != b.Received {
		t.Errorf("%d events were made, gaps tell of %d; books %+v", made.Events(), told, b)
	}
	checkSequence(t, out)
}

// TestShardsFilter has the kernel run a filter in every shard: what is refused is
// refused once, and what is another shard's is not refused.
func TestShardsFilter(t *testing.T) { sharded(t, testShardsFilter) }

func testShardsFilter(t *testing.T, cfg Config) {
	ns := tracked(t)
	cfg.Filter = filterOf(t, map[string]any{"family": "ipv6", "proto": "tcp"})
	out := &keeper{}
	s := start(t, ns, cfg, out)
	made, err := testnet.Churn{NS: ns, Entries: 800}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	if !b.KernelFilter || b.Excluded != 0 || b.Offered != 200 || b.Emitted != 200 {
		t.Errorf("books %+v", b)
	}
	if ring := cfg.Receive == "ring"; (b.Refused != nil) != ring || ring && *b.Refused+b.Offered != uint64(made.Events()) {
		t.Errorf("%d events made; refused %v", made.Events(), b.Refused)
	}
}

// TestShardsTrack loses events in every shard, of flows that begin, change, end and
// begin again: one tracker has them all, and one resync makes the loss good.
func TestShardsTrack(t *testing.T) { sharded(t, testShardsTrack) }

func testShardsTrack(t *testing.T, cfg Config) {
	ns := tracked(t)
	out := &keeper{}
	c := tracking()
	cfg.Track, cfg.Dump.AtStart = c.Track, true
	cfg.Buffer, cfg.Max = minBuffer, minBuffer
	flows := testnet.Churn{NS: ns, Entries: 1500, Keep: true, Timeout: time.Hour}
	if _, err := flows.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := start(t, ns, cfg, out)
	s.primed(t)
	known := map[uint64]bool{}
	for id := range tableOf(t, s, ns) {
		known[id] = true
	}
	before := s.Books()[0].Track.Reconciled
	release := s.stall()
	steps := []func() error{
		func() error {
			_, err := testnet.Churn{NS: ns, Entries: 2000, First: 1 << 20}.Run(t.Context())
			return err
		},
		func() error { _, err := flows.Remove(t.Context()); return err },
		func() error {
			again := flows
			again.Entries = 1000
			_, err := again.Run(t.Context())
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	release()
	s.reconciled(t, before+1)
	s.agrees(t, ns)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b := checkBalanced(t, s.Source)
	ends := len(out.synthetic(flow.TypeDestroy))
	t.Logf("lost %d; inferred %d ends; books %+v", b.Lost, ends, b.Track)
	if b.Lost == 0 || ends < 500 || b.Track.Contradicted != 0 || b.Track.Flows != 1000 {
		t.Errorf("inferred %d ends; books %+v", ends, b)
	}
	if n := len(out.of(flow.TypeDumpEnd)); n != 1 || len(out.of(flow.TypeDump)) != 1500 {
		t.Errorf("%d dumps of %d rows at the start", n, len(out.of(flow.TypeDump)))
	}
	checkStories(t, out, known)
	checkSequence(t, out)
}

// TestShardsAreReliable stalls the readers for many more flows than the buffers
// hold: each DESTROY comes all the same, to its shard.
func TestShardsAreReliable(t *testing.T) { sharded(t, testShardsAreReliable) }

func testShardsAreReliable(t *testing.T, cfg Config) {
	ns := tracked(t)
	out := &keeper{}
	cfg.Buffer, cfg.Max, cfg.Reliable = minBuffer, minBuffer, true
	s := start(t, ns, cfg, out)
	eventually(t, "the first status", func() bool { return len(out.of(flow.TypeStatus)) == 1 })
	release := s.stall()
	if _, err := (testnet.Churn{NS: ns, Entries: 5000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	ends := map[uint64]int{}
	for _, d := range out.of(flow.TypeDestroy) {
		ends[d.flowID]++
	}
	b := checkBalanced(t, s.Source)
	if len(ends) != 5000 || b.Lost == 0 || !b.Reliable || b.LetGo != 0 {
		t.Errorf("%d of 5000 ends; books %+v", len(ends), b)
	}
}

// TestShardsLetGoTogether turns the mode off and on for a namespace: all its
// shards follow, and it is counted once.
func TestShardsLetGoTogether(t *testing.T) {
	ns := tracked(t)
	cfg := small("socket")
	cfg.Shards, cfg.Reliable = 3, true
	s := start(t, ns, cfg, &keeper{})
	lead := s.sockets[0]
	for _, on := range []bool{false, true} {
		if !lead.setReliable(on, flow.TableFill{}, nil) {
			t.Fatal("the mode does not change")
		}
		for i, k := range lead.shards {
			if k.reliable.on.Load() != on {
				t.Errorf("shard %d: reliable is %v", i, !on)
			}
		}
		if b := s.Books()[0]; b.Reliable != on || b.LetGo != 1 {
			t.Errorf("books %+v", b)
		}
	}
}

// TestShardedNamespacesComeAndGo has another namespace read by shards too: it is
// one account, which stays when the namespace is gone, and all of its sockets
// follow what the sinks want.
func TestShardedNamespacesComeAndGo(t *testing.T) {
	own := tracked(t)
	cfg := small("auto")
	cfg.Shards = 3
	name := fmt.Sprintf("ctferry-shards-%d-a", os.Getpid())
	cfg.NetNS, cfg.StateDir = []string{name}, t.TempDir()
	out := &keeper{}
	s := start(t, own, cfg, out)
	other := named(t, name)
	eventually(t, "the namespace's sockets", func() bool { return len(s.Books()) == 2 })
	work := func() {
		if _, err := (testnet.Churn{NS: other, Entries: 200}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	work()
	eventually(t, "its events", func() bool { return s.Books()[1].Received == 400 })
	if err := s.Wants(flow.TypesOf(flow.TypeDestroy)); err != nil {
		t.Fatal(err)
	}
	work()
	eventually(t, "its ends", func() bool { return s.Books()[1].Received == 600 })
	if still := s.Standstill(); still > beat+5*time.Second {
		t.Errorf("readers that go round stand still for %v", still)
	}
	if st := s.state(false); len(st.Until) != 2 || st.Until[name] == 0 {
		t.Errorf("state %+v", st)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sockets to close", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.sockets) == 1 && len(s.retired) == 1
	})
	if b := s.Books()[1]; b.NetNS != name || b.Received != 600 || !b.Balanced() {
		t.Errorf("account of the namespace that is gone: %+v", b)
	}
	if n := len(out.of(flow.TypeGap)); n != 2 {
		t.Errorf("%d gaps of two namespaces' starts", n)
	}
	checkSequence(t, out)
}

// TestFullestShardIsTold takes the buffer's figures from the shard that will lose
// events first, and the mode from the one that is worst off.
func TestFullestShardIsTold(t *testing.T) {
	of := func(queued, buffer uint64, reliable bool) *socket {
		k := &socket{books: flow.SocketBooks{Queued: queued, Buffer: buffer, Offered: 3, Received: 2, Lost: 1, Emitted: 2, LastSeq: queued}}
		k.reliable.on.Store(reliable)
		return k
	}
	lead := of(10, 100, true)
	for _, c := range []struct {
		other          *socket
		queued, buffer uint64
	}{
		{of(20, 400, true), 10, 100}, {of(50, 400, true), 50, 400}, {of(5, 50, true), 5, 50}, {of(20, 200, true), 10, 100},
	} {
		lead.shards = []*socket{lead, c.other}
		b := lead.sum()
		if b.Queued != c.queued || b.Buffer != c.buffer || !b.Reliable || b.Offered != 6 || b.Lost != 2 || !b.Balanced() || b.LastSeq != max(10, c.other.books.LastSeq) {
			t.Errorf("%+v", b)
		}
	}
	lead.shards = []*socket{lead, of(0, 100, false)}
	if lead.sum().Reliable {
		t.Error("a namespace of which one shard lets go is called reliable")
	}
}

// TestRingsOfShardsAreBounded gives a namespace rings for all of its shards or,
// unasked, for none.
func TestRingsOfShardsAreBounded(t *testing.T) {
	needRing(t)
	cfg := small("auto")
	cfg.Shards, cfg.Buffer, cfg.Max = 5, minBuffer, minBuffer
	ns := testnet.New(t)
	s, err := newIn(namespace{path: ns.Path()}, cfg, Identity{}, flow.TypesOf(kernelTypes()...), &keeper{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ring", "ring", "ring", "socket"} {
		for i, k := range s.sockets[len(s.sockets)-1].shards {
			if way, _ := k.listener.Receives(); way.String() != want {
				t.Errorf("namespace %d, shard %d: %s, want %s", len(s.sockets), i, way, want)
			}
		}
		next, err := s.openSocket(namespace{name: "x", path: ns.Path()})
		if err != nil {
			t.Fatal(err)
		}
		s.sockets = append(s.sockets, next)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestShardsAreValidated(t *testing.T) {
	for n, right := range map[int]bool{-1: false, 0: false, 1: true, 16: true, 17: false} {
		c := Default()
		c.Shards = n
		err := c.Validate()
		if (err == nil) != right || err != nil && !strings.Contains(err.Error(), "expected 1 to 16") {
			t.Errorf("%d: %v", n, err)
		}
	}
}
