package encode

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// textOf is what a pen copies from a cell.
func textOf(c *cell) string {
	w := pen{}
	w.cells[slotSeq] = *c
	return string(w.value(slotSeq))
}

// soiled is a cell that was full.
func soiled() cell {
	c := cell{number: noSecond}
	for i := range c.text {
		c.text[i] = 0xff
	}
	return c
}

func TestCellNumbers(t *testing.T) {
	c, signed := soiled(), soiled()
	check := func(v uint64) {
		t.Helper()
		if c.putNumber(v); textOf(&c) != strconv.FormatUint(v, 10) {
			t.Fatalf("%d: %s", v, textOf(&c))
		}
		if signed.putInt(int64(v)); textOf(&signed) != strconv.FormatInt(int64(v), 10) {
			t.Fatalf("%d: %s", int64(v), textOf(&signed))
		}
	}
	for v := range uint64(20_000) {
		check(v)
		check(v * 9973)
	}
	for v := uint64(1); v < math.MaxUint64/10; v *= 10 {
		for _, d := range []uint64{0, 1, 2, 9} {
			check(v + d)
			check(v - d)
			check(v * d)
		}
	}
	check(math.MaxUint64)
	check(1 << 63)
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		check(r.Uint64() >> r.IntN(64))
	}
}

func TestEightDigits(t *testing.T) {
	for v := range uint32(10_000) {
		for _, v := range []uint32{v, v * 10_000, 99_999_999 - v} {
			want := uint64(0)
			for i, rest := 0, v; i < 8; i, rest = i+1, rest/10 {
				want = want<<8 | uint64(rest%10)
			}
			if got := digits8(v); got != want {
				t.Fatalf("%d: %016x, want %016x", v, got, want)
			}
		}
	}
}

func TestCellHex(t *testing.T) {
	c, r := soiled(), rand.New(rand.NewPCG(2, 2))
	for range 10_000 {
		v := number(r)
		if c.putID(v); textOf(&c) != id64(v) {
			t.Fatalf("%x: %s", v, textOf(&c))
		}
		var labels [16]byte
		for i := range labels {
			labels[i] = byte(r.Uint32())
		}
		if c.putLabels(&labels); textOf(&c) != hex.EncodeToString(labels[:]) {
			t.Fatalf("%x: %s", labels, textOf(&c))
		}
	}
}

func TestCellTimes(t *testing.T) {
	w, c, r := newPen(nil, jsonString), soiled(), rand.New(rand.NewPCG(3, 3))
	list := []int64{0, 1, -1, tick - 1, tick, -tick, -tick - 1, epoch, epoch + 1, 951782400 * tick, 951868800*tick - 1, math.MinInt64, math.MaxInt64, math.MinInt64 + 1}
	for range 50_000 {
		list = append(list, int64(number(r)), epoch+r.Int64N(4*tick))
	}
	for _, ns := range list {
		if w.putTime(&c, ns); textOf(&c) != stamp2(ns) {
			t.Fatalf("%d: %s, want %s", ns, textOf(&c), stamp2(ns))
		}
	}
}

// TestCellAddresses takes every pattern of zero groups, and every octet.
func TestCellAddresses(t *testing.T) {
	w, c, r := newPen(nil, jsonString), soiled(), rand.New(rand.NewPCG(4, 4))
	check := func(a flow.Addr, f flow.Family) {
		t.Helper()
		if w.putAddr(&c, &a, f); textOf(&c) != a.In(f).String() {
			t.Fatalf("%s, want %s", textOf(&c), a.In(f))
		}
	}
	for pattern := range 1 << 8 {
		for _, group := range []uint16{1, 0x12, 0x123, 0x1234, 0xffff, 0x1000, 0xff} {
			var a flow.Addr
			for i := range 8 {
				if pattern>>i&1 == 1 {
					a[2*i], a[2*i+1] = byte(group>>8), byte(group)
				}
			}
			check(a, flow.IPv6)
		}
		o := byte(pattern)
		check(flow.Addr{o, 1, 10, 100}, flow.IPv4)
		check(flow.Addr{100, o, o, o}, flow.IPv4)
	}
	for range 100_000 {
		check(randomAddr(r, flow.IPv6), flow.IPv6)
		check(randomAddr(r, flow.IPv4), flow.IPv4)
	}
}
