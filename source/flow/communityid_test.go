package flow

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

// communityTuple makes the tuple of a published vector.
func communityTuple(t *testing.T, proto, src, dst, a, b string) Tuple {
	t.Helper()
	number := func(s string) uint16 {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return uint16(n)
	}
	u := tupleOf(uint8(number(proto)), src, dst, 0xdead, 0xbeef)
	u.Has &^= HasPorts
	switch {
	case a == "-":
	case u.Proto == ProtoICMP || u.Proto == ProtoICMPv6:
		u.Has |= HasICMP
		u.ICMPType, u.ICMPCode, u.ICMPID = uint8(number(a)), uint8(number(b)), 0xdead
	default:
		u.Has |= HasPorts
		u.SrcPort, u.DstPort = number(a), number(b)
	}
	return u
}

func TestCommunityIDVectors(t *testing.T) {
	f, err := os.Open("testdata/communityid.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	count := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.Fields(line)
		u := communityTuple(t, c[0], c[1], c[2], c[3], c[4])
		for seed, want := range c[5:7] {
			got, ok := AppendCommunityID([]byte("x"), uint16(seed), &u)
			if !ok || string(got) != "x"+want {
				t.Errorf("seed %d: got %s, want %s: %s", seed, got, want, line)
			}
		}
		count++
	}
	if count != 39 {
		t.Errorf("%d vectors", count)
	}
}

// TestCommunityIDICMP derives the hash of ICMP from the rule alone: a type that
// another answers is hashed with it, the lower end first; any other is hashed
// with its code as it went.
func TestCommunityIDICMP(t *testing.T) {
	pairs := map[uint8]map[uint8]uint8{
		ProtoICMP:   {8: 0, 13: 14, 15: 16, 10: 9, 17: 18},
		ProtoICMPv6: {128: 129, 130: 131, 133: 134, 135: 136, 139: 140, 144: 145},
	}
	addrs := map[uint8][2]string{ProtoICMP: {"10.0.0.1", "10.0.0.2"}, ProtoICMPv6: {"2001:db8::1", "2001:db8::2"}}
	for proto, answers := range pairs {
		for q, a := range answers {
			answers[a] = q
		}
		for typ := range 256 {
			for _, flip := range []bool{false, true} {
				ends := addrs[proto]
				if flip {
					ends[0], ends[1] = ends[1], ends[0]
				}
				u := communityTuple(t, fmt.Sprint(proto), ends[0], ends[1], fmt.Sprint(typ), "3")
				answer, paired := answers[uint8(typ)]
				want := hashed(proto, ends[0], ends[1], uint16(typ), 3)
				if paired {
					want = hashed(proto, ends[0], ends[1], uint16(typ), uint16(answer))
					if flip {
						want = hashed(proto, ends[1], ends[0], uint16(answer), uint16(typ))
					}
				}
				if got, _ := AppendCommunityID(nil, 0, &u); string(got) != want {
					t.Errorf("proto %d type %d flipped %v: %s, want %s", proto, typ, flip, got, want)
				}
			}
		}
	}
}

// hashed is the hash of the values in the order in which they are given.
func hashed(proto uint8, src, dst string, sport, dport uint16) string {
	b := []byte{0, 0}
	b = append(b, netip.MustParseAddr(src).AsSlice()...)
	b = append(b, netip.MustParseAddr(dst).AsSlice()...)
	b = append(b, proto, 0, byte(sport>>8), byte(sport), byte(dport>>8), byte(dport))
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestCommunityIDAbsent shows that nothing is read that is not there.
func TestCommunityIDAbsent(t *testing.T) {
	for _, without := range []TupleHas{HasSrc, HasDst, HasAddrs} {
		u := tupleOf(ProtoTCP, "10.0.0.1", "10.0.0.2", 1, 2)
		u.Has &^= without
		if got, ok := AppendCommunityID([]byte("x"), 0, &u); ok || string(got) != "x" {
			t.Errorf("without %b: %s", without, got)
		}
	}
	for _, proto := range []uint8{ProtoTCP, ProtoICMP, ProtoICMPv6} {
		a, b := tupleOf(proto, "10.0.0.1", "10.0.0.2", 1, 2), tupleOf(proto, "10.0.0.1", "10.0.0.2", 3, 4)
		a.Has, b.Has = HasAddrs|HasProto|HasSrcPort|HasICMPCode, HasAddrs|HasProto|HasSrcPort|HasICMPCode
		b.ICMPType = 7
		x, _ := AppendCommunityID(nil, 0, &a)
		y, _ := AppendCommunityID(nil, 0, &b)
		if string(x) != string(y) {
			t.Errorf("proto %d: absent ports or type are hashed", proto)
		}
	}
}

// TestCommunityIDEqualAddresses orders by port where the addresses are one.
func TestCommunityIDEqualAddresses(t *testing.T) {
	a, b := tupleOf(ProtoUDP, "127.0.0.1", "127.0.0.1", 9, 5), tupleOf(ProtoUDP, "127.0.0.1", "127.0.0.1", 5, 9)
	x, _ := AppendCommunityID(nil, 7, &a)
	y, _ := AppendCommunityID(nil, 7, &b)
	if string(x) != string(y) {
		t.Errorf("%s and %s", x, y)
	}
}

func TestCommunityIDAllocates(t *testing.T) {
	u, buf := tupleOf(ProtoUDP, "127.0.0.1", "127.0.0.1", 9, 5), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { AppendCommunityID(buf, 7, &u) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
