package ctnetlink

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// FuzzRequest writes requests of every shape into one batch and reads each back:
// they are messages of a whole number of words, one after the other, and what
// can be decoded of them is what was asked for.
func FuzzRequest(f *testing.F) {
	for i := range uint64(20) {
		f.Add(i, i*7)
	}
	f.Fuzz(func(t *testing.T, a, c uint64) {
		r := rand.New(rand.NewPCG(a, c))
		src := flow.NewBatch(1)
		var b Batch
		var want []func(*flow.Event) string
		for range 1 + r.IntN(8) {
			src.Reset()
			one, check := randomRequest(r, randomEvent(r, src), &b)
			if one == nil {
				want = append(want, check)
			} else {
				want = append(want, nil)
			}
		}
		if b.Len() != len(want) {
			t.Fatalf("%d of %d", b.Len(), len(want))
		}
		for i := range want {
			p := b.w.b[b.start(i):b.list[i].end]
			if want[i] == nil {
				if len(p) != 0 || b.list[i].err == nil {
					t.Fatalf("refused, but %x", p)
				}
				continue
			}
			checkRequest(t, p, want[i])
		}
	})
}

// checkRequest decodes what one request wrote.
func checkRequest(t *testing.T, p []byte, differs func(*flow.Event) string) {
	m, rest, err := cutMessage(p)
	if err != nil || len(rest) != 0 || len(p)%4 != 0 || m.body[1] != genVersion {
		t.Fatalf("%x: rest %x: %v", p, rest, err)
	}
	table := flow.TableConntrack
	if m.subsystem() == 2 {
		table = flow.TableExpect
	}
	out := flow.NewBatch(1)
	var d decoder
	if err := d.entry(out, &m, table, flow.TypeDump); err != nil {
		t.Fatalf("%v: %x", err, p)
	}
	if why := differs(&out.Events()[0]); why != "" {
		t.Fatalf("%s\nin\n%s%x", why, describe(&out.Events()[0]), p)
	}
}

// randomRequest adds a request about e, and tells how what is decoded differs.
func randomRequest(r *rand.Rand, e *flow.Event, b *Batch) (error, func(*flow.Event) string) {
	k := flow.Key{Tuple: e.Orig, Reply: r.IntN(2) == 0, Zone: uint16(r.IntN(3)), ID: &e.ID}
	sameKey := func(got *flow.Event) string {
		tuple := &got.Orig
		if k.Reply {
			tuple = &got.Reply
		}
		if !tuple.Equal(&k.Tuple) || got.Got(flow.HasOrig) == k.Reply || got.Zone*uint16(b2i(got.Got(flow.HasZone))) != k.Zone || got.ID != *k.ID {
			return "another key"
		}
		return ""
	}
	k.ID = ptr(e.ID)
	switch {
	case e.Table == flow.TableExpect:
		x := e.Extra.Expect
		return b.CreateExpect(&x), func(got *flow.Event) string {
			if g := &got.Extra.Expect; g.Has != x.Has || !g.Tuple.Equal(&x.Tuple) || !g.Mask.Equal(&x.Mask) || !g.Master.Equal(&x.Master) {
				return "another expectation"
			}
			return ""
		}
	case r.IntN(3) == 0:
		return b.Delete(k), sameKey
	case r.IntN(2) == 0:
		u := randomUpdate(r, e)
		return b.Update(k, u), func(got *flow.Event) string {
			switch {
			case u.Mark != nil != got.Got(flow.HasMark) || u.Mark != nil && u.Mark.Value != got.Mark:
				return "another mark"
			case u.Timeout != nil != got.Got(flow.HasTimeout) || u.Timeout != nil && *u.Timeout != got.Timeout:
				return "another timeout"
			case u.Status != nil != got.Got(flow.HasStatus) || u.Status != nil && *u.Status|8 != got.Status:
				return "another status"
			case u.Labels != nil != got.Got(flow.HasLabels) || u.Labels != nil && u.Labels.Value != got.Labels:
				return "other labels"
			case u.Helper != nil != got.Got(flow.HasHelper) || u.Helper != nil && *u.Helper != got.Extra.Helper:
				return "another helper"
			case u.SCTP != nil != got.Got(hasSCTP) || u.SCTP != nil && *u.SCTP != got.SCTP:
				return "another SCTP state"
			case u.DCCP != nil != got.Got(hasDCCP) || u.DCCP != nil && *u.DCCP != got.DCCP:
				return "another DCCP state"
			case u.TCP != nil && (got.TCP.State != *u.TCP.State || got.TCP.FlagsReply != u.TCP.FlagsReply.Value):
				return "another TCP state"
			}
			return sameKey(got)
		}
	}
	want := describeSettable(e)
	return b.Create(flow.Creation{Event: e, SrcNAT: randomNAT(r, e.Orig.Family)}), func(got *flow.Event) string {
		if d := describeSettable(got); d != want {
			return "expected " + want
		}
		return ""
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// describeSettable describes what of an event a creation sends.
func describeSettable(e *flow.Event) string {
	const kernels = flow.HasID | flow.HasUse | flow.HasOrigCounters | flow.HasReplyCounters | flow.HasStart | flow.HasStop | flow.HasSecCtx | flow.HasPortID
	one := *e
	one.Has &^= kernels
	one.Family, one.Type, one.Time, one.TimeSource = one.Orig.Family, 0, 0, 0
	one.Status |= flow.StatusConfirmed
	return describe(&one)
}

func randomUpdate(r *rand.Rand, e *flow.Event) (u flow.Update) {
	bits := r.Uint32()
	set := func(n int, f func()) {
		if bits>>n&1 != 0 {
			f()
		}
	}
	set(0, func() { u.Mark = &flow.Masked{Value: e.Mark, Mask: r.Uint32()} })
	set(1, func() { u.Timeout = ptr(e.Timeout) })
	set(2, func() { u.Status = ptr(e.Status) })
	set(3, func() { u.Labels = &flow.MaskedLabels{Value: e.Labels} })
	set(4, func() { u.Helper = ptr(e.Extra.Helper) })
	set(5, func() { u.SCTP = ptr(e.SCTP) })
	set(6, func() { u.DCCP = ptr(e.DCCP) })
	set(7, func() {
		u.TCP = &flow.TCPUpdate{State: ptr(e.TCP.State), FlagsReply: &flow.MaskedFlags{Value: e.TCP.FlagsReply, Mask: 3}, WScale: &[2]uint8{1, 2}}
	})
	return u
}

func randomNAT(r *rand.Rand, family flow.Family) *flow.NATRange {
	addr := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, r.Uint32())))
	if family == flow.IPv6 {
		addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.Uint32())})
	}
	return []*flow.NATRange{nil, {Min: addr}, {MinPort: 7, MaxPort: 9}, {Min: addr, Max: addr, MinPort: 8}}[r.IntN(4)]
}
