package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// inverse checks that parse finds every name that text gives for 0…255, and
// nothing else; near says that case does not matter.
func inverse[T ~uint8](t *testing.T, what string, text func(T) string, parse func(string) (T, bool), want []string, near bool) {
	t.Helper()
	var names []string
	for n := range 256 {
		name := text(T(n))
		if name == "" {
			continue
		}
		names = append(names, name)
		if v, ok := parse(name); !ok || v != T(n) {
			t.Errorf("%s %q: %v %v, want %d", what, name, v, ok, n)
		}
		other := strings.ToUpper(name)
		if other == name {
			other = strings.ToLower(name)
		}
		if _, ok := parse(other); ok != near {
			t.Errorf("%s %q: found %v", what, other, ok)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("%s: %v, want %v", what, names, want)
	}
	for _, s := range []string{"", "x", "unspecified", " new"} {
		if _, ok := parse(s); ok {
			t.Errorf("%s %q is found", what, s)
		}
	}
}

func TestNames(t *testing.T) {
	list := func(s string) []string { return strings.Fields(s) }
	inverse(t, "type", Type.String, ParseType, list("new update destroy dump dump_end interim gap status"), false)
	inverse(t, "table", Table.String, ParseTable, list("conntrack expect"), false)
	inverse(t, "family", Family.String, ParseFamily, list("ipv4 ipv6"), false)
	inverse(t, "time source", TimeSource.String, ParseTimeSource, list("kernel received inferred"), false)
	inverse(t, "protocol", ProtoName, ProtoNum, list("icmp tcp udp dccp gre icmpv6 sctp udplite"), false)
	inverse(t, "tcp state", TCPStateName, ParseTCPState,
		list("NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2"), true)
	inverse(t, "sctp state", SCTPStateName, ParseSCTPState,
		list("NONE CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT HEARTBEAT_SENT HEARTBEAT_ACKED"), true)
	inverse(t, "dccp state", DCCPStateName, ParseDCCPState,
		list("NONE REQUEST RESPOND PARTOPEN OPEN CLOSEREQ CLOSING TIMEWAIT IGNORE INVALID"), true)
	inverse(t, "dccp role", DCCPRoleName, ParseDCCPRole, list("CLIENT SERVER"), true)
	if n, ok := ParseTCPState("listen"); !ok || TCPStateName(n) != "SYN_SENT2" {
		t.Error("LISTEN is not SYN_SENT2")
	}
	if IPv4.AddrLen() != 4 || IPv6.AddrLen() != 16 {
		t.Error("AddrLen")
	}
	names := TypeNames()
	if names[0] = "x"; TypeNames()[0] != "new" {
		t.Error("TypeNames gives the package's own list away")
	}
	protos := slices.Clone(ProtoNames())
	if slices.Sort(protos); !slices.Equal(protos, list("dccp gre icmp icmpv6 sctp tcp udp udplite")) {
		t.Errorf("protocols %v", protos)
	}
}

func TestStatusNames(t *testing.T) {
	want := strings.Fields("EXPECTED SEEN_REPLY ASSURED CONFIRMED SRC_NAT DST_NAT SEQ_ADJUST SRC_NAT_DONE DST_NAT_DONE " +
		"DYING FIXED_TIMEOUT TEMPLATE NAT_CLASH HELPER OFFLOAD HW_OFFLOAD")
	for n, name := range want {
		for _, s := range []string{name, strings.ToLower(name)} {
			if bit, ok := ParseStatus(s); !ok || bit != 1<<n || StatusName(n) != name {
				t.Errorf("%s: %x %v, bit %d is %s", s, bit, ok, n, StatusName(n))
			}
		}
	}
	for _, n := range []int{-1, 16, 31, 32} {
		if StatusName(n) != "" {
			t.Errorf("bit %d has a name", n)
		}
	}
	if _, ok := ParseStatus("UNREPLIED"); ok {
		t.Error("UNREPLIED is no bit")
	}
	if StatusExpected != 1 || StatusAssured != 4 || StatusFixedTimeout != 1<<10 || StatusHWOffload != 1<<15 {
		t.Error("a status bit has moved")
	}
	for n, want := range map[int]string{-1: "", 0: "PERMANENT", 1: "INACTIVE", 2: "USERSPACE", 3: ""} {
		if ExpectFlagName(n) != want {
			t.Errorf("expectation flag %d: %q", n, ExpectFlagName(n))
		}
	}
}

func TestTypes(t *testing.T) {
	s := TypesOf(TypeNew, TypeDestroy, TypeNew)
	for typ := TypeUnspecified; typ <= TypeStatus; typ++ {
		if got, want := s.Has(typ), typ == TypeNew || typ == TypeDestroy; got != want {
			t.Errorf("%v: %v", typ, got)
		}
		if got, want := AlwaysTypes.Has(typ), typ == TypeGap || typ == TypeStatus; got != want {
			t.Errorf("always %v: %v", typ, got)
		}
	}
	if got := fmt.Sprint((s | AlwaysTypes).Names()); got != "[new destroy gap status]" {
		t.Error(got)
	}
	if Types(0).Names() != nil || Types(1).Names() != nil {
		t.Error("an empty set has names")
	}
}

// TestPresenceBits keeps every bit apart; a flag more than the type holds would be 0.
func TestPresenceBits(t *testing.T) {
	if HasSynthetic == 0 || HasSynthetic != 1<<42 || HasExpectFn != 1<<10 || HasProto != 1<<8 {
		t.Errorf("bits: %d %d %d", HasSynthetic, HasExpectFn, HasProto)
	}
}
