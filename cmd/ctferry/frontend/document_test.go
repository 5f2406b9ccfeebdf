package frontend

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
)

var update = flag.Bool("update", false, "write docs/requests.md anew")

const documentHead = `# What a command line asks of a node

Every command line of conntrack(8) becomes one request, on this host as on any
other. This table says which: the table and the verb, which stand in the
subject, and the fields of the body. Beside them every body has ` + "`v`, `request`\nand `issued_at`" + `. The page is made by a test from the code that does it; how
requests travel stands in [control-nats.md](control-nats.md).

| command line | table | verb | fields |
|---|---|---|---|
`

// examples have every option of the grammar at least once, and every command on
// every table.
func examples() []string {
	return strings.Split(strings.TrimSpace(`
-L
-L -f ipv6
-L -z
-L -p tcp --state ESTABLISHED --dport 443
-L -p udp --sport 53 --reply-port-src 53 --reply-port-dst 40000
-L -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7
-L -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7
-L -p sctp --state COOKIE_WAIT
-I -p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 30 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2
-L -p dccp --state OPEN
-I -p dccp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 30 --state OPEN --role client
-L -p gre --srckey 1 --dstkey 0x2 --reply-key-src 3 --reply-key-dst 4
-L -p 50
-L -s 10.0.0.0/8 -d 192.0.2.1
-L -s 10.0.0.1 --mask-src 255.0.0.255 -d 10.0.0.2 --mask-dst 255.255.0.0
-L -r 192.0.2.1 -q 198.51.100.7
-L -m 1/0xff
-L -u ASSURED,SEEN_REPLY
-L -u UNREPLIED
-L -n
-L -n 192.0.2.1:4000
-L -g 10.0.0.9
-L -j 192.0.2.1
-L -w 5
-L --orig-zone 5 --reply-zone 6
-L -l one,two
-L -o extended,id,ktimestamp
-L --limit 10
-L -c 1
-L dying
-L unconfirmed
-L expect
-G -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80
-G expect -p 50 -s 10.0.0.1 -d 10.0.0.2
-D
-D -p udp --dport 53 -t 30
-D -i 12345
-D expect -p 50 -s 10.0.0.1 -d 10.0.0.2
-D -s 10.0.0.1 --dry-run
-I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state ESTABLISHED -t 300 -u ASSURED -m 7
-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 30 -n 192.0.2.1 --label-add one
-A -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 30 -g 192.0.2.9
-I expect -p tcp -t 30 -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 21 --tuple-src 10.0.0.2 --tuple-dst 10.0.0.1 --tuple-port-src 0 --tuple-port-dst 2000 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535
-I expect -p gre -t 30 -s 10.0.0.1 -d 10.0.0.2 --srckey 1 --dstkey 2 --reply-key-src 2 --reply-key-dst 1 --tuple-src 10.0.0.2 --tuple-dst 10.0.0.1 --tuple-key-src 1 --tuple-key-dst 2 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-key-src 0 --mask-key-dst 65535
-U -s 10.0.0.1 -t 60 -m 1/0xff
-U -p tcp --dport 80 -u ASSURED
-U -s 10.0.0.1 --label-add one --label-del two
-U -s 10.0.0.1 --label-del
-E
-E -e NEW,DESTROY -p tcp -b 1048576 -o timestamp,userspace
-E expect
-F
-F -f ipv6
-F expect
-C
-C expect
-S
-S expect
-L -a 192.0.2.1-192.0.2.9
-U expect
-D dying`), "\n")
}

// TestRequestsDocument holds docs/requests.md to the code.
func TestRequestsDocument(t *testing.T) {
	front := &Front{Names: NewNames("esp 50\n", "0 zero\n1 one\n2 two\n")}
	var b strings.Builder
	b.WriteString(documentHead)
	for _, line := range examples() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", line, front.cells(t, line))
	}
	fmt.Fprint(&b, "| `-R FILE` | | | one request for each of the file's commands; `-I` and `-A` that follow one another go together |\n",
		"| `-h`, `-V` | | | none: the program answers by itself |\n")
	const path = "../../../docs/requests.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the code says (%v): run go test with -update", path, err)
	}
}

// cells are a line's table, verb and fields.
func (f *Front) cells(t *testing.T, line string) string {
	t.Helper()
	c, err := f.parser().Parse(strings.Fields(line))
	if err != nil {
		return " | | refused: " + err.Error()
	}
	target, err := newTarget(c.Extra)
	if err != nil {
		t.Fatal(line, err)
	}
	s, err := f.step(c, target)
	if err != nil {
		return " | | refused: " + err.Error()
	}
	q := s.request
	body, err := json.Marshal(q)
	if err != nil {
		t.Fatal(line, err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(line, err)
	}
	for _, name := range []string{"v", "request", "issued_at", "verb", "table"} {
		delete(fields, name)
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text) // sorts the names
	out.SetEscapeHTML(false)
	if err := out.Encode(fields); err != nil {
		t.Fatal(line, err)
	}
	return fmt.Sprintf("%s | %s | `%s`", q.Table, q.Verb, strings.TrimSpace(text.String()))
}

// TestExamplesHaveEveryOption: no option of the grammar is missing on the page.
func TestExamplesHaveEveryOption(t *testing.T) {
	f := &Front{Names: NewNames("", "1 one\n2 two\n")}
	seen := map[string]bool{}
	for _, line := range examples() {
		c, err := f.parser().Parse(strings.Fields(line))
		if err != nil {
			continue
		}
		for _, word := range append(c.Args(), strings.Fields(line)...) {
			seen[word] = true
		}
	}
	text := conntrack.Usage("x")
	for _, num := range []uint8{6, 1, 58, 132, 33, 47} {
		text += conntrack.ProtocolUsage(num)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(?:(-\w), )?(--[a-z0-9-]+)(?:, (--[a-z0-9-]+))?`).FindAllStringSubmatch(text, -1) {
		if m[1] == "-R" || m[1] == "-h" || m[1] == "-V" {
			continue
		}
		if !seen[m[1]] && !seen[m[2]] && !seen[m[3]] {
			t.Errorf("no example has %v", m[1:])
		}
	}
}
