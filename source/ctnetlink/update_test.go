package ctnetlink

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestUpdateMark proves the kernel's arithmetic: bits outside of the mask toggle.
func TestUpdateMark(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	e := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2))
	k := made(t, c, e)
	for _, m := range []struct {
		set  flow.Masked
		want uint32
	}{
		{flow.Masked{Value: 5, Mask: ^uint32(0)}, 5},
		{flow.Masked{Value: 0x10, Mask: 0xf0}, 0x15},
		{flow.Masked{Value: 0x11, Mask: 0xf0}, 0x14}, // bit 0 was set
		{flow.Masked{Value: 0x11, Mask: 0xf0}, 0x15}, // and now it was not
		{flow.Masked{Value: 0, Mask: 0}, 0x15},
		{flow.Masked{Value: 0xffffffff, Mask: 0}, 0xffffffea},
		{flow.Masked{Value: 0, Mask: ^uint32(0)}, 0},
	} {
		if err := c.Update(t.Context(), k, flow.Update{Mark: &m.set}); err != nil {
			t.Fatal(err)
		}
		if r := look(t, c, k); r.Mark != m.want {
			t.Errorf("%#x/%#x gives %#x, expected %#x", m.set.Value, m.set.Mask, r.Mark, m.want)
		}
	}
}

func TestUpdateStatus(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	k := made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	status := func(bits uint32) error { return c.Update(t.Context(), k, flow.Update{Status: &bits}) }
	const answered = flow.StatusSeenReply | flow.StatusAssured
	if err := status(answered); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Status != answered|flow.StatusConfirmed {
		t.Errorf("%s", describe(r))
	}
	for _, bits := range []uint32{0, flow.StatusAssured, flow.StatusSeenReply, answered | flow.StatusExpected, answered | flow.StatusDying} {
		if err := status(bits); !errors.Is(err, unix.EBUSY) {
			t.Errorf("status %#x: %v", bits, err)
		}
	}
	if err := status(answered | flow.StatusSrcNAT | flow.StatusOffload); err != nil {
		t.Errorf("the kernel's own bits: %v", err)
	}
	if r := look(t, c, k); r.Status != answered|flow.StatusConfirmed {
		t.Errorf("the kernel's own bits were set: %s", describe(r))
	}
}

// TestUpdateFixedTimeout sets a status midway: after it the timeout is fixed.
func TestUpdateFixedTimeout(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	k := made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	if err := c.Update(t.Context(), k, flow.Update{Timeout: ptr(uint32(5000)), Status: ptr(flow.StatusFixedTimeout)}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Timeout < 4900 || r.Status&flow.StatusFixedTimeout == 0 {
		t.Errorf("%s", describe(r))
	}
	err := c.Update(t.Context(), k, flow.Update{Timeout: ptr(uint32(10)), Mark: &flow.Masked{Value: 1, Mask: 1}})
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("a fixed timeout: %v", err)
	}
	if r := look(t, c, k); r.Timeout < 4900 || r.Mark != 0 {
		t.Errorf("what stands after the failure was done: %s", describe(r))
	}
}

// TestUpdateMidway shows that an update is not all or nothing.
func TestUpdateMidway(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	k := made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	err := c.Update(t.Context(), k, flow.Update{Mark: &flow.Masked{Value: 3, Mask: 3}, Labels: &flow.MaskedLabels{Mask: [16]byte{1}}, Timeout: ptr(uint32(7000))})
	if r := look(t, c, k); !errors.Is(err, unix.ENOSPC) || r.Mark != 3 || r.Timeout < 6900 {
		t.Errorf("%v: %s", err, describe(r))
	}
}

// TestUpdateNAT changes an entry with NAT, of which nothing is told.
func TestUpdateNAT(t *testing.T) {
	ns := testnet.New(t)
	ns.Conntrack(t, "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "2", "-t", "100", "--src-nat", "10.9.9.9:99")
	c := dialNS(t, ns)
	k := flow.Key{Tuple: tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)}
	before := look(t, c, k)
	if before.Status&flow.StatusSrcNAT == 0 {
		t.Fatalf("%s", describe(before))
	}
	k.ID = &before.ID
	if err := c.Update(t.Context(), k, flow.Update{Mark: &flow.Masked{Value: 9, Mask: 0xff}, Status: ptr(before.Status | flow.StatusSeenReply)}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Mark != 9 || r.Reply != before.Reply || r.Status != before.Status|flow.StatusSeenReply {
		t.Errorf("%s", describe(r))
	}
}

// TestUpdateID proves that the kernel does not look at the id of an update.
func TestUpdateID(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	k := made(t, c, entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)))
	k.ID = ptr(look(t, c, k).ID + 1)
	if err := c.Update(t.Context(), k, flow.Update{Mark: &flow.Masked{Value: 9, Mask: 0xff}}); err != nil {
		t.Errorf("the kernel has learnt to compare ids: say so in the comment: %v", err)
	}
	if err := c.Get(t.Context(), k, flow.NewBatch(1)); !errors.Is(err, unix.ENOENT) {
		t.Errorf("get of another id: %v", err)
	}
}

func TestUpdateTCP(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	e := entryOf(tupleOf(6, "10.0.0.1", "10.0.0.2", 1, 2))
	e.Has |= flow.HasTCPState | flow.HasTCPFlagsOrig
	e.TCP.State, e.TCP.FlagsOrig = 3, 0x0a
	k := made(t, c, e)
	u := flow.TCPUpdate{State: ptr(uint8(7)), FlagsOrig: &flow.MaskedFlags{Value: 0x01, Mask: 0x03}, FlagsReply: &flow.MaskedFlags{Value: 0xff, Mask: 0x08}}
	if err := c.Update(t.Context(), k, flow.Update{TCP: &u}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.TCP.State != 7 || r.TCP.FlagsOrig != 0x09 || r.TCP.FlagsReply != 0x08 {
		t.Errorf("%s", describe(r))
	}
	if err := c.Update(t.Context(), k, flow.Update{TCP: &flow.TCPUpdate{State: ptr(uint8(200))}}); err == nil {
		t.Log("the kernel took a TCP state of 200")
	}
	if err := c.Update(t.Context(), k, flow.Update{TCP: &flow.TCPUpdate{WScale: &[2]uint8{3, 4}, FlagsOrig: &flow.MaskedFlags{Value: 1, Mask: 1}, FlagsReply: &flow.MaskedFlags{Value: 1, Mask: 1}}}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.TCP.WScaleOrig != 3 || r.TCP.WScaleReply != 4 {
		t.Errorf("%s", describe(r))
	}
}

func TestUpdateSCTP(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	e := entryOf(tupleOf(132, "10.0.0.1", "10.0.0.2", 1, 2))
	e.Has |= hasSCTP
	e.SCTP = flow.SCTP{State: 1, VTagOrig: 11, VTagReply: 12}
	k := made(t, c, e)
	want := flow.SCTP{State: 4, VTagOrig: 0xdeadbeef, VTagReply: 7}
	if err := c.Update(t.Context(), k, flow.Update{SCTP: &want}); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.SCTP != want {
		t.Errorf("%s", describe(r))
	}
}

func TestUpdateRefused(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	udp := tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)
	mark := flow.Update{Mark: &flow.Masked{Value: 1, Mask: 1}}
	if err := c.Update(t.Context(), flow.Key{Tuple: udp}, mark); !errors.Is(err, unix.ENOENT) {
		t.Errorf("an entry that is not there: %v", err)
	}
	k := made(t, c, entryOf(udp))
	if err := c.Update(t.Context(), k, flow.Update{}); !errors.Is(err, errNothing) {
		t.Errorf("nothing to change: %v", err)
	}
	if err := c.Update(t.Context(), flow.Key{}, mark); !errors.Is(err, errKey) {
		t.Errorf("no tuple: %v", err)
	}
	if err := c.Update(t.Context(), k, flow.Update{Helper: ptr("ftp")}); !errors.Is(err, unix.ENOTSUP) {
		t.Errorf("a helper for an entry without one: %v", err)
	}
	if err := c.Update(t.Context(), flow.Key{Tuple: udp, Zone: 4}, mark); !errors.Is(err, unix.ENOENT) {
		t.Errorf("another zone: %v", err)
	}
	if err := c.Update(t.Context(), flow.Key{Tuple: turned(udp), Reply: true}, mark); err != nil {
		t.Errorf("by the reply: %v", err)
	}
	if r := look(t, c, k); r.Mark != 1 {
		t.Errorf("%s", describe(r))
	}
	count(t, ns, 1)
}
