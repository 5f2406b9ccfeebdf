package control

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

func TestDeleteByFilter(t *testing.T) {
	all := []int{1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		member string
		gone   []int
	}{
		{`"filter":{"mark":[1,2]}`, []int{1, 2}},
		{`"filter":{"orig_src":"2001:db8::1"}`, []int{7}}, // the kernel's own filter would remove the others
		{`"family":"ipv6"`, []int{7, 8}},
		{`"filter":{"zone":7}`, []int{4}},
		{`"filter":{"orig_zone":9}`, []int{5}},
		{`"filter":{"src_nat":true}`, []int{6}},
		{`"filter":{"sport":99}`, nil},
		{`"limit":0`, all}, // conntrack -D
	} {
		ns := sample(t)
		x := executor(ns)
		for _, rows := range []bool{false, true} {
			res, told := called(t, x, request(t, `"verb":"delete","table":"conntrack","dry_run":true,"rows":%v,%s`, rows, c.member))
			if res.Count != uint64(len(c.gone)) || !res.DryRun {
				t.Errorf("%s, dry: %+v", c.member, res)
			}
			if rows {
				equal(t, c.member+" dry", ports(told), c.gone)
			} else {
				equal(t, c.member+" dry, no rows", ports(told), nil)
			}
			equal(t, c.member+" after a dry run", left(t, ns), all)
		}
		res, told := called(t, x, request(t, `"verb":"delete","table":"conntrack","rows":true,%s`, c.member))
		equal(t, c.member+" told", ports(told), c.gone)
		var stay []int
		for _, p := range all {
			if !strings.Contains(fmt.Sprint(c.gone), fmt.Sprint(p)) {
				stay = append(stay, p)
			}
		}
		equal(t, c.member+" left", left(t, ns), stay)
		if res.Count != uint64(len(c.gone)) || res.Failed != 0 {
			t.Errorf("%s: %+v", c.member, res)
		}
	}
}

// TestDeleteByID is the kernel's trap: a DELETE with nothing but an id empties
// the table.
func TestDeleteByID(t *testing.T) {
	ns := sample(t)
	_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","filter":{"sport":2}`))
	res, _ := called(t, executor(ns), request(t, `"verb":"delete","table":"conntrack","filter":{"id":%d}`, rows[0].ID))
	if res.Count != 1 {
		t.Errorf("%+v", res)
	}
	equal(t, "left", left(t, ns), []int{1, 3, 4, 5, 6, 7, 8})
}

const key1 = `{"proto":"udp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":53}`

func TestDeleteByKey(t *testing.T) {
	ns := sample(t)
	q := request(t, `"verb":"delete","table":"conntrack","rows":true,"keys":[%s,"id":1},%s},%s},
		{"proto":"udp","reply":{"src":"10.0.0.2","dst":"192.0.2.1","sport":53,"dport":6}}]`, key1, key1, strings.Replace(key1, ":1,", ":99,", 1))
	res, rows := called(t, executor(ns), q)
	equal(t, "told", ports(rows), []int{1, 6})
	equal(t, "left", left(t, ns), []int{2, 3, 4, 5, 7, 8})
	if res.Count != 2 || res.Failed != 2 || res.Failures[0].Index != 0 || res.Failures[1].Index != 2 || res.Failures[1].Err.Errno != "ENOENT" {
		t.Errorf("%+v", res)
	}
}

func TestLimit(t *testing.T) {
	for _, verb := range []string{`"verb":"delete"`, `"verb":"update","change":{"mark":99}`} {
		ns := sample(t)
		res := refused(t, executor(ns), request(t, `%s,"table":"conntrack","limit":7`, verb), CodeTooMany, "limit")
		if res.Count != 0 {
			t.Errorf("%s: %+v", verb, res)
		}
		_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","filter":{"exclude":[{"mark":99}]}`))
		if len(rows) != 8 {
			t.Errorf("%s: %d rows are as they were", verb, len(rows))
		}
		if res, _ := called(t, executor(ns), request(t, `%s,"table":"conntrack","limit":8`, verb)); res.Count != 8 {
			t.Errorf("%s: %+v", verb, res)
		}
	}
}

// one reads the only entry that has the source port.
func one(t *testing.T, ns *testnet.Namespace, port int) *flow.Event {
	t.Helper()
	_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","filter":{"orig_src":"0.0.0.0/0","port":%d}`, port))
	if len(rows) != 1 {
		t.Fatalf("%d entries have the port %d", len(rows), port)
	}
	return rows[0]
}

func TestUpdate(t *testing.T) {
	ns := sample(t)
	x := executor(ns)
	update := func(port int, change string) (*Result, *flow.Event) {
		t.Helper()
		res, rows := called(t, x, request(t, `"verb":"update","table":"conntrack","rows":true,"filter":{"sport":%d},"change":%s`, port, change))
		if len(rows) != int(res.Count) || len(rows) > 1 {
			t.Fatalf("%s: %d rows, %+v", change, len(rows), res)
		}
		if len(rows) == 0 {
			return res, nil
		}
		return res, rows[0]
	}
	if _, e := update(1, `{"timeout":5000}`); e.Timeout < 4990 || e.Mark != 1 {
		t.Errorf("%+v", e)
	}
	if _, e := update(2, `{"mark":"0x10/0xf0"}`); e.Mark != 0x12 {
		t.Errorf("mark %#x", e.Mark)
	}
	if _, e := update(2, `{"mark":"0x1/0xf0"}`); e.Mark != 0x03 { // bits outside of the mask toggle
		t.Errorf("mark %#x", e.Mark)
	}
	if res, _ := update(2, `{"mark":3}`); res.Count != 0 || res.Failed != 0 { // as it is already
		t.Errorf("unchanged: %+v", res)
	}
	// The row's own status goes with it, else SEEN_REPLY would be cleared (EBUSY).
	if _, e := update(3, `{"status":["FIXED_TIMEOUT"]}`); e.Status&(flow.StatusAssured|flow.StatusSeenReply|flow.StatusFixedTimeout) != flow.StatusAssured|flow.StatusSeenReply|flow.StatusFixedTimeout {
		t.Errorf("status %#x", e.Status)
	}
	if res, _ := update(3, `{"timeout":7}`); res.Failed != 1 || res.Failures[0].Err.Errno != "EPERM" || res.Failures[0].Err.Code != CodeKernel || res.Failures[0].Event == nil {
		t.Errorf("a fixed timeout: %+v", res)
	}
	if _, e := update(3, `{"tcp_state":"CLOSE_WAIT"}`); flow.TCPStateName(e.TCP.State) != "CLOSE_WAIT" {
		t.Errorf("state %d", e.TCP.State)
	}
	if res, _ := update(4, `{"tcp_state":"CLOSE_WAIT"}`); res.Failed != 1 || res.Failures[0].Err.Field != "change.tcp_state" {
		t.Errorf("state of an UDP entry: %+v", res)
	}
	if _, e := update(4, `{"mark":4}`); e.Mark != 4 || e.Zone != 7 {
		t.Errorf("in a zone: %+v", e)
	}
	if _, e := update(5, `{"mark":5}`); e.Mark != 5 {
		t.Errorf("in a zone of one direction: %+v", e)
	}
	if _, e := update(6, `{"mark":6}`); e.Mark != 6 { // told of the NAT, the kernel refuses (EOPNOTSUPP)
		t.Errorf("with NAT: %+v", e)
	}
	if res, _ := update(1, `{"helper":"ftp"}`); res.Failed != 1 || res.Failures[0].Err.Code != CodeKernel {
		t.Errorf("a helper: %+v", res)
	}
	if res, _ := update(1, `{"label_add":[3]}`); res.Failed != 1 || res.Failures[0].Err.Errno != "ENOSPC" {
		t.Errorf("labels: %+v", res)
	}
	if res, _ := update(1, `{"status":["DYING"]}`); res.Failed != 1 || res.Failures[0].Err.Errno != "EBUSY" {
		t.Errorf("DYING: %+v", res)
	}
	if res, _ := update(1, `{"status":["CONFIRMED"]}`); res.Count+res.Failed != 0 {
		t.Errorf("CONFIRMED, which it is: %+v", res)
	}
	res, _ := called(t, x, request(t, `"verb":"update","table":"conntrack","dry_run":true,"change":{"mark":4}`))
	if res.Count != 7 || one(t, ns, 1).Mark != 1 { // one has that mark
		t.Errorf("%+v", res)
	}
	res, rows := called(t, x, request(t, `"verb":"update","table":"conntrack","rows":true,"keys":[%s,"id":1},%s}],"change":{"mark":77}`, key1, key1))
	if res.Count != 1 || res.Failed != 1 || rows[0].Mark != 77 || res.Failures[0].Index != 0 {
		t.Errorf("%+v", res)
	}
}

func TestUpdateLabels(t *testing.T) {
	ns := testnet.New(t)
	if err := ns.Lay(testnet.SetLabel(testnet.Match{}, 1)); err != nil { // has the kernel make room for labels
		t.Fatal(err)
	}
	add(t, ns, "udp", 1)
	for _, c := range []struct {
		change string
		want   []uint8
		count  uint64
	}{
		{`{"label_add":[3,127]}`, []uint8{3, 127}, 1},
		{`{"label_add":[3]}`, []uint8{3, 127}, 0},
		{`{"label_add":[9],"label_del":[3,9]}`, []uint8{9, 127}, 1},
		{`{"label_del":[5]}`, []uint8{9, 127}, 0},
		{`{"label_del":"all"}`, nil, 1},
	} {
		res, _ := called(t, executor(ns), request(t, `"verb":"update","table":"conntrack","filter":{"sport":1},"change":%s`, c.change))
		var got []uint8
		e := one(t, ns, 1)
		for n := range uint8(128) {
			if e.Got(flow.HasLabels) && e.Labels[n/8]>>(n%8)&1 != 0 {
				got = append(got, n)
			}
		}
		equal(t, c.change, got, c.want)
		if res.Count != c.count || res.Failed != 0 {
			t.Errorf("%s: %+v", c.change, res)
		}
	}
}

func TestUpdateSCTP(t *testing.T) {
	ns := testnet.New(t)
	ns.Conntrack(t, "-I", "-p", "sctp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "2", "-t", "600",
		"--state", "ESTABLISHED", "--orig-vtag", "1", "--reply-vtag", "2")
	before := one(t, ns, 1)
	// The kernel wants all three at once; what is not changed is told as it was.
	called(t, executor(ns), request(t, `"verb":"update","table":"conntrack","change":{"sctp_state":"SHUTDOWN_SENT"}`))
	if e := one(t, ns, 1); flow.SCTPStateName(e.SCTP.State) != "SHUTDOWN_SENT" || e.SCTP.VTagOrig != before.SCTP.VTagOrig || e.SCTP.VTagReply != before.SCTP.VTagReply {
		t.Errorf("%+v, was %+v", e.SCTP, before.SCTP)
	}
	called(t, executor(ns), request(t, `"verb":"update","table":"conntrack","change":{"reply_vtag":77}`))
	if e := one(t, ns, 1); e.SCTP.VTagReply != 77 || e.SCTP.VTagOrig != before.SCTP.VTagOrig {
		t.Errorf("%+v", e.SCTP)
	}
}
