package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestParityExpect asks about expectations of a real FTP helper, whose ports
// are known only once it has made them: {m} is the master's source port, {e} the
// expected one.
func TestParityExpect(t *testing.T) {
	s := newStage(t)
	ours := tool(asName(t, "conntrack"), "conntrack")
	for _, c := range []struct{ difference, text string }{
		{"", "-G expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport {e} --reply-port-src {e} --reply-port-dst 0"},
		{"", "-G expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 99 --dport {e} --reply-port-src {e} --reply-port-dst 99"},
		{"", "-G expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport 1 --reply-port-src 1 --reply-port-dst 0"},
		{"", "-G expect -p udp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport {e} --reply-port-src {e} --reply-port-dst 0"},
		{"expect-delete", "-D expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport {e} --reply-port-src {e} --reply-port-dst 0"},
		{"", "-D expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport 1 --reply-port-src 1 --reply-port-dst 0"},
		{"expect-create", "-I expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport {m} --dport 21 -t 100 --tuple-src 127.0.0.1 --tuple-dst 127.0.0.1" +
			" --tuple-port-src 0 --tuple-port-dst 77 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535"},
		{"", "-I expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 1 --dport 21 -t 100 --tuple-src 127.0.0.1 --tuple-dst 127.0.0.1" +
			" --tuple-port-src 0 --tuple-port-dst 77 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535"},
		{"", "-I expect -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 1 --dport 21 -t 100"},
		{"", "-L expect -f ipv4"},
		{"", "-L expect -f ipv4 -o xml"},
		{"", "-F expect"},
	} {
		outcomes, tables := map[*testnet.Namespace]outcome{}, map[*testnet.Namespace]string{}
		for _, ns := range []*testnet.Namespace{s.theirs, s.ours} {
			s.empty(t, ns)
			if _, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 1, false); err != nil {
				t.Fatal(err)
			}
			run := map[*testnet.Namespace]runner{s.theirs: tool(s.oracle, "conntrack"), s.ours: ours}[ns]
			master, expected := s.ports(t, ns)
			words := strings.NewReplacer("{m}", master, "{e}", expected).Replace(c.text)
			hide := strings.NewReplacer("sport="+master+" ", "sport=M ", "dport="+expected+" ", "dport=E ",
				"<sport>"+master+"<", "<sport>M<", "<dport>"+expected+"<", "<dport>E<")
			o := run(t, ns, &parityLine{argv: strings.Fields(words)}, false)
			outcomes[ns] = outcome{hide.Replace(o.stdout), o.stderr, o.code}
			tables[ns] = hide.Replace(run(t, ns, &parityLine{argv: []string{"-L", "expect", "-f", "ipv4"}}, false).stdout)
		}
		line := parityLine{argv: strings.Fields(c.text)}
		problem := problems(compareOutcomes(&line, outcomes[s.theirs], outcomes[s.ours], closely), differ("the table afterwards", tables[s.theirs], tables[s.ours], closely))
		switch {
		case problem != "" && c.difference == "":
			t.Errorf("conntrack %s\n%s", c.text, problem)
		case problem == "" && c.difference != "":
			t.Errorf("conntrack %s\nis marked as difference %s, and there is none", c.text, c.difference)
		case c.difference != "" && outcomes[s.ours].code != 0:
			t.Errorf("conntrack %s\nours fails: %+v", c.text, outcomes[s.ours])
		}
		if c.difference == "expect-create" && !strings.Contains(tables[s.ours], "proto=6 src=127.0.0.1 dst=127.0.0.1 sport=0 dport=77") {
			t.Errorf("the expectation that was made is not there: %s", tables[s.ours])
		}
	}
}

func (s *stage) empty(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	for _, argv := range [][]string{{"-F", "expect"}, {"-F"}} {
		if o := tool(s.oracle, "conntrack")(t, ns, &parityLine{argv: argv}, false); o.code != 0 {
			t.Fatalf("%q: %+v", argv, o)
		}
	}
}

var expectPorts = regexp.MustCompile(`dport=(\d+) mask-src.* master-src=\S+ master-dst=\S+ sport=(\d+) `)

// ports are the master's source port and the expected port of the only expectation.
func (s *stage) ports(t *testing.T, ns *testnet.Namespace) (master, expected string) {
	t.Helper()
	text := tool(s.oracle, "conntrack")(t, ns, &parityLine{argv: []string{"-L", "expect", "-f", "ipv4"}}, false).stdout
	m := expectPorts.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no expectation in %q", text)
	}
	return m[2], m[1]
}
