package ctnetlink

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// ftpMasters has real FTP sessions make n masters, each with its expectation.
func ftpMasters(t *testing.T, ns *testnet.Namespace, n int) []flow.Expectation {
	t.Helper()
	if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
		t.Fatal(err)
	}
	if made, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), n, false); err != nil || made != n {
		t.Fatalf("%d: %v", made, err)
	}
	return expectations(t, dialNS(t, ns))
}

func expectations(t *testing.T, c *Conn) (list []flow.Expectation) {
	t.Helper()
	_, err := c.Dump(t.Context(), flow.TableExpect, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			list = append(list, b.Events()[i].Extra.Expect)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestExpect(t *testing.T) {
	ns := quiet(t)
	list := ftpMasters(t, ns, 2)
	if len(list) != 2 {
		t.Fatalf("%d expectations", len(list))
	}
	c := dialNS(t, ns)
	old := list[0]
	k := flow.ExpectKey{Tuple: old.Tuple}
	b := flow.NewBatch(1)
	if err := c.GetExpect(t.Context(), k, b); err != nil || !b.Events()[0].Extra.Expect.Master.Equal(&old.Master) || b.Events()[0].Type != flow.TypeDump {
		t.Fatalf("%v", err)
	}
	if err := c.CreateExpect(t.Context(), &old); !errors.Is(err, unix.EEXIST) {
		t.Errorf("what exists: %v", err)
	}
	for _, wrong := range []flow.ExpectKey{{Tuple: old.Tuple, ID: ptr(old.ID + 1)}, {Tuple: old.Tuple, Zone: 4}, {Tuple: tupleOf(6, "127.0.0.1", "127.0.0.1", 0, 1)}} {
		b := flow.NewBatch(1)
		if err := c.GetExpect(t.Context(), wrong, b); !errors.Is(err, unix.ENOENT) || b.Len() != 0 {
			t.Errorf("get %+v: %v", wrong, err)
		}
		if err := c.DeleteExpect(t.Context(), wrong); !errors.Is(err, unix.ENOENT) {
			t.Errorf("delete %+v: %v", wrong, err)
		}
	}
	if err := c.UpdateExpect(t.Context(), &old, 5000); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := c.GetExpect(t.Context(), k, b); err != nil || b.Events()[0].Extra.Expect.Timeout < 4900 {
		t.Errorf("the timeout has not changed: %v", err)
	}
	k.ID = &old.ID
	if err := c.DeleteExpect(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if left := expectations(t, c); len(left) != 1 || !left[0].Tuple.Equal(&list[1].Tuple) {
		t.Errorf("left: %+v", left)
	}
	old.Timeout = 5000 // passed over
	if err := c.CreateExpect(t.Context(), &old); err != nil {
		t.Fatalf("make it anew: %v", err)
	}
	b.Reset()
	if err := c.GetExpect(t.Context(), flow.ExpectKey{Tuple: old.Tuple}, b); err != nil {
		t.Fatal(err)
	}
	got := &b.Events()[0].Extra.Expect
	if !got.Tuple.Equal(&old.Tuple) || !got.Mask.Equal(&old.Mask) || !got.Master.Equal(&old.Master) || got.Helper != "ftp" || got.Timeout > 300 || got.Class != old.Class || got.Flags != old.Flags {
		t.Errorf("%s", describe(&b.Events()[0]))
	}
}

func TestExpectFlush(t *testing.T) {
	ns := quiet(t)
	ftpMasters(t, ns, 3)
	c := dialNS(t, ns)
	if err := c.FlushExpect(t.Context(), "sip"); err != nil || len(expectations(t, c)) != 3 {
		t.Errorf("another helper's: %v", err)
	}
	if err := c.FlushExpect(t.Context(), "ftp"); err != nil || len(expectations(t, c)) != 0 {
		t.Errorf("the helper's: %v", err)
	}
	if _, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 2, false); err != nil {
		t.Fatal(err)
	}
	if n := len(expectations(t, c)); n != 2 {
		t.Errorf("%d expectations", n)
	}
	if err := c.FlushExpect(t.Context(), ""); err != nil || len(expectations(t, c)) != 0 {
		t.Errorf("all: %v", err)
	}
	if n := ns.ConntrackCount(t); n != 5 {
		t.Errorf("%d masters of 5 are left", n)
	}
}

func TestExpectRefused(t *testing.T) {
	ns := quiet(t)
	list := ftpMasters(t, ns, 1)
	c := dialNS(t, ns)
	for _, k := range []flow.ExpectKey{{}, {ID: &list[0].ID}, {Tuple: flow.Tuple{Family: flow.IPv4, Has: flow.HasAddrs | flow.HasProto, Proto: 6}}} {
		if err := c.DeleteExpect(t.Context(), k); err == nil {
			t.Errorf("delete %+v was sent", k)
		}
		if err := c.GetExpect(t.Context(), k, flow.NewBatch(1)); err == nil {
			t.Errorf("get %+v was sent", k)
		}
	}
	made(t, c, entryOf(tupleOf(6, "10.0.0.1", "10.0.0.2", 1, 2)))
	for name, x := range map[string]struct {
		want   error
		change func(*flow.Expectation)
	}{
		"no mask":        {errExpect, func(x *flow.Expectation) { x.Has &^= flow.HasExpectMask }},
		"no master":      {errExpect, func(x *flow.Expectation) { x.Has &^= flow.HasExpectMaster }},
		"two families":   {errExpect, func(x *flow.Expectation) { x.Mask.Family = flow.IPv6 }},
		"half a master":  {errPorts, func(x *flow.Expectation) { x.Master.Has &^= flow.HasSrcPort }},
		"unknown master": {unix.ENOENT, func(x *flow.Expectation) { x.Tuple.DstPort++; x.Master.SrcPort++ }},
		"without a helper": {unix.ENOTSUP, func(x *flow.Expectation) {
			x.Has &^= flow.HasExpectHelper
			x.Master = tupleOf(6, "10.0.0.1", "10.0.0.2", 1, 2)
			x.Tuple.DstPort++
		}},
	} {
		one := list[0]
		x.change(&one)
		if err := c.CreateExpect(t.Context(), &one); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, expected %v", name, err, x.want)
		}
	}
	if n := len(expectations(t, c)); n != 1 {
		t.Errorf("%d expectations", n)
	}
	if err := c.UpdateExpect(t.Context(), &flow.Expectation{}, 1); !errors.Is(err, errExpect) {
		t.Errorf("update of nothing: %v", err)
	}
	gone := list[0]
	gone.Tuple.DstPort++
	if err := c.UpdateExpect(t.Context(), &gone, 1); !errors.Is(err, unix.ENOENT) {
		t.Errorf("update of what is not there: %v", err)
	}
	if err := c.GetExpect(t.Context(), flow.ExpectKey{Tuple: list[0].Tuple}, flow.NewBatch(0)); !errors.Is(err, errFull) {
		t.Errorf("a full batch: %v", err)
	}
}
