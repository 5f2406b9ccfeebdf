package control

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func TestFlush(t *testing.T) {
	for _, c := range []struct {
		member string
		count  uint64
		left   []int
	}{
		{`"dry_run":true`, 8, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{`"dry_run":true,"family":"ipv6"`, 2, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{`"family":"ipv6"`, 2, []int{1, 2, 3, 4, 5, 6}}, // a flush of one family is one of both without a version
		{`"family":"ipv4"`, 6, []int{7, 8}},
		{`"dry_run":false`, 8, nil},
	} {
		ns := sample(t)
		res, _ := called(t, executor(ns), request(t, `"verb":"flush","table":"conntrack",%s`, c.member))
		if res.Count != c.count {
			t.Errorf("%s: %+v", c.member, res)
		}
		equal(t, c.member, left(t, ns), c.left)
	}
}

// counters are the packets of the original direction by source port.
func counters(t *testing.T, ns *testnet.Namespace) map[uint16]uint64 {
	t.Helper()
	_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack"`))
	out := map[uint16]uint64{}
	for _, e := range rows {
		if !e.Got(flow.HasOrigCounters) {
			t.Fatalf("no counters: %+v", e)
		}
		out[e.Orig.SrcPort] = e.OrigCounters.Packets
	}
	return out
}

// talk makes three flows with packets.
func talk(t *testing.T) *testnet.Namespace {
	t.Helper()
	ns := testnet.New(t)
	if err := ns.Up(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Record(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Lay(testnet.Track()); err != nil {
		t.Fatal(err)
	}
	if n, err := (testnet.Traffic{NS: ns, Port: 4000}).UDP(t.Context(), 3, true); err != nil || n != 3 {
		t.Fatalf("%d flows: %v", n, err)
	}
	return ns
}

func TestZero(t *testing.T) {
	for _, c := range []struct {
		member      string
		told, still int // rows, and entries that have counters afterwards
	}{
		{`"dry_run":true`, 3, 3},
		{`"limit":1`, 1, 2},
		{`"filter":{"sport":%d}`, 1, 2},
		{`"filter":{"sport":9}`, 0, 3},
		{`"family":"ipv6"`, 0, 3},
		{`"family":"ipv4"`, 3, 0},
		{`"dry_run":false`, 3, 0},
	} {
		ns := talk(t)
		ports := counters(t, ns)
		member := c.member
		for port := range ports {
			if c.member == `"filter":{"sport":%d}` {
				member = request(t, `"filter":{"sport":%d}`, port).Filter.String()
				member = `"filter":` + member
			}
		}
		res, rows := called(t, executor(ns), request(t, `"verb":"zero","table":"conntrack",%s`, member))
		if len(rows) != c.told || res.Count != uint64(c.told) || res.Truncated != (c.told == 1 && c.member == `"limit":1`) {
			t.Errorf("%s: %d rows, %+v", member, len(rows), res)
		}
		for _, e := range rows {
			if e.OrigCounters.Packets == 0 {
				t.Errorf("%s: a row has lost its counters", member)
			}
		}
		still := 0
		for _, n := range counters(t, ns) {
			if n > 0 {
				still++
			}
		}
		if still != c.still {
			t.Errorf("%s: %d entries have counters, want %d", member, still, c.still)
		}
	}
}

// expecting makes n masters with an expectation each, by a real helper.
func expecting(t *testing.T, n int) *testnet.Namespace {
	t.Helper()
	ns := testnet.New(t)
	if err := ns.Up(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
		t.Fatal(err)
	}
	if made, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), n, false); err != nil || made != n {
		t.Fatalf("%d: %v", made, err)
	}
	return ns
}

func TestExpect(t *testing.T) {
	ns := expecting(t, 4)
	x := executor(ns)
	_, rows := called(t, x, request(t, `"verb":"list","table":"expect","filter":{"helper":"ftp","family":"ipv4"}`))
	if len(rows) != 4 {
		t.Fatalf("%d expectations", len(rows))
	}
	if res, _ := called(t, x, request(t, `"verb":"count","table":"expect"`)); res.Count != 4 {
		t.Errorf("%+v", res)
	}
	first := flow.ExpectKeyOf(&rows[0].Extra.Expect)
	q := &Request{Verb: VerbGet, Table: TableExpect, Keys: []Key{{Expect: &first}}}
	again(t, q)
	if res, got := called(t, x, q); res.Count != 1 || !got[0].Extra.Expect.Tuple.Equal(&first.Tuple) {
		t.Errorf("%+v", res)
	}
	q.Verb = VerbDelete
	if res, _ := called(t, x, q); res.Count != 1 {
		t.Errorf("%+v", res)
	}
	// What was listed can be made again.
	q = &Request{Verb: VerbCreate, Table: TableExpect, Rows: true, Entries: []Entry{{Event: rows[0]}, {Event: rows[1]}}}
	res, made := called(t, x, q)
	if res.Count != 1 || len(made) != 1 || res.Failed != 1 || res.Failures[0].Index != 1 || res.Failures[0].Err.Errno != "EEXIST" {
		t.Errorf("%+v", res)
	}
	q.DryRun = true
	if res, _ := called(t, x, q); res.Count != 0 || res.Failed != 2 {
		t.Errorf("%+v", res)
	}
	port := rows[1].Extra.Expect.Tuple.DstPort
	if res, _ := called(t, x, request(t, `"verb":"delete","table":"expect","filter":{"tuple_port_dst":%d}`, port)); res.Count != 1 {
		t.Errorf("%+v", res)
	}
	for _, c := range []struct {
		member string
		count  uint64 // told
		left   uint64
	}{{`"helper":"sip","dry_run":true`, 0, 3}, {`"helper":"sip"`, 0, 3}, {`"helper":"ftp","dry_run":true`, 3, 3}, {`"helper":"ftp"`, 0, 0}} {
		res, _ := called(t, x, request(t, `"verb":"flush","table":"expect",%s`, c.member))
		n, _ := called(t, x, request(t, `"verb":"count","table":"expect"`))
		if res.Count != c.count || n.Count != c.left {
			t.Errorf("%s: %+v, %d left", c.member, res, n.Count)
		}
	}
}
