package conntrack

import (
	"strings"
	"testing"
)

// TestSavedLines reads what conntrack -o save writes: a file that the tool made
// must not be too lax for us.
func TestSavedLines(t *testing.T) {
	o := newOracle(t)
	for _, entry := range []string{
		`-p udp --sport 1 --dport 2 -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3:80 -m 5 -w 3 -u ASSURED,SEEN_REPLY`,
		`-p tcp --sport 1 --dport 2 -s 1.1.1.1 -d 2.2.2.2 --state ESTABLISHED -g 3.3.3.3`,
		`-p gre --srckey 5 --dstkey 6 -s 1.1.1.1 -d 2.2.2.2`,
		`-p sctp --state ESTABLISHED --orig-vtag 16 --reply-vtag 20 --sport 1 --dport 3 -s 1.1.1.1 -d 2.2.2.2`,
		`-s 1.1.1.1 -d 2.2.2.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 5 --orig-zone 4`,
		`-s ::1 -d ::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 5 --reply-zone 4`,
		`-p 50 -u FIXED_TIMEOUT -s 1.1.1.1 -d 2.2.2.2`,
		`-p udplite --sport 1 --dport 2 -s ::1 -d ::2`,
	} {
		argv := append([]string{"-I", "-t", "600"}, strings.Fields(entry)...)
		if _, err := o.parser.Parse(argv); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
		o.ns.Conntrack(t, argv...)
	}
	lines := o.ns.Conntrack(t, "-L", "-o", "save")
	if len(lines) != 8 {
		t.Fatalf("saved %d lines, expected 8", len(lines))
	}
	for _, line := range lines {
		c, err := (&Lines{Parser: o.parser}).Parse(line)
		if err != nil || c.Verb != VerbAdd || !c.Src.Addr.IsValid() || !c.Timeout.Set {
			t.Errorf("%s: got %+v, %v", line, c, err)
			continue
		}
		checkRoundTrip(t, &o.parser, c)
	}
}
