package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/source/flow"
)

// TestGuardedOverNATS carries requests over NATS to the real kernel, through the
// guard and into the audit.
func TestGuardedOverNATS(t *testing.T) {
	ns := sample(t)
	b := natstest.Start(t)
	cfg := DefaultConfig()
	cfg.Allow = append(cfg.Allow, VerbDelete)
	cfg.Audit.Path = filepath.Join(t.TempDir(), "audit.jsonl")
	audit := NewAuditor(AuditOptions{Config: cfg.Audit, Node: "edge-1"})
	o := newOrigin("edge-1", 1)
	x := executor(ns)
	x.Node, x.Origin = "edge-1", func(string) *flow.Origin { return o }
	guard, err := NewGuard(cfg, x, audit)
	if err != nil {
		t.Fatal(err)
	}
	runNode(t, b.Dial(t), o, guard, func(so *ServiceOptions) { so.Config, so.Refused = cfg, guard.Refused }).serving(t)
	c := newClient(t, b.Dial(t))
	node := c.Node("edge-1")

	res, rows := called(t, node, request(t, `"verb":"list","table":"conntrack"`))
	equal(t, "listed", ports(rows), []int{1, 2, 3, 4, 5, 6, 7, 8})
	if res.Count != 8 || rows[0].Origin.Node != "edge-1" || rows[0].Has&flow.HasTimeout == 0 {
		t.Errorf("got %+v, %+v", res, rows[0])
	}
	res, _ = called(t, node, request(t, `"verb":"count","table":"conntrack"`))
	if res.Count != 8 || res.Fill == nil || res.Fill.Entries != 8 {
		t.Errorf("got %+v", res)
	}
	if res, _ = called(t, node, request(t, `"verb":"stats","table":"conntrack"`)); len(res.CPUs) == 0 {
		t.Errorf("got %+v", res)
	}
	refused(t, node, request(t, `"verb":"flush","table":"conntrack"`), CodeOff, "")
	refused(t, node, request(t, `"verb":"delete","table":"conntrack"`), CodeForbidden, "filter")
	refused(t, node, request(t, `"verb":"list","table":"conntrack","netns":"nowhere"`), CodeNotFound, "netns")
	answers, err := c.Fleet().Call(within(t), request(t, `"verb":"delete","table":"conntrack","filter":{"mark":2}`), nil)
	var off *Error
	if err != nil || len(answers) != 1 || !errors.As(answers[0].Err, &off) || off.Code != CodeOff {
		t.Errorf("got %+v, %v", answers, err)
	}
	exchange(t, b.Dial(t), "ctferry.v1.default.node.edge-1.conntrack.delete", `{"v":1,"filtre":{}}`, nil)

	// A write that is sent again is answered again, and carried out once.
	q := request(t, `"verb":"delete","table":"conntrack","request":"w1","filter":{"mark":[1,3]},"rows":true`)
	q.IssuedAt = time.Now()
	res, rows = called(t, node, q)
	equal(t, "deleted", ports(rows), []int{1, 3})
	if res.Count != 2 || res.Repeated {
		t.Errorf("got %+v", res)
	}
	add(t, ns, "udp", 1, "-m", "1")
	if res, _ = called(t, node, q); res.Count != 2 || !res.Repeated {
		t.Errorf("sent again: %+v", res)
	}
	equal(t, "left", left(t, ns), []int{1, 2, 4, 5, 6, 7, 8})

	text, err := os.ReadFile(cfg.Audit.Path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, want := range [][]string{
		{`"phase":"refused"`, `"verb":"flush"`, `"ann"`, `"ctferry.v1.default.node.edge-1.conntrack.flush"`},
		{`"phase":"refused"`, `"verb":"delete"`, `"filter"`},
		{`"phase":"refused"`, `"netns"`},
		{`"phase":"refused"`, `fleet_writes`, `"ctferry.v1.default.fleet.conntrack.delete"`},
		{`"phase":"refused"`, `filtre`},
		{`"phase":"intent"`, `"w1"`, `"ann"`},
		{`"phase":"done"`, `"w1"`},
	} {
		for _, part := range want {
			if i >= len(lines) || !strings.Contains(lines[i], part) {
				t.Errorf("line %d of the audit has no %s:\n%s", i, part, text)
				break
			}
		}
	}
}
