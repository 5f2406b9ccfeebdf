package conntrack

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestCommands holds what lines mean, field by field.
func TestCommands(t *testing.T) {
	ip := netip.MustParseAddr
	for text, want := range map[string]Command{
		``:                     {},
		`-h -p gre`:            {Verb: VerbHelp, Proto: Some[uint8](47)},
		`-V`:                   {Verb: VerbVersion},
		`-C expect`:            {Verb: VerbCount, Table: TableExpect},
		`-S ex`:                {Verb: VerbStats, Table: TableExpect},
		`-L dying -f ipv6`:     {Verb: VerbList, Table: TableDying, Family: flow.IPv6},
		`-L -z -o ktimestamp`:  {Verb: VerbList, Zero: true, Output: OutputKTimestamp},
		`-L -u UNSET`:          {Verb: VerbList, Status: Status{Set: true}},
		`-L -u UNREPLIED,ASSU`: {Verb: VerbList, Status: Status{Set: true, Bits: flow.StatusAssured, Unreplied: true}},
		`-D -i 0x10 -t 5 -w 3 --orig-zone 1 --reply-zone 2`: {Verb: VerbDelete, ID: Some[uint32](16), Timeout: Some[uint32](5),
			Zone: Some[uint16](3), OrigZone: Some[uint16](1), ReplyZone: Some[uint16](2)},
		`-U -m 1/0xf0 --label-del`:                     {Verb: VerbUpdate, Mark: Some(Mark{1, 0xf0}), LabelDelAll: true},
		`-L -l a,b -l c -c 5`:                          {Verb: VerbList, Labels: []string{"a", "b", "c"}, Secmark: Some[uint32](5)},
		`-L -s 10.1.2.3/255 `:                          {},
		`-L -s 10.1.2.3 --mask-src 255.0.255.0 -d ::1`: {},
		`-L -s 10.1.2.3 --mask-src 255.0.255.0 -q 10.0.0.1`: {Verb: VerbList,
			Src: Masked{ip("10.0.2.0"), ip("255.0.255.0")}, ReplyDst: ip("10.0.0.1")},
		`-L -n -g [::1]:80`: {Verb: VerbList, SrcNAT: NAT{Set: true}, DstNAT: NAT{Set: true, Addr: ip("::1"), Port: Some[uint16](80)}},
		`-G -p icmpv6 -r ::2 -q ::1 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7`: {Verb: VerbGet, Proto: Some[uint8](58),
			ReplySrc: ip("::2"), ReplyDst: ip("::1"), ICMP: ICMP{Some[uint8](128), Some[uint8](0), Some[uint16](7)}},
		`-I -p sctp -t 9 -s ::1 -d ::2 --sport 1 --dport 2 --state CLOSED --orig-vtag 4294967295 --reply-vtag 0`: {Verb: VerbCreate,
			Proto: Some[uint8](132), Timeout: Some[uint32](9), Src: Masked{Addr: ip("::1")}, Dst: Masked{Addr: ip("::2")},
			Ports: Ports{Src: Some[uint16](1), Dst: Some[uint16](2)}, State: Some[uint8](1), SCTP: SCTP{Some[uint32](1<<32 - 1), Some[uint32](0)}},
		`-A -p dccp -t 9 -r ::1 -q ::2 --reply-port-src 1 --reply-port-dst 2 --state OPEN --role SER`: {Verb: VerbAdd,
			Proto: Some[uint8](33), Timeout: Some[uint32](9), ReplySrc: ip("::1"), ReplyDst: ip("::2"),
			Ports: Ports{ReplySrc: Some[uint16](1), ReplyDst: Some[uint16](2)}, State: Some[uint8](4), Role: Some[uint8](1)},
		`-L -p gre --srckey 0x10 --dstkey 010`: {Verb: VerbList, Proto: Some[uint8](47), Ports: Ports{Src: Some[uint16](16), Dst: Some[uint16](8)}},
		`-I expect -s 1.1.1.1 -d 2.2.2.2 -p 50 -t 10 --tuple-src 1.1.1.9/24 --tuple-dst 2.2.2.2 --mask-dst 255.255.0.0`: {
			Verb: VerbCreate, Table: TableExpect, Proto: Some[uint8](50), Timeout: Some[uint32](10),
			Src: Masked{Addr: ip("1.1.1.1")}, Dst: Masked{Addr: ip("2.2.2.2")},
			Expect: Expect{ip("1.1.1.9"), ip("2.2.2.2"), ip("255.255.255.0"), ip("255.255.0.0")}},
		`-E -e DEST -b 4096 -o json`: {Verb: VerbEvents, Events: flow.TypesOf(flow.TypeDestroy), Buffer: Some(4096), Output: OutputJSON},
	} {
		argv, _ := splitLine(nil, text)
		got, err := Parse(argv)
		if reflect.DeepEqual(want, Command{}) && text != "" {
			if err == nil {
				t.Errorf("%s was taken", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", text, *got, want)
		}
	}
}

func TestAddrFamily(t *testing.T) {
	for text, want := range map[string]flow.Family{
		`-L`:                        flow.FamilyUnspecified,
		`-L -f ipv4`:                flow.IPv4,
		`-L -s 1.1.1.1`:             flow.IPv4,
		`-L -s ::ffff:1.1.1.1`:      flow.IPv6,
		`-L -n ::1`:                 flow.IPv6,
		`-L -j`:                     flow.FamilyUnspecified,
		`-L -f ipv6 -d 2001:db8::1`: flow.IPv6,
	} {
		if got := parseText(t, text).AddrFamily(); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func TestUsageErrorText(t *testing.T) {
	const title = "conntrack v1.4.7 (conntrack-tools)"
	for text, want := range map[string]string{
		`-L -Z`: title + ": unknown option `-Z'\n" +
			"Try `conntrack -h' or 'conntrack --help' for more information.\n",
		`-L -o save,id`: title + ": cannot combine save output with any other output type, use -o save only\n",
	} {
		argv, _ := splitLine(nil, text)
		_, err := Parse(argv)
		u, ok := err.(*UsageError)
		if !ok {
			t.Fatalf("%s: %v", text, err)
		}
		if got := u.Text(title, "conntrack"); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	got := ProtocolNames("# c\nip 0 IP # x\nesp\t50 IPSEC-ESP\nbad\nbig 256\nIP 4\n")
	if want := (map[string]uint8{"ip": 0, "IP": 0, "esp": 50, "IPSEC-ESP": 50}); !reflect.DeepEqual(got, want) {
		t.Errorf("protocols: got %v, want %v", got, want)
	}
	got = LabelNames("# c\n0 zero\n127 last extra\n128 far\n3\n0x10 hex\n")
	if want := (map[string]uint8{"zero": 0, "last": 127, "hex": 16}); !reflect.DeepEqual(got, want) {
		t.Errorf("labels: got %v, want %v", got, want)
	}
}
