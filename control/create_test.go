package control

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func entry(port int, more string) string {
	return fmt.Sprintf(`{"proto":"udp","timeout":600,"orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":%d,"dport":53}%s}`, port, more)
}

func TestCreate(t *testing.T) {
	ns := testnet.New(t)
	x := executor(ns)
	create := func(more string, entries ...string) (*Result, []*flow.Event) {
		t.Helper()
		return called(t, x, request(t, `"verb":"create","table":"conntrack","rows":true,"entries":[%s]%s`, strings.Join(entries, ","), more))
	}
	res, rows := create(`,"dry_run":true`, entry(1, ""))
	if res.Count != 1 || len(rows) != 1 || len(left(t, ns)) != 0 {
		t.Fatalf("%+v", res)
	}
	res, rows = create("", entry(1, `,"mark":5`), entry(1, ""), entry(2, `,"src_nat":{"addr":"192.0.2.1","port":99}`), entry(3, `,"status":["EXPECTED"]`), entry(4, `,"status":["ASSURED"]`))
	equal(t, "told", ports(rows), []int{1, 2, 4})
	equal(t, "left", left(t, ns), []int{1, 2, 4})
	if res.Count != 3 || res.Failed != 2 || res.Failures[0].Index != 1 || res.Failures[0].Err.Code != CodeExists || res.Failures[1].Index != 3 || res.Failures[1].Err.Errno != "EBUSY" {
		t.Errorf("%+v", res)
	}
	if rows[0].Type != flow.TypeNew || rows[0].Mark != 5 {
		t.Errorf("%+v", rows[0])
	}
	if e := one(t, ns, 2); e.Reply.DstPort != 99 || e.Reply.DstAddr().String() != "192.0.2.1" {
		t.Errorf("%+v", e.Reply)
	}
	if e := one(t, ns, 4); e.Status&flow.StatusAssured == 0 || e.Status&flow.StatusConfirmed == 0 {
		t.Errorf("%#x", e.Status)
	}
	res, _ = create(`,"dry_run":true`, entry(1, ""), entry(9, ""))
	if res.Count != 1 || res.Failed != 1 || res.Failures[0].Err.Code != CodeExists {
		t.Errorf("%+v", res)
	}
	if res, _ = create(`,"replace":true`, entry(1, `,"mark":6`)); res.Count != 1 || one(t, ns, 1).Mark != 6 {
		t.Errorf("%+v", res)
	}
}

// TestCreateFromRows sends every row of a table back into an empty one.
func TestCreateFromRows(t *testing.T) {
	ns := sample(t)
	ns.Conntrack(t, "-I", "-p", "icmp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--icmp-type", "8", "--icmp-code", "0", "--icmp-id", "5", "-t", "600")
	ns.Conntrack(t, "-I", "-p", "gre", "-s", "10.0.0.1", "-d", "10.0.0.2", "--srckey", "16", "--dstkey", "17", "-t", "600")
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.0.0.9", "-d", "10.0.0.2", "--sport", "1", "--dport", "2", "-t", "600", "--dst-nat", "192.0.2.8:99", "--src-nat", "192.0.2.9:98")
	ns.Conntrack(t, "-I", "-p", "tcp", "-s", "2001:db8::9", "-d", "2001:db8::1", "--sport", "1", "--dport", "2", "-t", "600", "--state", "ESTABLISHED", "--dst-nat", "[2001:db8::8]:99")
	ns.Conntrack(t, "-I", "-p", "99", "-s", "10.0.0.4", "-d", "10.0.0.2", "-t", "600", "--src-nat", "192.0.2.9")
	ns.Conntrack(t, "-I", "-p", "99", "-s", "10.0.0.1", "-d", "10.0.0.2", "-t", "600")
	x := executor(ns)
	x.Origin = func(string) *flow.Origin { return &flow.Origin{Node: "edge"} }
	enc := encode.Formats()["json"].NewEncoder(encode.Projection{})
	var records []string
	_, rows := called(t, x, request(t, `"verb":"list","table":"conntrack"`))
	for _, e := range rows {
		records = append(records, string(enc.Append(nil, e)))
	}
	called(t, x, request(t, `"verb":"flush","table":"conntrack"`))
	res, _ := called(t, x, request(t, `"verb":"create","table":"conntrack","entries":[%s]`, strings.Join(records, ",")))
	if res.Count != uint64(len(rows)) || res.Failed != 0 {
		for _, f := range res.Failures {
			t.Errorf("%v: %s", f.Err, records[f.Index])
		}
	}
	_, again := called(t, x, request(t, `"verb":"list","table":"conntrack"`))
	find := map[string]*flow.Event{}
	for _, e := range again {
		find[fmt.Sprint(e.Orig, e.Zone)] = e
	}
	for _, e := range rows {
		b := find[fmt.Sprint(e.Orig, e.Zone)]
		if b == nil || !b.Reply.Equal(&e.Reply) || b.Mark != e.Mark || b.Status != e.Status || b.TCP.State != e.TCP.State {
			t.Errorf("%+v\nbecame %+v", e, b)
		}
	}
}

// TestCreateMany makes more entries than one batch has, and tells them all.
func TestCreateMany(t *testing.T) {
	ns := testnet.New(t)
	var entries []string
	for port := range 600 {
		entries = append(entries, entry(1+port, ""))
	}
	res, rows := called(t, executor(ns), request(t, `"verb":"create","table":"conntrack","rows":true,"entries":[%s]`, strings.Join(entries, ",")))
	if res.Count != 600 || len(rows) != 600 || len(left(t, ns)) != 600 {
		t.Errorf("%+v, %d rows", res, len(rows))
	}
}
