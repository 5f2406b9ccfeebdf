package ctnetlink

import (
	"encoding/hex"
	"strings"
	"testing"
)

// unhex turns hex with comments (# to the line's end) into bytes.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	p, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What this kernel does not send, written by hand after the kernel's headers,
// for a little-endian host.
const (
	handDCCP = `
		64000000 00010000 00000000 00000000  # length 100, conntrack NEW, no flags, seq 0, from the kernel
		0a000000                             # AF_INET6, version 0
		2800 0480                            # PROTOINFO, nested, 40 bytes
		  2400 0280                          # DCCP
		    0500 0100 04 000000              # STATE 4, OPEN
		    0500 0200 01 000000              # ROLE 1, SERVER
		    0400 0400                        # PAD, which means nothing
		    0c00 0300 0000a1b2c3d4e5f6       # HANDSHAKE_SEQ
		2000 0180                            # TUPLE_ORIG: a protocol and ports, no address
		  1c00 0280
		    0500 0100 21 000000              # NUM 33
		    0600 0200 0102 0000              # SPORT 258
		    0500 0800 01 000000              # an ICMPv6 type, which DCCP has not
		0800 0c00 deadbeef                   # ID`
	wantDCCP = `event update conntrack ipv6
orig proto=33 sport=258 icmp_type=1
proto 33
id 3735928559
dccp_state 4
dccp_role 1
dccp_seq 177789161760246

`
	handRare = `
		ac000000 00010006 00000000 00000000  # conntrack NEW, CREATE and EXCL
		02000000
		1c00 1880                            # SYNPROXY
		  0800 0100 80000001                 # ISN
		  0800 0200 00000002                 # ITS
		  0800 0300 ffffffff                 # TSOFF
		1c00 0f80                            # SEQ_ADJ_ORIG
		  0800 0100 00000064                 # CORRECTION_POS 100
		  0800 0200 00000000                 # OFFSET_BEFORE 0
		  0800 0300 00000003                 # OFFSET_AFTER 3
		1c00 1080                            # SEQ_ADJ_REPLY
		  0800 0300 fffffffd                 # the order is free
		  0800 0200 00000007
		  0800 0100 00000065
		2800 1380                            # SECCTX
		  2200 0100 73797374656d5f753a6f626a6563745f723a756e6c6162656c65645f7400 0000
		0c00 0580                            # HELP
		  0700 0100 736970 00                # "sip" without its NUL
		0500 1100 01 000000                  # SECMARK, obsolete
		0800 1480                            # TIMESTAMP
		  0400 0300                          # PAD`
	wantRare = `event new conntrack ipv4
helper "sip"
secctx "system_u:object_r:unlabeled_t"
orig_seqadj {100 0 3}
reply_seqadj {101 7 4294967293}
synproxy {2147483649 2 4294967295}

`
	handExpect = `
		84000000 00020006 00000000 00000000  # expect NEW
		02000000
		0800 0500 00000001                   # ID
		0600 0700 0009 0000                  # ZONE 9
		0800 0800 00000005                   # FLAGS PERMANENT and USERSPACE
		0800 0900 00000002                   # CLASS 2
		3000 0a80                            # NAT
		  0800 0100 00000001                 # DIR 1, reply
		  2400 0280                          # TUPLE
		    1400 0180
		      0800 0100 c0000201             # 192.0.2.1
		      0800 0200 c0000202
		    0c00 0280
		      0500 0100 11 000000
		1600 0b00 6e61742d666f6c6c6f772d6d61737465 7200 0000  # FN "nat-follow-master"
		0800 0400 0000012c                   # TIMEOUT 300`
	wantExpect = `event new expect ipv4
expect_id 1
expect_timeout 300
expect_zone 9
expect_flags 5
expect_class 2
expect_nat 1 src=192.0.2.1 dst=192.0.2.2 proto=17
expect_fn "nat-follow-master"

`
)

func TestHandmade(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"dccp", handDCCP, wantDCCP}, {"rare", handRare, wantRare}, {"expect", handExpect, wantExpect},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := unhex(t, c.hex)
			got, err := golden(p)
			if err != nil || got != c.want {
				t.Errorf("%d bytes: %v\ngot\n%swant\n%s", len(p), err, got, c.want)
			}
		})
	}
}
