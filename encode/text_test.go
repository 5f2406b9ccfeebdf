package encode

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

func TestTimesAreRFC3339(t *testing.T) {
	var c clock
	day := int64(24 * time.Hour)
	for _, ns := range []int64{
		0, 1, -1, 999_999_999, 1_000_000_000, day - 1, day, -day, -day - 1, epoch, epoch + day, epoch - 1,
		951782400 * tick, 951868800*tick - 1, math.MinInt64, math.MaxInt64, math.MinInt64 + 1,
	} {
		got := string(c.appendTime(nil, ns))
		if want := stamp2(ns); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
		back, err := parseTime(got)
		if err != nil || int64(back) != ns {
			t.Errorf("%s: read as %d, %v, want %d", got, int64(back), err, ns)
		}
	}
}

func stamp2(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func TestNumbers(t *testing.T) {
	check := func(v uint64) {
		if got := string(appendUint(nil, v)); got != strconv.FormatUint(v, 10) {
			t.Errorf("%d: %s", v, got)
		}
	}
	for v := range uint64(20000) {
		check(v)
	}
	for v := uint64(1); v < 1<<63; v *= 3 {
		check(v)
		check(v - 1)
	}
	check(math.MaxUint64)
	for v := range 256 {
		if got := string(appendUint8(nil, uint8(v))); got != strconv.Itoa(v) {
			t.Errorf("%d: %s", v, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "255.255.255.255", "10.9.99.100", "::", "::1", "::ffff:1.2.3.4", "2001:db8::1:0:0:1", "fe80::"} {
		a, f := flow.AddrFrom(netip.MustParseAddr(s))
		if got := string(appendAddr(nil, &a, f)); got != s {
			t.Errorf("%s, want %s", got, s)
		}
	}
}

// TestIPv6IsAsNetipWritesIt takes every pattern of zero groups, each with short and long groups.
func TestIPv6IsAsNetipWritesIt(t *testing.T) {
	for pattern := range 1 << 8 {
		for _, group := range []uint16{1, 0x12, 0x123, 0x1234, 0xffff, 0x1000, 0xff} {
			var a flow.Addr
			for i := range 8 {
				if pattern>>i&1 == 1 {
					a[2*i], a[2*i+1] = byte(group>>8), byte(group)
				}
			}
			if got, want := string(appendAddr(nil, &a, flow.IPv6)), netip.AddrFrom16(a).String(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		a := randomAddr(r, flow.IPv6)
		if got, want := string(appendAddr(nil, &a, flow.IPv6)), netip.AddrFrom16(a).String(); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}
