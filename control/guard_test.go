package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// guarded is a guard that allows everything but what change says, and its audit file.
func guarded(tb testing.TB, x *Executor, change func(*Config)) (*Guard, string) {
	tb.Helper()
	c := DefaultConfig()
	c.Allow = Verbs()
	c.Audit.Path = filepath.Join(tb.TempDir(), "audit.jsonl")
	if change != nil {
		change(&c)
	}
	a := NewAuditor(AuditOptions{Config: c.Audit, Node: "edge"})
	tb.Cleanup(func() { a.Close() })
	g, err := NewGuard(c, x, a)
	if err != nil {
		tb.Fatal(err)
	}
	return g, c.Audit.Path
}

// issue makes a write of an ID, issued now.
func issue(tb testing.TB, id, format string, args ...any) *Request {
	tb.Helper()
	q := request(tb, format, args...)
	q.ID, q.IssuedAt = id, time.Now()
	return q
}

// audited reads the audit.
func audited(tb testing.TB, path string) (list []map[string]any) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			tb.Fatalf("%v: %q", err, line)
		}
		if m["schema"] != AuditSchema || m["node"] != "edge" {
			tb.Errorf("a record of nobody: %v", m)
		}
		list = append(list, m)
	}
	return list
}

// phases spells the audit shortly.
func phases(tb testing.TB, path string) (out []string) {
	for _, m := range audited(tb, path) {
		s := fmt.Sprint(m["phase"], " ", m["verb"])
		if c, ok := m["code"]; ok {
			s += fmt.Sprint(" ", c)
		}
		out = append(out, s)
	}
	return out
}

func TestGuardAllow(t *testing.T) {
	ns := sample(t)
	g, audit := guarded(t, executor(ns), func(c *Config) { c.Allow = []Verb{VerbList, VerbFlush} })
	called(t, g, request(t, `"verb":"list","table":"conntrack"`))
	for _, v := range Verbs() {
		if v != VerbList && v != VerbFlush {
			refused(t, g, issue(t, "a", `"verb":%q,"table":"conntrack"`, v), CodeOff, "")
		}
	}
	refused(t, g, request(t, `"verb":"list","table":"conntrack","rows":true`), CodeInvalid, "rows")
	refused(t, g, request(t, `"table":"conntrack"`), CodeInvalid, "verb")
	fleet := WithPeer(t.Context(), Peer{Subject: "ctferry.v1.default.fleet.conntrack.flush", Fleet: true, User: "ann\x00", Info: `{"acc":"A","user":"U"}`})
	if _, err := g.Call(fleet, issue(t, "b", `"verb":"flush","table":"conntrack"`), nil); err == nil || asOurs(err).Code != CodeOff {
		t.Error(err)
	}
	if _, err := g.Call(fleet, request(t, `"verb":"list","table":"conntrack"`), nil); err != nil {
		t.Error(err)
	}
	equal(t, "left", left(t, ns), []int{1, 2, 3, 4, 5, 6, 7, 8})
	list := audited(t, audit)
	if len(list) != 8+2+1 {
		t.Fatalf("%d records", len(list))
	}
	last := list[len(list)-1]
	for key, want := range map[string]any{
		"phase": "refused", "code": 501.0, "verb": "flush", "table": "conntrack", "request": "b", "claimed_user": "ann\x00",
		"subject": "ctferry.v1.default.fleet.conntrack.flush",
	} {
		if last[key] != want {
			t.Errorf("%s: %v, want %v", key, last[key], want)
		}
	}
	if info, _ := last["request_info"].(map[string]any); info["user"] != "U" {
		t.Error(last["request_info"])
	}
}

func TestGuardTimeout(t *testing.T) {
	ns := sample(t)
	g, _ := guarded(t, executor(ns), func(c *Config) { c.Timeout, c.MaxTimeout = time.Nanosecond, time.Minute })
	refused(t, g, request(t, `"verb":"list","table":"conntrack"`), CodeTimeout, "")
	called(t, g, request(t, `"verb":"list","table":"conntrack","timeout":"1m"`))
	refused(t, g, request(t, `"verb":"list","table":"conntrack","timeout":"61s"`), CodeInvalid, "timeout")
}

// TestGuardAge is when a write may have been issued. The codes are those of a write
// that asks for as much time as may be.
func TestGuardAge(t *testing.T) {
	ns := sample(t)
	synctest.Test(t, func(t *testing.T) {
		g, _ := guarded(t, executor(ns), nil)
		time.Sleep(time.Hour)
		write := `"verb":"delete","table":"conntrack","filter":{"sport":99}`
		old := DefaultConfig().MaxAge
		for i, c := range []struct {
			age   time.Duration
			field string
		}{{0, ""}, {old, ""}, {old + 1, "issued_at"}, {-maxSkew, ""}, {-maxSkew - 1, "issued_at"}} {
			q := issue(t, fmt.Sprint(i), "%s", write)
			q.IssuedAt, q.Timeout = time.Now().Add(-c.age), DefaultConfig().MaxTimeout
			if c.field == "" {
				called(t, g, q)
			} else {
				refused(t, g, q, CodeForbidden, c.field)
			}
		}
		q := issue(t, "", "%s", write)
		refused(t, g, q, CodeInvalid, "request")
		q.ID, q.IssuedAt = "x", time.Time{}
		refused(t, g, q, CodeInvalid, "issued_at")
		late, _ := guarded(t, executor(ns), nil)
		q.IssuedAt = time.Now().Add(-1)
		refused(t, late, q, CodeForbidden, "issued_at")
		q.IssuedAt = time.Now()
		called(t, late, q)
	})
}

// TestGuardLate has writes arrive when whoever asked waits no more, by the time that
// they ask for or the node's.
func TestGuardLate(t *testing.T) {
	for name, own := range map[string]time.Duration{"its own": time.Second, "the node's": 0} {
		t.Run(name, func(t *testing.T) {
			ns := sample(t)
			synctest.Test(t, func(t *testing.T) {
				g, audit := guarded(t, executor(ns), nil)
				waits := cmp.Or(own, DefaultConfig().Timeout)
				time.Sleep(time.Hour)
				inTime := issue(t, "early", `"verb":"delete","table":"conntrack","filter":{"sport":1}`)
				late := issue(t, "late", `"verb":"delete","table":"conntrack","filter":{"sport":2}`)
				list := issue(t, "list", `"verb":"list","table":"conntrack"`)
				inTime.Timeout, late.Timeout, list.Timeout = own, own, own
				time.Sleep(waits + maxSkew)
				called(t, g, inTime)
				time.Sleep(1)
				refused(t, g, late, CodeTimeout, "issued_at")
				if res, _ := called(t, g, inTime); !res.Repeated {
					t.Error("what was carried out in time has its answer until max_age")
				}
				called(t, g, list)
				equal(t, "left", left(t, ns), []int{2, 3, 4, 5, 6, 7, 8})
				late.IssuedAt = time.Now() // nothing has been done under this ID
				if res, _ := called(t, g, late); res.Count != 1 || res.Repeated {
					t.Errorf("%+v", res)
				}
				equal(t, "audit", phases(t, audit), []string{"intent delete", "done delete", "refused delete 408", "intent delete", "done delete"})
			})
		})
	}
}

// TestGuardOnce repeats writes.
func TestGuardOnce(t *testing.T) {
	ns := sample(t)
	synctest.Test(t, func(t *testing.T) {
		g, audit := guarded(t, executor(ns), nil)
		q := issue(t, "once", `"verb":"delete","table":"conntrack","rows":true,"filter":{"sport":1}`)
		res, rows := called(t, g, q)
		if res.Count != 1 || len(rows) != 1 || res.Repeated {
			t.Fatalf("%+v", res)
		}
		add(t, ns, "udp", 1) // what came into its place stays
		for range 3 {
			time.Sleep(DefaultConfig().MaxAge / 3)
			res, rows = called(t, g, q)
			if res.Count != 1 || len(rows) != 0 || !res.Repeated {
				t.Errorf("%+v, %d rows", res, len(rows))
			}
		}
		other := *q
		other.Rows = false
		refused(t, g, &other, CodeInvalid, "request")
		someone := WithPeer(t.Context(), Peer{User: "someone else"})
		if _, err := g.Call(someone, q, nil); err == nil || asOurs(err).Field != "request" {
			t.Error(err)
		}
		time.Sleep(time.Second)
		refused(t, g, q, CodeForbidden, "issued_at")
		equal(t, "left", left(t, ns), []int{1, 2, 3, 4, 5, 6, 7, 8})
		// The same ID, issued again, is a new write by now.
		q = issue(t, "once", `"verb":"delete","table":"conntrack","filter":{"sport":1}`)
		if res, _ := called(t, g, q); res.Count != 1 || res.Repeated {
			t.Errorf("%+v", res)
		}
		equal(t, "audit", phases(t, audit), []string{"intent delete", "done delete", "refused delete 400", "refused delete 400", "refused delete 403", "intent delete", "done delete"})
	})
}

// TestGuardOnceAcrossAccounts repeats a write over a new connection, as
// nats-server tells of the caller where accounts share a service.
func TestGuardOnceAcrossAccounts(t *testing.T) {
	g, _ := guarded(t, executor(sample(t)), nil)
	q := issue(t, "once", `"verb":"delete","table":"conntrack","filter":{"sport":1}`)
	for i, c := range []struct {
		info string
		code Code
	}{
		{`{"start":"2026-01-02T03:04:05Z","host":"192.0.2.1","id":6,"acc":"OPS","user":"ann","rtt":1000}`, 0},
		{`{"start":"2026-01-02T03:04:09Z","host":"192.0.2.1","id":9,"acc":"OPS","user":"ann","rtt":2000}`, 0},
		{`{"acc":"OPS","user":"bob"}`, CodeInvalid},
		{`{"acc":"OTHER","user":"ann"}`, CodeInvalid},
		{`no JSON`, CodeInvalid},
	} {
		res, err := g.Call(WithPeer(t.Context(), Peer{Info: c.info}), q, nil)
		switch {
		case c.code != 0 && (err == nil || asOurs(err).Code != c.code), c.code == 0 && (err != nil || res.Count != 1 || res.Repeated != (i > 0)):
			t.Errorf("%s: %+v, %v", c.info, res, err)
		}
	}
}

// TestGuardOnceAfterARestart repeats a write of a caller whose clock is ahead, to
// the guard that a reload makes and to that of the next run.
func TestGuardOnceAfterARestart(t *testing.T) {
	ns := sample(t)
	synctest.Test(t, func(t *testing.T) {
		g, audit := guarded(t, executor(ns), nil)
		q := issue(t, "once", `"verb":"delete","table":"conntrack","filter":{"sport":1}`)
		q.IssuedAt = q.IssuedAt.Add(maxSkew / 2)
		called(t, g, q)
		add(t, ns, "udp", 1)
		again := NewAuditor(AuditOptions{Config: Audit{Path: audit}, Node: "edge"})
		defer again.Close()
		for _, a := range []*Auditor{g.audit, again} {
			time.Sleep(time.Second)
			next, err := NewGuard(g.cfg, executor(ns), a)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, next, q, CodeForbidden, "issued_at")
			later := *q
			later.ID, later.IssuedAt = "other", q.IssuedAt.Add(1)
			later.DryRun = true
			called(t, next, &later)
			q.IssuedAt = later.IssuedAt // the latest that was taken
		}
		if err := again.intent(t.Context(), &Request{ID: "b", Verb: VerbFlush, Table: TableConntrack, IssuedAt: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if ahead := time.Until(again.lastIssued()); ahead > maxSkew {
			t.Errorf("no write would be taken for %v, because a clock was wrong", ahead)
		}
		equal(t, "left", left(t, ns), []int{1, 2, 3, 4, 5, 6, 7, 8})
	})
}

// TestGuardOnceFailed repeats what was refused after it began: the answer is the same.
func TestGuardOnceFailed(t *testing.T) {
	ns := sample(t)
	g, _ := guarded(t, executor(ns), func(c *Config) { c.MaxAffected = 2 })
	q := issue(t, "a", `"verb":"delete","table":"conntrack","filter":{"proto":"udp"}`)
	refused(t, g, q, CodeTooMany, "")
	called(t, executor(ns), request(t, `"verb":"flush","table":"conntrack"`))
	if res := refused(t, g, q, CodeTooMany, ""); !res.Repeated {
		t.Errorf("%+v", res)
	}
}

func TestGuardBusy(t *testing.T) {
	ns := sample(t)
	x := executor(ns)
	x.Tap = tapUntil{}
	g, _ := guarded(t, x, func(c *Config) { c.Concurrent, c.Watchers = 1, 1 })
	inside := func(b *flow.Batch) error {
		refused(t, g, request(t, `"verb":"list","table":"conntrack"`), CodeBusy, "")
		refused(t, g, issue(t, "b", `"verb":"flush","table":"conntrack"`), CodeBusy, "")
		return nil
	}
	if _, err := g.Call(t.Context(), request(t, `"verb":"list","table":"conntrack"`), inside); err != nil {
		t.Error(err)
	}
	// A write that is repeated while it is under way; what was refused for want of room was not begun.
	q := issue(t, "b", `"verb":"update","table":"conntrack","rows":true,"filter":{"sport":1},"change":{"mark":99}`)
	_, err := g.Call(t.Context(), q, func(*flow.Batch) error {
		refused(t, g, q, CodeBusy, "request")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	watch := request(t, `"verb":"watch","table":"conntrack"`)
	if _, err := g.Call(over, watch, func(*flow.Batch) error {
		refused(t, g, watch, CodeBusy, "")
		called(t, g, request(t, `"verb":"list","table":"conntrack"`))
		cancel()
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// tapUntil tells one event and then waits for the end.
type tapUntil struct{}

func (tapUntil) Watch(ctx context.Context, o WatchOptions, fn func(*flow.Batch) error) error {
	b := flow.NewBatch(1)
	b.Next().Type = flow.TypeNew
	if err := fn(b); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func TestLedgerIsBounded(t *testing.T) {
	l := newLedger(3)
	now := time.Now()
	for i := range 3 {
		if _, err := l.begin(fmt.Sprint(i), [32]byte{}, now, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.begin("more", [32]byte{}, now, now.Add(time.Minute)); err == nil || asOurs(err).Code != CodeBusy {
		t.Error(err)
	}
	l.answered("0", &Result{Failures: make([]Failure, MaxFailures)}, nil)
	l.answered("gone", &Result{}, nil)
	l.forget("1")
	if n := len(l.entries["0"].res.Failures); n != keptFailures {
		t.Errorf("%d failures are kept", n)
	}
	later := now.Add(2 * time.Minute)
	if _, err := l.begin("more", [32]byte{}, later, later); err != nil {
		t.Error(err)
	}
	if len(l.entries) != 2 { // what is under way is not forgotten
		t.Errorf("%d are remembered", len(l.entries))
	}
}

// TestLedgerForgets has a write begin that was judged to be in time just before
// its answer was forgotten.
func TestLedgerForgets(t *testing.T) {
	l := newLedger(3)
	now := time.Now()
	until := now.Add(time.Minute)
	if _, err := l.begin("a", [32]byte{}, now, until); err != nil {
		t.Fatal(err)
	}
	l.answered("a", &Result{Count: 1}, nil)
	for _, later := range []time.Time{until.Add(2 * time.Second), now} { // the clock may be set back, too
		if answer, err := l.begin("a", [32]byte{}, later, until); err == nil && answer == nil {
			t.Error("it would be carried out twice")
		}
	}
	if _, err := l.begin("b", [32]byte{}, now, until.Add(time.Minute)); err != nil {
		t.Error(err)
	}
}

// bigEntries are writes that would each touch more than two of the sample's entries.
var bigWrites = []string{
	`"verb":"delete","filter":{"mark":"0/0x80"}`, `"verb":"delete","filter":{"proto":"udp"}`, `"verb":"flush"`, `"verb":"zero"`,
	`"verb":"flush","family":"ipv4"`, `"verb":"update","filter":{"proto":"udp"},"change":{"mark":9}`,
	`"verb":"zero","limit":3`, `"verb":"zero","filter":{"proto":"udp"}`,
	`"verb":"delete","keys":[` + key1 + `},` + key1 + `},` + key1 + `}]`,
	`"verb":"update","change":{"mark":9},"keys":[` + key1 + `},` + key1 + `},` + key1 + `}]`,
}

func TestGuardMaxAffected(t *testing.T) {
	ns := sample(t)
	g, audit := guarded(t, executor(ns), func(c *Config) { c.MaxAffected = 2 })
	marks := func() (out []int) {
		_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack"`))
		for _, e := range rows {
			out = append(out, int(e.Orig.SrcPort), int(e.Mark))
		}
		return out
	}
	before := fmt.Sprint(marks())
	for i, w := range bigWrites {
		if res := refused(t, g, issue(t, fmt.Sprint(i), `"table":"conntrack",%s`, w), CodeTooMany, ""); res.Count != 0 {
			t.Errorf("%s: %+v", w, res)
		}
		refused(t, g, issue(t, fmt.Sprint("d", i), `"table":"conntrack","dry_run":true,%s`, w), CodeTooMany, "")
	}
	refused(t, g, issue(t, "c", `"verb":"create","table":"conntrack","entries":[%s,%s,%s]`, entry(11, ""), entry(12, ""), entry(13, "")), CodeTooMany, "")
	if after := fmt.Sprint(marks()); after != before {
		t.Errorf("%s became %s", before, after)
	}
	if got := phases(t, audit); len(got) != 2*(2*len(bigWrites)+1) || got[1] != "done delete 422" {
		t.Error(got)
	}
	if res, _ := called(t, g, issue(t, "f", `"verb":"flush","table":"conntrack","family":"ipv6"`)); res.Count != 2 {
		t.Errorf("%+v", res)
	}
	// One's own limit is the smaller one.
	refused(t, g, issue(t, "l", `"verb":"delete","table":"conntrack","filter":{"mark":[1,2]},"limit":1`), CodeTooMany, "limit")
	called(t, g, issue(t, "m", `"verb":"delete","table":"conntrack","filter":{"mark":[1,2]},"limit":9`))
}

func TestGuardProtect(t *testing.T) {
	protect := func(prefixes ...string) func(*Config) {
		return func(c *Config) {
			for _, p := range prefixes {
				c.Protect = append(c.Protect, netip.MustParsePrefix(p))
			}
		}
	}
	nat := protect("192.0.2.0/24", "2001:db8::1/128") // entry 6, by its reply only, and entry 7
	all := []int{1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		write  string
		count  uint64
		spared uint64
		failed uint64
		left   []int
		marked []int // by update
	}{
		{`"verb":"delete","filter":{"sport":"5-8"}`, 2, 2, 0, []int{1, 2, 3, 4, 6, 7}, nil},
		{`"verb":"delete","dry_run":true,"filter":{"sport":"5-8"}`, 2, 2, 0, all, nil},
		{`"verb":"delete","keys":[` + key1 + `},` + strings.Replace(key1, ":1,", ":6,", 1) + `}]`, 1, 1, 1, []int{2, 3, 4, 5, 6, 7, 8}, nil},
		{`"verb":"flush"`, 6, 2, 0, []int{6, 7}, nil},
		{`"verb":"flush","dry_run":true`, 6, 2, 0, all, nil},
		{`"verb":"flush","family":"ipv6"`, 1, 1, 0, []int{1, 2, 3, 4, 5, 6, 7}, nil},
		{`"verb":"update","filter":{"sport":"5-8"},"change":{"mark":77}`, 2, 2, 0, all, []int{5, 8}},
		{`"verb":"update","keys":[` + strings.Replace(key1, ":1,", ":6,", 1) + `}],"change":{"mark":77}`, 0, 1, 1, all, nil},
		{`"verb":"zero"`, 6, 2, 0, all, nil},
	} {
		ns := sample(t)
		g, _ := guarded(t, executor(ns), nat)
		res, _ := called(t, g, issue(t, "a", `"table":"conntrack",%s`, c.write))
		if res.Count != c.count || res.Spared != c.spared || res.Failed != c.failed {
			t.Errorf("%s: %+v", c.write, res)
		}
		if c.failed > 0 && res.Failures[0].Err.Code != CodeForbidden {
			t.Errorf("%s: %+v", c.write, res.Failures[0])
		}
		equal(t, c.write, left(t, ns), c.left)
		_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","filter":{"mark":77}`))
		equal(t, c.write+" marked", ports(rows), c.marked)
	}
}

func TestGuardProtectCreate(t *testing.T) {
	ns := testnet.New(t)
	g, _ := guarded(t, executor(ns), func(c *Config) {
		c.Protect = []netip.Prefix{netip.MustParsePrefix("192.0.2.16/28"), netip.MustParsePrefix("2001:db8:1::/48")}
	})
	for i, c := range []struct {
		entry string
		ok    bool
	}{
		{entry(1, ""), true},
		{entry(2, `,"src_nat":{"addr":"192.0.2.1"}`), true},
		{entry(3, `,"src_nat":{"addr":"192.0.2.16"}`), false},
		{entry(4, `,"dst_nat":{"addr":"192.0.2.31"}`), false},
		{entry(5, `,"dst_nat":{"addr":"192.0.2.1-192.0.2.200"}`), false}, // the range has protected ones in it
		{entry(6, `,"dst_nat":{"port":80}`), true},
		{entry(7, `,"reply":{"src":"10.0.0.2","dst":"192.0.2.17","sport":53,"dport":7}`), false},
		{strings.Replace(entry(8, ""), `"10.0.0.2"`, `"192.0.2.30"`, 1), false},
		{strings.ReplaceAll(strings.Replace(entry(9, ""), `"10.0.0.2"`, `"2001:db8:1::5"`, 1), `"10.0.0.1"`, `"::1"`), false},
		{strings.ReplaceAll(strings.Replace(entry(10, ""), `"10.0.0.2"`, `"2001:db8:2::5"`, 1), `"10.0.0.1"`, `"::1"`), true},
	} {
		res, _ := called(t, g, issue(t, fmt.Sprint(i), `"verb":"create","table":"conntrack","entries":[%s]`, c.entry))
		if (res.Count == 1) != c.ok || (res.Spared == 1) == c.ok {
			t.Errorf("%s: %+v", c.entry, res)
		}
		if !c.ok && res.Failures[0].Err.Code != CodeForbidden {
			t.Errorf("%s: %v", c.entry, res.Failures[0].Err)
		}
	}
}

// TestGuardProtectReplace asks for entries whose tuple another one has: to
// replace that is to change it, whatever addresses the request tells of.
func TestGuardProtectReplace(t *testing.T) {
	ns := testnet.New(t)
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "53", "-t", "600", "--dst-nat", "192.0.2.17")
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "53", "-t", "600", "-w", "7", "--src-nat", "192.0.2.18")
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "192.0.2.19", "-d", "10.0.0.2", "--sport", "8", "--dport", "53", "-t", "600", "--src-nat", "10.0.0.8")
	add(t, ns, "udp", 2)
	g, _ := guarded(t, executor(ns), func(c *Config) { c.Protect = []netip.Prefix{netip.MustParsePrefix("192.0.2.16/28")} })
	for i, c := range []struct {
		entry string
		ok    bool
	}{
		{entry(1, `,"mark":77`), false},
		{entry(1, `,"mark":77,"zone":7`), false},
		{`{"proto":"udp","timeout":600,"mark":77,"orig":{"src":"10.0.0.2","dst":"192.0.2.1","sport":53,"dport":1}}`, true}, // new
		{`{"proto":"udp","timeout":600,"mark":77,"orig":{"src":"10.0.0.2","dst":"10.0.0.8","sport":53,"dport":8}}`, false}, // an answer's tuple
		{entry(2, `,"mark":77`), true},
		{entry(3, `,"mark":77`), true},
	} {
		for _, dry := range []bool{true, false} {
			q := issue(t, fmt.Sprintf("%d%v", i, dry), `"verb":"create","table":"conntrack","replace":true,"entries":[%s]`, c.entry)
			q.DryRun = dry
			res, _ := called(t, g, q)
			if (res.Count == 1) != c.ok || (res.Spared == 1) == c.ok || !c.ok && res.Failures[0].Err.Code != CodeForbidden {
				t.Errorf("%s, dry run %v: %+v", c.entry, dry, res)
			}
		}
	}
	_, rows := called(t, executor(ns), request(t, `"verb":"list","table":"conntrack","filter":{"mark":77}`))
	equal(t, "marked", ports(rows), []int{2, 3, 53})
}

func TestSparedExpectation(t *testing.T) {
	spare, err := protectFilter([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, mask, master, nat string
		want                   bool
	}{
		{"10.2.0.1", "255.255.255.255", "10.2.0.1", "", false},
		{"10.1.0.1", "255.255.255.255", "10.2.0.1", "", true},
		{"10.2.0.1", "255.255.255.255", "10.1.0.1", "", true},
		{"0.0.0.0", "0.0.0.0", "10.2.0.1", "", true}, // anybody may come
		{"10.0.0.0", "255.0.0.0", "10.2.0.1", "", true},
		{"10.2.0.0", "255.255.0.0", "10.2.0.1", "", false},
		{"10.2.0.1", "255.255.255.255", "10.2.0.1", "10.1.9.9", true},
		{"10.2.0.1", "255.255.255.255", "10.2.0.1", "10.9.9.9", false},
	} {
		nat := ""
		if c.nat != "" {
			nat = `,"nat":{"dir":"original","tuple":{"src":"` + c.nat + `","dst":"0.0.0.0"}}`
		}
		n, err := decodeEntry("e", fmt.Appendf(nil, `{"proto":"tcp","expect":{"tuple":{"src":%q,"dst":"10.3.0.1","sport":0,"dport":9},
			"mask":{"src":%q,"dst":"255.255.255.255","sport":0,"dport":65535},"master":{"src":%q,"dst":"10.3.0.1","sport":1,"dport":21}%s}}`, c.src, c.mask, c.master, nat))
		if err != nil {
			t.Fatal(err)
		}
		if got := sparedEntry(spare, &n); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestMatchesAll(t *testing.T) {
	for filter, want := range map[string]bool{
		`{}`:                                                 true,
		`{"addr":"0.0.0.0/0"}`:                               true,
		`{"orig_src":"::/0"}`:                                true,
		`{"addr":["0.0.0.0/1","128.0.0.0/1"]}`:               true,
		`{"addr":"0.0.0.0-255.255.255.255"}`:                 true,
		`{"addr":"0.0.0.0/0.0.0.0"}`:                         true,
		`{"family":"ipv4"}`:                                  true,
		`{"family":["ipv4","ipv6"],"proto":"0-255"}`:         true,
		`{"proto":["0-100","101-255"],"mark":"0/0"}`:         true,
		`{"mark":"0-4294967295","zone":"0-65535"}`:           true,
		`{"status":"CONFIRMED"}`:                             true,
		`{"nat":["any","none"]}`:                             true,
		`{"src_nat":[true,false],"timeout":"0-4294967295"}`:  true,
		`{"include":[{"sport":1},{"orig_src":"0.0.0.0/0"}]}`: true,
		`{"table":"conntrack","event_type":"dump"}`:          true,
		`{"addr":"0.0.0.0/1"}`:                               false,
		`{"addr":"0.0.0.0/0","sport":1}`:                     false,
		`{"proto":"tcp"}`:                                    false,
		`{"port":"0-65535"}`:                                 false, // ICMP has none
		`{"mark":0}`:                                         false,
		`{"status":["CONFIRMED","ASSURED"]}`:                 false,
		`{"status":"UNREPLIED"}`:                             false,
		`{"nat":"any"}`:                                      false,
		`{"family":"ipv4","addr":"10.0.0.0/8"}`:              false,
		`{"exclude":[{"addr":"10.0.0.0/8"}]}`:                false,
		`{"addr":"0.0.0.1/0.0.0.255"}`:                       false,
	} {
		var f flow.Filter
		if err := json.Unmarshal([]byte(filter), &f); err != nil {
			t.Fatal(err)
		}
		if got := matchesAll(&f); got != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
	ns := sample(t)
	g, _ := guarded(t, executor(ns), nil)
	for i, w := range []string{`"verb":"delete"`, `"verb":"delete","family":"ipv4"`, `"verb":"delete","filter":{"addr":["0.0.0.0/0","::/0"]}`} {
		refused(t, g, issue(t, fmt.Sprint(i), `"table":"conntrack",%s`, w), CodeForbidden, "filter")
		refused(t, g, issue(t, fmt.Sprint("x", i), `"dry_run":true,"table":"conntrack",%s`, w), CodeForbidden, "filter")
	}
	equal(t, "left", left(t, ns), []int{1, 2, 3, 4, 5, 6, 7, 8})
	// An update of everything takes nothing away: max_affected alone bounds it.
	if res, err := g.Call(t.Context(), issue(t, "u", `"table":"conntrack","verb":"update","change":{"mark":77}`), nil); err != nil || res.Count != 8 {
		t.Errorf("update: %+v, %v", res, err)
	}
}
