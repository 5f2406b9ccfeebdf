package ctnetlink

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestFlush empties parts of a table of 40 entries: half of each family, 20
// with mark 0x25 in zone 3, the others with mark 0x15.
func TestFlush(t *testing.T) {
	zone, none, nobody := uint16(3), uint16(0), uint16(77)
	for _, f := range []struct {
		name string
		o    flow.FlushOptions
		left int
	}{
		{"all", flow.FlushOptions{}, 0},
		{"ipv4", flow.FlushOptions{Family: flow.IPv4}, 20},
		{"ipv6", flow.FlushOptions{Family: flow.IPv6}, 20},
		{"mark", flow.FlushOptions{Mark: &flow.Masked{Value: 0x25, Mask: ^uint32(0)}}, 20},
		{"mark's high bits", flow.FlushOptions{Mark: &flow.Masked{Value: 0x10, Mask: 0xf0}}, 20},
		{"mark's low bits", flow.FlushOptions{Mark: &flow.Masked{Value: 0x5, Mask: 0xf}}, 0},
		{"mark of nobody", flow.FlushOptions{Mark: &flow.Masked{Value: 0x99, Mask: 0xff}}, 40},
		{"zone", flow.FlushOptions{Zone: &zone}, 20},
		{"default zone", flow.FlushOptions{Zone: &none}, 20},
		{"zone of nobody", flow.FlushOptions{Zone: &nobody}, 40},
		{"zone and family", flow.FlushOptions{Zone: &zone, Family: flow.IPv6}, 30},
		{"zone and mark", flow.FlushOptions{Zone: &zone, Mark: &flow.Masked{Value: 0x15, Mask: 0xff}}, 40},
	} {
		t.Run(f.name, func(t *testing.T) {
			ns, other := testnet.New(t), testnet.New(t)
			churn(t, testnet.Churn{NS: other, Entries: 5, Keep: true})
			churn(t, testnet.Churn{NS: ns, Entries: 20, Keep: true, Mark: 0x15})
			churn(t, testnet.Churn{NS: ns, Entries: 20, Keep: true, Mark: 0x25, Zone: 3, First: 20})
			if err := dialNS(t, ns).Flush(t.Context(), f.o); err != nil {
				t.Fatal(err)
			}
			count(t, ns, f.left)
			count(t, other, 5)
		})
	}
}

func TestFlushRefused(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 5, Keep: true})
	for _, f := range []struct {
		o    flow.FlushOptions
		want error
	}{
		{flow.FlushOptions{Family: 7}, errFamilyFlush},
		{flow.FlushOptions{Mark: &flow.Masked{Value: 0, Mask: 0}}, errMarkFlush},
		{flow.FlushOptions{Mark: &flow.Masked{Value: 0x11, Mask: 0x10}}, errMarkFlush},
	} {
		if err := c.Flush(t.Context(), f.o); !errors.Is(err, f.want) {
			t.Errorf("%+v: %v", f.o, err)
		}
	}
	count(t, ns, 5)
}

// raw sends a request of attributes alone, as no method does.
func raw(t *testing.T, c *Conn, version byte, family flow.Family, operation uint16, attrs func(*writer)) error {
	t.Helper()
	q := &request{op: "raw", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: operation, family: byte(family), attrs: func(w *writer) {
		w.b[len(w.b)-3] = version
		attrs(w)
	}}
	return c.do(t.Context(), q, nil)
}

// TestFlushTraps shows on the real kernel what the methods keep from happening.
func TestFlushTraps(t *testing.T) {
	nothing := func(*writer) {}
	id := func(w *writer) { w.put32(ctaID, 12345) }
	mask := func(w *writer) { w.put32(ctaMarkMask, 0xff) }
	for _, f := range []struct {
		name    string
		version byte
		family  flow.Family
		attrs   func(*writer)
		left    int
	}{
		{"an id without a tuple", 1, 0, id, 0},
		{"a family in version 0", 0, flow.IPv6, nothing, 0},
		{"a family in version 1", 1, flow.IPv6, nothing, 5},
		{"a mask without a mark", 1, 0, mask, 0},
	} {
		ns := testnet.New(t)
		churn(t, testnet.Churn{NS: ns, Entries: 10, Keep: true, Mark: 0x15})
		if err := raw(t, dialNS(t, ns), f.version, f.family, msgCtDelete, f.attrs); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		if n := ns.ConntrackCount(t); n != f.left {
			t.Errorf("%s leaves %d entries, not %d: if the kernel has changed, say so in the comments", f.name, n, f.left)
		}
	}
}

// TestFilterInverted is why no request of ours has CTA_FILTER: for IPv6 it
// selects all but what was asked for.
func TestFilterInverted(t *testing.T) {
	const ctaFilter, ctaFilterOrigFlags, filterIPSrc = 25, 1, 1
	ns := testnet.New(t)
	c := dialNS(t, ns)
	made(t, c, entryOf(tupleOf(17, "2001:db8::1", "2001:db8::9", 1, 2)))
	made(t, c, entryOf(tupleOf(17, "2001:db8::2", "2001:db8::9", 1, 2)))
	wanted := flow.Tuple{Family: flow.IPv6, Has: flow.HasSrc, Src: tupleOf(17, "2001:db8::1", "::", 0, 0).Src}
	err := raw(t, c, 1, flow.IPv6, msgCtDelete, func(w *writer) {
		w.putTuple(ctaTupleOrig, &wanted)
		at := w.nest(ctaFilter)
		w.attr(ctaFilterOrigFlags, 4) // in host byte order
		w.b = binary.NativeEndian.AppendUint32(w.b, filterIPSrc)
		w.close(at)
	})
	left := rows(t, c, flow.TableConntrack, flow.DumpOptions{})
	if err != nil || len(left) != 1 {
		t.Fatalf("%v: %v", err, left)
	}
	for key := range left {
		if want := tupleOf(17, "2001:db8::1", "2001:db8::9", 1, 2); key != describeTuple(&want) {
			t.Logf("this kernel's filter is right: %s is left", key)
		}
	}
}

// TestNoFilterFlushed looks at what a flush may carry: never CTA_FILTER, by which the
// kernel would remove all IPv6 entries but those that are meant.
func TestNoFilterFlushed(t *testing.T) {
	f := flow.FlushOptions{Family: flow.IPv6, Mark: &flow.Masked{Value: 1, Mask: 1}, Zone: ptr(uint16(1))}
	for p := written((*flushOptions)(&f).write); len(p) > 0; {
		kind, _, rest, ok := cutAttr(p)
		if !ok || kind == ctaFilter {
			t.Fatalf("attribute %d in %x", kind, p)
		}
		p = rest
	}
}

// TestProbe reads the kernel's word that it filters.
func TestProbe(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 300, Keep: true, Mark: 5})
	for _, p := range []struct {
		o       flow.DumpOptions
		matches bool
		want    error
	}{
		{flow.DumpOptions{Mark: &flow.Masked{Value: 5, Mask: 0xff}}, true, nil},
		{flow.DumpOptions{Mark: &flow.Masked{Value: 6, Mask: 0xff}}, false, nil},
		{flow.DumpOptions{Zone: ptr(uint16(0))}, true, nil},
		{flow.DumpOptions{Zone: ptr(uint16(1))}, false, nil},
		{flow.DumpOptions{}, false, unix.EOPNOTSUPP}, // as a kernel that passes a filter over
	} {
		if matches, err := c.probe(t.Context(), p.o); matches != p.matches || !errors.Is(err, p.want) || (err == nil) != (p.want == nil) {
			t.Errorf("%+v: %v, %v", p.o, matches, err)
		}
	}
	count(t, ns, 300)
}
