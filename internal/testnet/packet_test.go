package testnet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInternetChecksum(t *testing.T) {
	for _, c := range []struct {
		hex  string
		want uint16
	}{
		{"", 0xffff},
		{"0001f203f4f5f6f7", 0x220d}, // RFC 1071, section 3
		{"0800000012340001", 0xe5ca},
		{"01", 0xfeff},
		{"ffffffff", 0},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := internetChecksum(b); got != c.want {
			t.Errorf("%s: %#04x, expected %#04x", c.hex, got, c.want)
		}
	}
}

func TestEchoRequests(t *testing.T) {
	v4 := (&icmpSession{request: echoRequest4}).echo(0x1234)
	if internetChecksum(v4) != 0 || binary.BigEndian.Uint16(v4[4:]) != 0x1234 {
		t.Errorf("IPv4: %x does not sum to zero or lost its identifier", v4)
	}
	if v6 := (&icmpSession{request: echoRequest6}).echo(7); !bytes.Equal(v6, []byte{128, 0, 0, 0, 0, 7, 0, 1}) {
		t.Errorf("IPv6: %x", v6)
	}
}

func TestSCTPPacket(t *testing.T) {
	p := sctpPacket(1000, 2000, 0xa1b2c3d4, sctpChunk(sctpInit, sctpInitBody(5)))
	if len(p) != 12+20 || binary.BigEndian.Uint16(p) != 1000 || binary.BigEndian.Uint16(p[2:]) != 2000 || binary.BigEndian.Uint32(p[4:]) != 0xa1b2c3d4 {
		t.Fatalf("header of %x", p)
	}
	if p[12] != 1 || binary.BigEndian.Uint16(p[14:]) != 20 || binary.BigEndian.Uint32(p[16:]) != 5 {
		t.Errorf("INIT chunk of %x", p[12:])
	}
	sum := binary.LittleEndian.Uint32(p[8:])
	copy(p[8:12], make([]byte, 4))
	if want := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)); sum != want {
		t.Errorf("checksum %08x, expected %08x", sum, want)
	}
}

func TestRawPayloads(t *testing.T) {
	gre := pptpPacket(0x4321)
	if gre[1]&7 != 1 || binary.BigEndian.Uint16(gre[2:]) != 0x880b || binary.BigEndian.Uint16(gre[6:]) != 0x4321 || int(binary.BigEndian.Uint16(gre[4:])) != len(gre)-12 {
		t.Errorf("gre: %x", gre)
	}
	if esp := espPacket(1); binary.BigEndian.Uint32(esp) != 0x101 || len(esp)%4 != 0 {
		t.Errorf("esp: %x", esp)
	}
}

func TestPassiveAnswers(t *testing.T) {
	data := &net.TCPAddr{Port: 5<<8 | 9}
	for dst, want := range map[string]string{
		"10.77.0.1":     "PASV\r\n227 Entering Passive Mode (10,77,0,1,5,9).\r\n",
		"2001:db8:77::": "EPSV\r\n229 Entering Extended Passive Mode (|||1289|).\r\n",
	} {
		s := &ftpSession{t: Traffic{Dst: netip.MustParseAddr(dst)}}
		if ask, answer := s.passive(data); ask+answer != want {
			t.Errorf("%s: %q, expected %q", dst, ask+answer, want)
		}
	}
}

func TestAttrs(t *testing.T) {
	b := &attrs{}
	b.nest(1, func() {
		b.u8(2, 0xaa)
		if at := b.u16(3, 0xbbcc); at != 4+8+4 {
			t.Errorf("the value begins at %d, expected 16", at)
		}
	})
	b.u32(4, 0x01020304)
	h := binary.NativeEndian.AppendUint16
	want := h(h(nil, 20), 1|unix.NLA_F_NESTED)
	want = append(h(h(want, 5), 2), 0xaa, 0, 0, 0)
	want = append(h(h(want, 6), 3), 0xbb, 0xcc, 0, 0)
	want = append(h(h(want, 8), 4), 1, 2, 3, 4)
	if !bytes.Equal(b.msg, want) {
		t.Errorf("%x, expected %x", b.msg, want)
	}
}

// TestTemplatesAreWellFormed walks the attributes of each message, as deep as they nest.
func TestTemplatesAreWellFormed(t *testing.T) {
	for _, c := range []Churn{{Kinds: ChurnKinds()}, {Kinds: ChurnKinds(), Mark: 5, Zone: 9}} {
		for _, step := range []churnStep{createEntry, updateEntry, deleteEntry} {
			for _, tm := range c.templates(step) {
				if got := int(binary.NativeEndian.Uint32(tm.msg)); got != len(tm.msg) || got%4 != 0 || got > 512 {
					t.Errorf("%v: length field %d of %d bytes", step, got, len(tm.msg))
				}
				kinds := walk(t, tm.msg[unix.NLMSG_HDRLEN+4:])
				if !strings.HasPrefix(kinds, "1(1(12)2(") {
					if !strings.HasPrefix(kinds, "1(1(34)2(") {
						t.Errorf("%v: attributes %s do not begin with a tuple: a DELETE would flush", step, kinds)
					}
				}
			}
		}
	}
}

// walk writes attribute types, nests in parentheses.
func walk(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	for len(b) > 0 {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			t.Fatalf("attribute of %d bytes in %d", size, len(b))
		}
		out.WriteString(strings.TrimLeft(hex.EncodeToString([]byte{byte(kind)}), "0"))
		if kind&unix.NLA_F_NESTED != 0 {
			out.WriteString("(" + walk(t, b[4:size]) + ")")
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return out.String()
}
