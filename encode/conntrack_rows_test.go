package encode_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// created are conntrack -I commands for all that the tool and this kernel can make.
const created = `
-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 999 -m 5
-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state TIME_WAIT -u SEEN_REPLY -t 500 -w 3
-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1001 --dport 80 --state SYN_RECV -t 900 --orig-zone 4
-p tcp -s 2001:db8::1 -d 2001:db8:0:1::2 --sport 5 --dport 6 --state SYN_SENT -t 99 -n 2001:db8::5 -m 0xffffffff
-p tcp -s ::ffff:1.2.3.4 -d ::9.8.7.6 --sport 5 --dport 6 --state CLOSE_WAIT -t 99 -u SEEN_REPLY,ASSURED,FIXED_TIMEOUT
-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1001 --dport 80 -t 400 --reply-zone 4
-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1002 --dport 80 -t 400 -n 192.0.2.5
-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1003 --dport 80 -t 400 -g 192.0.2.6
-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1004 --dport 80 -t 400 -n 192.0.2.5 -g 192.0.2.6
-p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 6 -t 300 -w 4
-p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 13 --icmp-code 0 --icmp-id 6 -t 300 -n 192.0.2.5
-p icmpv6 -s ::1 -d ::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 65535 -t 300
-p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 0x10 --dstkey 17 -t 300
-p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 5 --reply-vtag 4022250974 -t 300
-p sctp -s ::1 -d ::2 --sport 5 --dport 6 --state SHUTDOWN_ACK_SENT --orig-vtag 1 --reply-vtag 0 -t 300 -u SEEN_REPLY
-p dccp -s 10.0.0.1 -d 10.0.0.2 --sport 5 --dport 6 --state OPEN --role client -t 300
-p udplite -s 10.0.0.1 -d 10.0.0.2 --sport 5 --dport 6 -t 300
-p 99 -s 10.0.0.1 -d 10.0.0.2 -t 300
-p 0 -s 10.0.0.1 -d 10.0.0.2 -t 300 -m 7`

var (
	textTimeout = regexp.MustCompile(`^((?:ipv[46] +\d+ )?\w+ +\d+ )(\d+)`)
	savedTime   = regexp.MustCompile(`^(-[AUD] -t )(\d+)`)
	xmlTimeout  = regexp.MustCompile(`(<timeout>)(\d+)`)
	expectTime  = regexp.MustCompile(`^((?:\[time\]\t)?)(\d+) proto=`)
	xmlAge      = regexp.MustCompile(`(<deltatime>)(\d+)`)
	textAge     = regexp.MustCompile(`( delta-time=)(\d+)`)
)

// running takes out what changes while one looks: timeouts and ages.
func running(line string) (rest string, numbers []int) {
	for _, p := range []*regexp.Regexp{textTimeout, savedTime, xmlTimeout, expectTime, xmlAge, textAge} {
		if m := p.FindStringSubmatchIndex(line); m != nil {
			n, _ := strconv.Atoi(line[m[4]:m[5]])
			numbers = append(numbers, n)
			line = line[:m[4]] + "N" + line[m[5]:]
		}
	}
	return line, numbers
}

// rows compares rows in any order; what runs may differ by two seconds.
func rows(t *testing.T, what string, got, want []string) {
	t.Helper()
	order := func(line func(string) string) func(a, b string) int {
		return func(a, b string) int {
			a, _ = running(line(a))
			b, _ = running(line(b))
			return strings.Compare(a, b)
		}
	}
	got, want = rowsOnly(got), rowsOnly(want)
	slices.SortFunc(got, order(ourLine))
	slices.SortFunc(want, order(toolLine))
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, conntrack has %d:\n%s\n%s", what, len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range got {
		ours, n := running(ourLine(got[i]))
		theirs, m := running(toolLine(want[i]))
		if ours != theirs {
			t.Fatalf("%s:\n  ours %s\n  tool %s", what, ours, theirs)
		}
		for k := range n {
			if n[k]-m[k] > 2 || m[k]-n[k] > 2 {
				t.Errorf("%s: %d and %d in\n  ours %s\n  tool %s", what, n[k], m[k], got[i], want[i])
			}
		}
	}
}

// dumped prints a dump.
func dumped(t *testing.T, ns *testnet.Namespace, table flow.Table, text encode.Text) (lines []string) {
	t.Helper()
	text.Now = time.Now().UnixNano()
	_, err := dial(t, ns).Dump(t.Context(), table, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			lines = append(lines, string(text.AppendRow(nil, &b.Events()[i])))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func dial(t *testing.T, ns *testnet.Namespace) *ctnetlink.Conn {
	t.Helper()
	c, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// fill makes entries of every kind: by traffic and by conntrack's own hand.
func fill(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	tr := testnet.Traffic{NS: ns}
	do := func(_ int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (testnet.Mix{NS: ns, Flows: 60}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(tr.GRE(t.Context(), 3))
	do(tr.ESP(t.Context()))
	do(testnet.Traffic{NS: ns, Port: 21}.FTP(t.Context(), 2, true))
	do(testnet.Traffic{NS: ns, Port: 21}.FTP(t.Context(), 2, false))
	do(testnet.Traffic{NS: ns, Port: 21, Src: netip.IPv6Loopback()}.FTP(t.Context(), 2, false))
	if _, err := (testnet.Churn{NS: ns, Entries: 40, Keep: true, Mark: 7, Zone: 9}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.TrimSpace(created)) {
		ns.Conntrack(t, append([]string{"-I"}, strings.Fields(line)...)...)
	}
}

// manyRules give real traffic a helper, a mark, a label, zones and NAT.
func manyRules() []testnet.Rule {
	loopback := netip.MustParseAddr("127.0.0.1")
	return []testnet.Rule{
		testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp"),
		testnet.SetMark(testnet.Match{Proto: unix.IPPROTO_ICMP}, 0xdeadbeef),
		testnet.SetMark(testnet.Match{Proto: unix.IPPROTO_UDP, Src: loopback}, 3),
		testnet.SetLabel(testnet.Match{Proto: unix.IPPROTO_ICMPV6}, 65),
		testnet.SetZone(testnet.Match{Proto: unix.IPPROTO_SCTP}, 17),
	}
}

// leastRows is how many rows fill makes at least.
var leastRows = map[flow.Table]int{flow.TableConntrack: 90, flow.TableExpect: 4}

// listed lets conntrack list a table.
func listed(t *testing.T, ns *testnet.Namespace, table flow.Table, o output) []string {
	t.Helper()
	args := []string{"-L", table.String()}
	if o.options != "" {
		args = append(args, "-o", o.options)
	}
	lines := ns.Conntrack(t, args...)
	if o.text.XML {
		frame := string(encode.AppendXMLFooter(encode.AppendXMLHeader(nil, table), table))
		if frame != lines[0]+"\n"+lines[1]+"\n"+lines[len(lines)-1]+"\n" {
			t.Errorf("%s: frame %q, conntrack has %q", o.options, frame, lines)
		}
	}
	if table == flow.TableExpect {
		// Without a family conntrack lists those of IPv4 only.
		lines = append(lines, ns.Conntrack(t, append(args, "-f", "ipv6")...)...)
	}
	return rowsOnly(lines)
}

// TestRowsPrintAsConntrackDoes lists a table of real and created entries in
// every format, with conntrack and with ours.
func TestRowsPrintAsConntrackDoes(t *testing.T) {
	tool(t)
	ns := quiet(t, manyRules()...)
	fill(t, ns)
	for _, table := range []flow.Table{flow.TableConntrack, flow.TableExpect} {
		for _, o := range outputs() {
			for try := 0; ; try++ {
				start := time.Now()
				got, want := dumped(t, ns, table, o.text), listed(t, ns, table, o)
				if time.Since(start) > time.Second && try < 5 {
					continue // a busy machine: too much has changed meanwhile
				}
				if len(want) < leastRows[table] {
					t.Fatalf("%d rows are too few to tell anything", len(want))
				}
				rows(t, table.String()+" "+o.options, got, want)
				break
			}
		}
	}
	ns.Conntrack(t, "-F")
	if lines := ns.Conntrack(t, "-L", "-o", "xml"); len(lines) != 0 {
		t.Errorf("an empty table has %q", lines)
	}
}

// TestCommandsPrintAsConntrackDoes compares the rows of -G, -U and -D.
func TestCommandsPrintAsConntrackDoes(t *testing.T) {
	tool(t)
	for _, o := range outputs() {
		ns := quiet(t)
		for line := range strings.Lines(strings.TrimSpace(created)) {
			ns.Conntrack(t, append([]string{"-I"}, strings.Fields(line)...)...)
		}
		options := func(args ...string) []string {
			if o.options != "" {
				args = append(args, "-o", o.options)
			}
			return args
		}
		one := []string{"-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1002", "--dport", "80"}
		key := flow.Key{Tuple: flow.Tuple{
			Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Family: flow.IPv4, Proto: flow.ProtoUDP,
			Src: flow.Addr{10, 0, 0, 1}, Dst: flow.Addr{10, 0, 0, 2}, SrcPort: 1002, DstPort: 80,
		}}
		b := flow.NewBatch(1)
		get := func() []string {
			b.Reset()
			if err := dial(t, ns).Get(t.Context(), key, b); err != nil {
				t.Fatal(err)
			}
			o.text.Now = time.Now().UnixNano()
			return []string{string(o.text.AppendRow(nil, &b.Events()[0]))}
		}
		rows(t, "-G "+o.options, get(), ns.Conntrack(t, options(append([]string{"-G"}, one...)...)...))
		want := ns.Conntrack(t, options("-U", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1001", "--dport", "80", "-m", "77")...)
		key.Tuple.SrcPort, key.Tuple.Zone = 1001, 4
		if mark := get(); !strings.Contains(mark[0], "77") {
			t.Errorf("-U %s: not updated: %q", o.options, mark)
		}
		o.text.KTimestamp = false // see encode.TextDifferences
		rows(t, "-U "+o.options, get(), want)
		var got []string
		_, err := dial(t, ns).Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error {
			for i := range b.Events() {
				o.text.Now = time.Now().UnixNano()
				got = append(got, string(o.text.AppendDeleted(nil, &b.Events()[i])))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rows(t, "-D "+o.options, got, ns.Conntrack(t, options("-D")...))
	}
}
