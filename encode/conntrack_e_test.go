package encode_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// TestJSONAgreesWithConntrackE runs mixed real traffic under conntrack -E and
// under our reader. Every event of ours becomes JSON, is read back from that
// JSON alone and printed as conntrack prints: each line that conntrack printed
// must be there and no other, and a flow's lines in their order.
func TestJSONAgreesWithConntrackE(t *testing.T) {
	enc, dec := encode.Formats()["json"].NewEncoder(encode.Projection{}), encode.Formats()["json"].NewDecoder()
	b := flow.NewBatch(1)
	var record []byte
	agreement(t, []output{
		{"extended,id", encode.Text{Extended: true, ID: true}},
		{"", encode.Text{}},
	}, func(e *flow.Event) *flow.Event {
		record = enc.Append(record[:0], e)
		b.Reset()
		if err := dec.Decode(b, record); err != nil {
			t.Fatalf("%v: %s", err, record)
		}
		return &b.Events()[0]
	})
}

// TestEventsPrintAsConntrackDoes is the same for every format of conntrack's
// and straight from the reader.
func TestEventsPrintAsConntrackDoes(t *testing.T) {
	agreement(t, outputs(), func(e *flow.Event) *flow.Event { return e })
}

// agreement runs traffic and compares what each conntrack -E printed with what
// became of our reader's events.
func agreement(t *testing.T, outs []output, through func(*flow.Event) *flow.Event) {
	t.Helper()
	tool(t)
	for _, table := range []flow.Table{flow.TableConntrack, flow.TableExpect} {
		t.Run(table.String(), func(t *testing.T) {
			home, source := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.77")
			ns := quiet(t, append(manyRules(),
				testnet.SourceNAT(testnet.Match{Proto: unix.IPPROTO_TCP, Dst: home, DstPort: 8001}, source),
				testnet.Redirect(testnet.Match{Proto: unix.IPPROTO_UDP, Dst: home, DstPort: 8002}, 8003))...)
			if err := ns.Up(source); err != nil {
				t.Fatal(err)
			}
			l := listen(t, ns, table)
			var watches []*watch
			for _, o := range outs {
				watches = append(watches, watching(t, ns, table, nil, o.options))
			}
			events := traffic(t, ns, l, table)
			if table == flow.TableConntrack {
				mixed(t, events)
			}
			for i, o := range outs {
				var got []string
				for _, e := range events {
					line := string(o.text.AppendEvent(nil, through(e)))
					if flowOf(line) == "" {
						t.Fatalf("no flow in %q", line)
					}
					got = append(got, line)
				}
				watches[i].await(len(got))
				want := rowsOnly(watches[i].stop())
				same(t, "-o "+o.options, byFlow(got), byFlow(want))
			}
			t.Logf("%d events in %d formats", len(events), len(outs))
		})
	}
}

// mixed fails if something is missing that the traffic is for.
func mixed(t *testing.T, events []*flow.Event) {
	t.Helper()
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Type.String()]++
		seen[e.Family.String()]++
		seen["proto "+flow.ProtoName(e.Proto)]++
		seen["nat "+e.NATKind().String()]++
		for what, bit := range map[string]flow.Has{
			"mark": flow.HasMark, "zone": flow.HasZone, "labels": flow.HasLabels, "helper": flow.HasHelper, "portid": flow.HasPortID,
			"counters": flow.HasOrigCounters, "start": flow.HasStart, "timeout": flow.HasTimeout, "tcp": flow.HasTCPState,
			"sctp": flow.HasSCTPState, "master": flow.HasMaster,
		} {
			if e.Any(bit) {
				seen[what]++
			}
		}
		if e.Orig.Got(flow.HasTupleZone) || e.Reply.Got(flow.HasTupleZone) {
			seen["directional zone"]++
		}
	}
	for _, what := range []string{
		"new", "update", "destroy", "ipv4", "ipv6", "nat snat", "nat dnat", "nat both", "mark", "zone", "directional zone", "labels", "helper",
		"portid", "counters", "start", "timeout", "tcp", "sctp", "proto tcp", "proto udp", "proto icmp", "proto icmpv6", "proto sctp",
		"proto gre", "proto udplite", "proto dccp", "proto ", "master",
	} {
		if seen[what] == 0 {
			t.Errorf("no event with %s in %v", what, seen)
		}
	}
}

// listen joins all groups of a table.
func listen(t *testing.T, ns *testnet.Namespace, table flow.Table) *ctnetlink.Listener {
	t.Helper()
	all := flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy)
	l, err := ctnetlink.Listen(ctnetlink.Config{NetNS: ns.Path(), Groups: ctnetlink.GroupsOf(table, all), Buffer: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// traffic makes flows of every kind, slowly: conntrack's socket has room for
// 166 events and no more. It gives the events.
func traffic(t *testing.T, ns *testnet.Namespace, l *ctnetlink.Listener, table flow.Table) (events []*flow.Event) {
	t.Helper()
	const every = 10 * time.Millisecond
	home := testnet.Traffic{NS: ns, Every: every}
	to := func(port uint16) testnet.Traffic { return testnet.Traffic{NS: ns, Port: port, Every: every} }
	redirected := to(8002)
	redirected.Listen = netip.MustParseAddrPort("127.0.0.1:8003")
	ftp6 := to(21)
	ftp6.Src = netip.IPv6Loopback()
	step := func(_ int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, read(t, l)...)
	}
	if _, err := (testnet.Mix{NS: ns, Flows: 100, Over: 100 * every}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	step(home.GRE(t.Context(), 2))
	step(home.ESP(t.Context()))
	step(home.SCTP(t.Context(), 2, false))
	step(to(8001).TCP(t.Context(), 4))
	step(redirected.UDP(t.Context(), 4, true))
	step(to(21).FTP(t.Context(), 3, true))
	step(to(21).FTP(t.Context(), 2, false))
	step(ftp6.FTP(t.Context(), 2, true))
	churned, err := testnet.Churn{NS: ns, Entries: 60, Update: true, Mark: 7, Zone: 9, Rate: 100}.Run(t.Context())
	step(churned.Events(), err)
	for line := range strings.Lines(strings.TrimSpace(created)) {
		step(0, conntrack(t, ns, append([]string{"-I"}, strings.Fields(line)...)))
	}
	step(0, conntrack(t, ns, []string{"-U", "-s", "10.0.0.1", "-p", "udp", "--sport", "1001", "-m", "9"}))
	step(0, conntrack(t, ns, []string{"-D", "-s", "10.0.0.1"}))
	for _, proto := range []string{"udp", "icmp", "icmpv6", "tcp", "sctp", "gre"} {
		step(0, conntrack(t, ns, []string{"-D", "-p", proto}))
		time.Sleep(20 * time.Millisecond)
	}
	step(0, conntrack(t, ns, []string{"-F", "expect"}))
	step(0, conntrack(t, ns, []string{"-F"}))
	events = append(events, settle(t, l)...)
	if least := map[flow.Table]int{flow.TableConntrack: 700, flow.TableExpect: 10}[table]; len(events) < least {
		t.Fatalf("%d events are too few to tell anything", len(events))
	}
	if s, err := l.Stats(); err != nil || s.Drops != 0 {
		t.Fatalf("our own reader lost events: %+v: %v", s, err)
	}
	return events
}

// conntrack runs conntrack and takes exit code 1, "none was found", for an answer.
func conntrack(t *testing.T, ns *testnet.Namespace, args []string) error {
	err := ns.Run(exec.Command(tool(t), args...))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}

// settle reads until nothing has come for a while.
func settle(t *testing.T, l *ctnetlink.Listener) (events []*flow.Event) {
	t.Helper()
	for {
		more := read(t, l)
		events = append(events, more...)
		ready, err := l.Wait(500 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !ready {
			return events
		}
	}
}

// read takes the events that are waiting, each in a batch of its own, so that
// they can be kept.
func read(t *testing.T, l *ctnetlink.Listener) (events []*flow.Event) {
	t.Helper()
	origin := &flow.Origin{Node: "edge-1"}
	for {
		b := flow.NewBatch(64)
		n, err := l.Read(b, 64)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Events() {
			e := &b.Events()[i]
			e.Origin, e.Received = origin, time.Now().UnixNano()
			if e.Has |= flow.HasReceived; e.TimeSource != flow.TimeKernel {
				e.Time, e.TimeSource, e.Has = e.Received, flow.TimeReceived, e.Has&^flow.HasReceived
			}
			events = append(events, e)
		}
		if n == 0 {
			return slices.Clip(events)
		}
	}
}
