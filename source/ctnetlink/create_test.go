package ctnetlink

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestCreateRefusedByUs gives what the kernel would refuse without a word.
func TestCreateRefusedByUs(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	udp := tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)
	for name, x := range map[string]struct {
		want   error
		change func(*flow.Creation)
	}{
		"no reply":       {errBothTuples, func(n *flow.Creation) { n.Event.Has &^= flow.HasReply }},
		"no original":    {errBothTuples, func(n *flow.Creation) { n.Event.Has &^= flow.HasOrig }},
		"two protocols":  {errBothTuples, func(n *flow.Creation) { n.Event.Reply.Proto = 6 }},
		"two families":   {errBothTuples, func(n *flow.Creation) { n.Event.Reply = tupleOf(17, "::1", "::2", 2, 1) }},
		"no timeout":     {errTimeout, func(n *flow.Creation) { n.Event.Has &^= flow.HasTimeout }},
		"no port":        {errPorts, func(n *flow.Creation) { n.Event.Orig.Has &^= flow.HasSrcPort }},
		"no reply port":  {errPorts, func(n *flow.Creation) { n.Event.Reply.Has &^= flow.HasSrcPort }},
		"no ICMP":        {errICMP, func(n *flow.Creation) { n.Event.Orig.Proto, n.Event.Reply.Proto = 1, 1 }},
		"no source":      {errKey, func(n *flow.Creation) { n.Event.Orig.Has &^= flow.HasSrc }},
		"unknown family": {errKey, func(n *flow.Creation) { n.Event.Orig.Family, n.Event.Reply.Family = 7, 7 }},
		"master of IPv6": {errMaster, func(n *flow.Creation) {
			n.Event.Has |= flow.HasMaster
			n.Event.Extra.Master = tupleOf(17, "::1", "::2", 2, 1)
		}},
		"half a master": {errMaster, func(n *flow.Creation) {
			n.Event.Has |= flow.HasMaster
			n.Event.Extra.Master = flow.Tuple{Family: flow.IPv4}
		}},
		"NAT to IPv6":     {errNATFamily, func(n *flow.Creation) { n.SrcNAT = &flow.NATRange{Min: netip.MustParseAddr("::1")} }},
		"NAT to a mapped": {errNATFamily, func(n *flow.Creation) { n.SrcNAT = &flow.NATRange{Min: netip.MustParseAddr("::ffff:10.0.0.1")} }},
		"NAT to nothing":  {errNATEmpty, func(n *flow.Creation) { n.DstNAT = &flow.NATRange{} }},
		"NAT backwards": {errNATRange, func(n *flow.Creation) {
			n.DstNAT = &flow.NATRange{Min: netip.MustParseAddr("10.0.0.9"), Max: netip.MustParseAddr("10.0.0.8")}
		}},
		"NAT's ports":      {errNATRange, func(n *flow.Creation) { n.DstNAT = &flow.NATRange{MinPort: 9, MaxPort: 8} }},
		"NAT up to a port": {errNATRange, func(n *flow.Creation) { n.DstNAT = &flow.NATRange{Min: netip.MustParseAddr("10.0.0.9"), MaxPort: 8} }},
		"two zones": {errZones, func(n *flow.Creation) {
			n.Event.Has |= flow.HasZone
			n.Event.Zone, n.Event.Orig.Zone = 3, 4
			n.Event.Orig.Has |= flow.HasTupleZone
		}},
	} {
		n := flow.Creation{Event: entryOf(udp)}
		x.change(&n)
		var e *Error
		if err := c.Create(t.Context(), n); !errors.Is(err, x.want) || !errors.As(err, &e) || e.Op != "create" {
			t.Errorf("%s: %v", name, err)
		}
	}
	count(t, ns, 0)
}

// TestCreateRefusedByKernel has the kernel's errors come through as they are.
func TestCreateRefusedByKernel(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	for name, x := range map[string]struct {
		want   error
		change func(*flow.Event)
	}{
		"exists":   {unix.EEXIST, func(*flow.Event) {}},
		"expected": {unix.EBUSY, func(e *flow.Event) { e.Orig.SrcPort = 9; e.Has |= flow.HasStatus; e.Status = flow.StatusExpected }},
		"dying":    {unix.EBUSY, func(e *flow.Event) { e.Orig.SrcPort = 9; e.Has |= flow.HasStatus; e.Status = flow.StatusDying }},
		"no master": {unix.ENOENT, func(e *flow.Event) {
			e.Orig.SrcPort = 9
			e.Has |= flow.HasMaster
			e.Extra.Master = tupleOf(6, "10.0.0.1", "10.0.0.2", 1, 2)
		}},
		"no helper":   {unix.ENOTSUP, func(e *flow.Event) { e.Orig.SrcPort = 9; e.Has |= flow.HasHelper; e.Extra.Helper = "nosuch" }},
		"reply taken": {unix.EEXIST, func(e *flow.Event) { e.Orig.SrcPort = 9 }},
	} {
		e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2))
		x.change(e)
		if err := c.Create(t.Context(), flow.Creation{Event: e}); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, expected %v", name, err, x.want)
		}
	}
	count(t, ns, 1)
}

// TestCreateReplace makes what exists: with NLM_F_EXCL it is refused, without it
// is updated, except for what cannot be.
func TestCreateReplace(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2))
	k := made(t, c, e)
	e.Has |= flow.HasMark
	e.Mark, e.Timeout = 77, 1000
	if err := c.Create(t.Context(), flow.Creation{Event: e}); !errors.Is(err, unix.EEXIST) {
		t.Errorf("%v", err)
	}
	if r := look(t, c, k); r.Mark != 0 || r.Timeout > 600 {
		t.Errorf("a refused creation changed it: %s", describe(r))
	}
	if err := c.Create(t.Context(), flow.Creation{Event: e, Replace: true}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Mark != 77 || r.Timeout < 900 {
		t.Errorf("it was not updated: %s", describe(r))
	}
	nat := &flow.NATRange{Min: netip.MustParseAddr("10.9.9.9")}
	if err := c.Create(t.Context(), flow.Creation{Event: e, Replace: true, SrcNAT: nat}); !errors.Is(err, unix.ENOTSUP) {
		t.Errorf("NAT of what exists: %v", err)
	}
	e.Has |= flow.HasMaster
	e.Extra.Master = e.Orig
	if err := c.Create(t.Context(), flow.Creation{Event: e, Replace: true}); !errors.Is(err, unix.ENOTSUP) {
		t.Errorf("master of what exists: %v", err)
	}
	fresh := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 3, 4))
	if err := c.Create(t.Context(), flow.Creation{Event: fresh, Replace: true}); err != nil {
		t.Errorf("nothing to replace: %v", err)
	}
	count(t, ns, 2)
}

// TestCreateZones makes the same tuple once in each zone, also in zones that
// hold in one direction.
func TestCreateZones(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	udp := tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)
	both := entryOf(udp)
	both.Has |= flow.HasZone
	both.Zone = 5
	orig := entryOf(udp)
	orig.Orig.Has |= flow.HasTupleZone
	orig.Orig.Zone = 6
	orig.Reply.DstPort = 11 // the default zone has the reply tuple already
	reply := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 7, 8))
	reply.Reply.Has |= flow.HasTupleZone
	reply.Reply.Zone = 9
	made(t, c, entryOf(udp))
	for name, e := range map[string]*flow.Event{"both": both, "orig": orig, "reply": reply} {
		r := look(t, c, made(t, c, e))
		if r.Got(flow.HasZone) != (name == "both") || r.Orig.Got(flow.HasTupleZone) != (name == "orig") || r.Reply.Got(flow.HasTupleZone) != (name == "reply") {
			t.Errorf("%s: %s", name, describe(r))
		}
	}
	lines := strings.Join(ns.Conntrack(t, "-L"), "\n")
	for _, zone := range []string{" zone=5", " zone-orig=6", " zone-reply=9"} {
		if strings.Count(lines, zone) != 1 {
			t.Errorf("%q is not there once: %s", zone, lines)
		}
	}
	if err := c.Delete(t.Context(), flow.Key{Tuple: orig.Orig}); err != nil {
		t.Errorf("delete in a zone of one direction: %v", err)
	}
	if err := c.Delete(t.Context(), flow.Key{Tuple: reply.Reply, Reply: true}); err != nil {
		t.Errorf("delete by a reply in a zone: %v", err)
	}
	count(t, ns, 2)
}

// TestCreateNATPorts has the kernel choose among ports: no two entries get one,
// and when all are taken there is none.
func TestCreateNATPorts(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	nat := &flow.NATRange{Min: netip.MustParseAddr("192.0.2.1"), MinPort: 2000, MaxPort: 2003}
	seen := map[uint16]bool{}
	for i := range uint16(4) {
		e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 100+i, 53))
		if err := c.Create(t.Context(), flow.Creation{Event: e, SrcNAT: nat}); err != nil {
			t.Fatal(err)
		}
		r := look(t, c, flow.Key{Tuple: e.Orig})
		if r.Reply.DstAddr() != nat.Min || r.Reply.DstPort < 2000 || r.Reply.DstPort > 2003 || r.Status&flow.StatusSrcNAT == 0 {
			t.Errorf("%s", describe(r))
		}
		seen[r.Reply.DstPort] = true
	}
	if len(seen) != 4 {
		t.Errorf("ports %v", seen)
	}
	e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 200, 53))
	if err := c.Create(t.Context(), flow.Creation{Event: e, SrcNAT: nat}); err == nil {
		t.Error("a port was given twice")
	}
	count(t, ns, 4)
}

// TestCreateMaster makes a related entry and takes away its master's helper.
func TestCreateMaster(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	master := entryOf(tupleOf(6, "10.0.0.1", "10.0.0.2", 1000, 21))
	master.Has |= flow.HasHelper | flow.HasTCPState
	master.Extra.Helper, master.TCP.State = "ftp", 3
	k := made(t, c, master)
	if r := look(t, c, k); !r.Got(flow.HasHelper) || r.Extra.Helper != "ftp" {
		t.Errorf("%s", describe(r))
	}
	child := entryOf(tupleOf(6, "10.0.0.1", "10.0.0.2", 1001, 20))
	child.Has |= flow.HasMaster | flow.HasTCPState
	child.Extra.Master, child.TCP.State = master.Orig, 3
	r := look(t, c, made(t, c, child))
	if r.Status&flow.StatusExpected == 0 || !r.Got(flow.HasMaster) || !r.Extra.Master.Equal(&master.Orig) {
		t.Errorf("%s", describe(r))
	}
	if err := c.Update(t.Context(), k, flow.Update{Helper: ptr("")}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Got(flow.HasHelper) {
		t.Errorf("the helper is left: %s", describe(r))
	}
	if err := c.Update(t.Context(), flow.Key{Tuple: child.Orig}, flow.Update{Helper: ptr("ftp")}); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTSUP) {
		t.Errorf("a helper for a related entry: %v", err)
	}
}

// TestCreateLabels proves the silence: labels are set if a rule uses labels, and
// passed over otherwise.
func TestCreateLabels(t *testing.T) {
	for _, used := range []bool{false, true} {
		ns := quiet(t)
		if used {
			if err := ns.Lay(testnet.SetLabel(testnet.Match{Proto: 99}, 1)); err != nil {
				t.Fatal(err)
			}
		}
		c := dialNS(t, ns)
		e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2))
		e.Has |= flow.HasLabels
		e.Labels = [16]byte{0: 2, 15: 0x80}
		k := made(t, c, e)
		r := look(t, c, k)
		if r.Got(flow.HasLabels) != used || used && r.Labels != e.Labels {
			t.Errorf("used %v: %s", used, describe(r))
		}
		err := c.Update(t.Context(), k, flow.Update{Labels: &flow.MaskedLabels{Value: [16]byte{1: 4}, Mask: [16]byte{0: 2, 1: 4}}})
		if !used {
			if !errors.Is(err, unix.ENOSPC) {
				t.Errorf("labels of an entry that has no room: %v", err)
			}
			continue
		}
		if r := look(t, c, k); err != nil || r.Labels != [16]byte{1: 4, 15: 0x80} {
			t.Errorf("%v: %s", err, describe(r))
		}
	}
}

// TestSecMarkIgnored is why there is no security mark: the kernel takes CTA_SECMARK
// without an error and does nothing.
func TestSecMarkIgnored(t *testing.T) {
	const ctaSecMark = 17
	c := dialNS(t, testnet.New(t))
	k := made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	before := describe(look(t, c, k))
	q, err := (*entryKey)(&k).request("update", msgCtNew)
	if err != nil {
		t.Fatal(err)
	}
	q.attrs = func(w *writer) { (*entryKey)(&k).write(w); w.put32(ctaSecMark, 9) }
	if err := c.do(t.Context(), q, nil); err != nil {
		t.Fatal(err)
	}
	if got := look(t, c, k); got.Got(flow.HasSecCtx) || normalTimeout(describe(got)) != normalTimeout(before) {
		t.Errorf("%s, before %s", describe(got), before)
	}
}

// normalTimeout removes the line that a second may change.
func normalTimeout(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "timeout ") {
			lines[i] = "timeout"
		}
	}
	return strings.Join(lines, "\n")
}
