package frontend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// script is a Caller that answers as told and keeps what it was asked.
type script struct {
	asked  []control.Request
	rows   int // rows that it tells
	node   string
	result control.Result
	err    error
	gap    bool // a gap record comes after the rows
	takes  time.Duration
	at     []time.Time // when it was asked
}

// Call implements control.Caller.
func (s *script) Call(_ context.Context, q *control.Request, rows func(*flow.Batch) error) (*control.Result, error) {
	s.asked, s.at = append(s.asked, *q), append(s.at, time.Now())
	time.Sleep(s.takes)
	if err := q.Validate(); err != nil {
		return &control.Result{}, err
	}
	b := flow.NewBatch(8)
	for i := 0; i < s.rows && rows != nil; i++ {
		b.Reset()
		s.row(b.Next(), uint16(i))
		if err := rows(b); err != nil {
			return &control.Result{}, err
		}
	}
	if s.gap && rows != nil {
		b.Reset()
		lost := uint64(7)
		e := b.Next()
		e.Type, e.Gap, e.Origin = flow.TypeGap, &flow.Gap{Scope: "kernel", Lost: &lost}, &flow.Origin{Node: s.node}
		if err := rows(b); err != nil {
			return &control.Result{}, err
		}
	}
	result := s.result
	return &result, s.err
}

func (s *script) row(e *flow.Event, port uint16) {
	e.Type, e.Table, e.Family, e.Proto = flow.TypeNew, flow.TableConntrack, flow.IPv4, flow.ProtoUDP
	e.Has = flow.HasOrig | flow.HasReply | flow.HasTimeout | flow.HasLabels
	e.Timeout, e.Labels = 30, [16]byte{2}
	e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasPorts | flow.HasProto, Family: flow.IPv4, Proto: flow.ProtoUDP,
		Src: flow.Addr{10, 0, 0, 1}, Dst: flow.Addr{10, 0, 0, 2}, SrcPort: port, DstPort: 53}
	e.Reply, _ = e.Orig.Inverse()
	e.Origin = &flow.Origin{Node: s.node}
}

// told is what a command line came to.
type told struct {
	code        int
	out, errOut string
	target      Target
}

// run carries out a command line with hosts.
func runLine(hosts Hosts, in string, argv ...string) told {
	var out, errOut bytes.Buffer
	var t told
	f := &Front{Program: "ctferry", Version: "1.2.3", Names: NewNames("esp 50 ESP\n", "0 zero\n1 one\n127 last\n"), In: strings.NewReader(in), Out: &out, Err: &errOut}
	f.Open = func(_ context.Context, target Target) (Hosts, error) {
		t.target = target
		if hosts == nil {
			return nil, errors.New("nobody is there")
		}
		return hosts, nil
	}
	t.code = f.Run(context.Background(), argv)
	t.out, t.errOut = out.String(), errOut.String()
	return t
}

const row0 = "udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=53 src=10.0.0.2 dst=10.0.0.1 sport=53 dport=0"

// TestRequests holds command lines to the requests that they become, in the
// requests' own JSON.
func TestRequests(t *testing.T) {
	for line, want := range map[string]string{
		"-L":                                     `{"verb":"list","table":"conntrack"}`,
		"-L -f ipv6 --limit 5":                   `{"verb":"list","table":"conntrack","family":"ipv6","limit":5}`,
		"-L -z":                                  `{"verb":"zero","table":"conntrack"}`,
		"-L dying -s 1.1.1.1":                    `{"verb":"list","table":"dying","family":"ipv4","filter":{"include":[{"orig_src":"1.1.1.1"}]}}`,
		"-L unconfirmed":                         `{"verb":"list","table":"unconfirmed"}`,
		"-L expect -f ipv4":                      `{"verb":"list","table":"expect","family":"ipv4"}`,
		"-L -s 1.1.1.9 --mask-src 255.0.255.0":   `{"verb":"list","table":"conntrack","family":"ipv4","filter":{"include":[{"orig_src":"1.0.1.0/255.0.255.0"}]}}`,
		"-L -p gre --srckey 5 --reply-key-dst 6": `{"verb":"list","table":"conntrack","filter":{"include":[{"proto":"gre","srckey":5,"reply_key_dst":6}]}}`,
		"-L -m 5/2":                              `{"verb":"list","table":"conntrack","filter":{"exclude":[{"mark":"0-4294967295"}]}}`,
		"-L -m 0/0":                              `{"verb":"list","table":"conntrack"}`,
		"-L -u UNREPLIED,ASSURED":                `{"verb":"list","table":"conntrack","filter":{"include":[{"status":["ASSURED","UNREPLIED"]}]}}`,
		"-L -u UNSET":                            `{"verb":"list","table":"conntrack","filter":{"include":[{"status":"UNSET"}]}}`,
		"-L -l one,last -w 3":                    `{"verb":"list","table":"conntrack","filter":{"include":[{"zone":3,"labels":[1,127]}]}}`,
		"-L -j 1.1.1.1:5":                        `{"verb":"list","table":"conntrack","family":"ipv4","filter":{"include":[{"reply_port_dst":5,"reply_dst":"1.1.1.1","src_nat":true},{"reply_port_src":5,"reply_src":"1.1.1.1","dst_nat":true}]}}`,
		"-L -n -g":                               `{"verb":"list","table":"conntrack","filter":{"include":[{"src_nat":true,"dst_nat":true}]}}`,
		"-L -g 1.1.1.1 -r 2.2.2.2":               `{"verb":"list","table":"conntrack","family":"ipv4","filter":{"exclude":[{"mark":"0-4294967295"}]}}`,
		"-D -p tcp --state CLOSE -t 5 -i 9":      `{"verb":"delete","table":"conntrack","filter":{"include":[{"proto":"tcp","state":"CLOSE","id":9,"timeout":5}]},"rows":true}`,
		"-D --dry-run --limit 3":                 `{"verb":"delete","table":"conntrack","limit":3,"dry_run":true,"rows":true}`,
		"-D -p icmpv6 --icmpv6-id 7 --netns a":   `{"verb":"delete","table":"conntrack","netns":"a","filter":{"include":[{"proto":"icmpv6","icmp_id":7}]},"rows":true}`,
		"-U -p tcp --sport 5 --state CLOSE -m 1/2 -u ASSURED -t 9": `{"verb":"update","table":"conntrack","filter":{"include":[{"proto":"tcp","sport":5}]},"rows":true,"change":{"timeout":9,"mark":"0x1/0x2","status":["ASSURED"],"tcp_state":"CLOSE"}}`,
		"-E -e NEW,DESTROY -b 1000 -p udp":                         `{"verb":"watch","table":"conntrack","filter":{"include":[{"proto":"udp"}]},"types":["new","destroy"],"buffer":2000}`,
		"-E expect":                                                `{"verb":"watch","table":"expect"}`,
		"-F":                                                       `{"verb":"flush","table":"conntrack"}`,
		"-F -f ipv4":                                               `{"verb":"flush","table":"conntrack","family":"ipv4"}`,
		"-F expect":                                                `{"verb":"flush","table":"expect"}`,
		"-C":                                                       `{"verb":"count","table":"conntrack"}`,
		"-S expect":                                                `{"verb":"stats","table":"expect"}`,
	} {
		var s script
		runLine(Local(&s, nil), "", strings.Fields(line)...)
		if len(s.asked) != 1 {
			t.Errorf("%s: %d requests", line, len(s.asked))
			continue
		}
		got, want := document(t, &s.asked[0]), want
		if got != canonical(t, want) {
			t.Errorf("%s\n got %s\nwant %s", line, got, canonical(t, want))
		}
		if err := s.asked[0].Validate(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// document is a request's JSON without what every request has.
func document(t *testing.T, q *control.Request) string {
	t.Helper()
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, string(data))
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, common := range []string{"v", "request", "issued_at", "timeout"} {
		delete(m, common)
	}
	data, _ := json.Marshal(m)
	return string(data)
}

// TestOutputs prints the same rows of one host and of several.
func TestOutputs(t *testing.T) {
	one := func() Hosts { return Local(&script{rows: 2, node: "edge-1"}, nil) }
	two := func() Hosts {
		return Nodes([]string{"a", "b"}, []control.Caller{&script{rows: 1, node: "a"}, &script{rows: 1, node: `b"<`}}, nil)
	}
	for _, c := range []struct {
		hosts Hosts
		line  string
		code  int
		want  []string // in standard output
	}{
		{one(), "-L", 0, []string{row0 + "\n", "sport=1 dport=53"}},
		{one(), "-L -o save", 0, []string{"-A -t 30 -s 10.0.0.1"}},
		{one(), "-D -o save", 0, []string{"-D -t 30 -s 10.0.0.1"}},
		{one(), "-L -o labels", 0, []string{" labels=one\n"}},
		{one(), "-L -o xml", 0, []string{"<conntrack>\n<flow><meta", "</flow>\n</conntrack>\n"}},
		{one(), "-D -o xml", 0, []string{"<conntrack>\n<flow>", "</conntrack>\n"}},
		{one(), "-L -o json", 0, []string{`{"schema":"ctferry.v1","event_type":"new","table":"conntrack"`, `"node":"edge-1"`, `"ct_labels":["one"]`}},
		{two(), "-L", 0, []string{row0 + " node=a\n", row0 + ` node=b"<` + "\n"}},
		{two(), "-L -o xml", 0, []string{`<flow node="a"><meta`, `<flow node="b__"><meta`}},
		{two(), "-L -o save", 2, nil},
		{two(), "-L -o json", 0, []string{`"node":"a"`}},
		{Local(&script{result: control.Result{Count: 5}}, nil), "-C", 0, []string{"5\n"}},
		{Local(&script{result: control.Result{Fill: &flow.TableFill{Entries: 6}}}, nil), "-C", 0, []string{"6\n"}},
		{Nodes([]string{"a", "b"}, []control.Caller{&script{result: control.Result{Count: 5}}, &script{result: control.Result{Count: 6}}}, nil), "-C", 0, []string{"5 node=a\n", "6 node=b\n"}},
	} {
		got := runLine(c.hosts, "", strings.Fields(c.line)...)
		if got.code != c.code {
			t.Errorf("%s: code %d, %s", c.line, got.code, got.errOut)
		}
		for _, want := range c.want {
			if !strings.Contains(got.out, want) {
				t.Errorf("%s: no %q in\n%s", c.line, want, got.out)
			}
		}
	}
}

// failure is an error of the kernel's as it travels.
func failure(errno string) *control.Error {
	return &control.Error{Code: control.CodeKernel, Errno: errno, Message: "kernel says " + errno}
}

// TestEnds holds exit codes and what standard error says.
func TestEnds(t *testing.T) {
	entry := " -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2"
	var e flow.Event
	new(script).row(&e, 9)
	failed := control.Result{Failed: 3, Count: 1, Failures: []control.Failure{{Index: -1, Event: &e, Err: failure("EBUSY")}}}
	exists := control.Result{Failed: 1, Failures: []control.Failure{{Index: 0, Err: failure("EEXIST")}}}
	for _, c := range []struct {
		s    script
		line string
		code int
		want string
	}{
		{script{rows: 2}, "-L", 0, "2 flow entries have been shown."},
		{script{}, "-L", 0, "0 flow entries have been shown."},
		{script{}, "-L expect", 0, "0 expectations have been shown."},
		{script{rows: 1}, "-D", 0, "1 flow entries have been deleted."},
		{script{rows: 1}, "-D --dry-run", 0, "1 flow entries would have been deleted."},
		{script{}, "-D", 1, "0 flow entries have been deleted."},
		{script{}, "-U -m 1", 1, "0 flow entries have been updated."},
		{script{}, "-U", 1, "0 flow entries have been updated."},
		{script{result: control.Result{Count: 1}}, "-I -t 5" + entry, 0, "1 flow entries have been created."},
		{script{result: exists}, "-I -t 5" + entry, 1, "Operation failed: Such conntrack exists, try -U to update\n"},
		{script{result: exists}, "-A -t 5" + entry, 0, "0 flow entries have been added."},
		{script{err: failure("EINVAL")}, "-A -t 5" + entry, 1, "Operation failed: Invalid argument\n"},
		{script{err: failure("ENOENT")}, "-G" + entry, 1, "Operation failed: such conntrack doesn't exist\n"},
		{script{err: failure("EPERM")}, "-L", 1, "Operation failed: sorry, you must be root or get CAP_NET_ADMIN"},
		{script{err: fmt.Errorf("dial: %w", syscall.EPERM)}, "-L", 1, "Operation failed: sorry, you must be root"},
		{script{rows: 1, result: failed}, "-U -m 1", 1, "Operation failed: Device or resource busy: udp      17 30 src=10.0.0.1"},
		{script{rows: 1, result: failed}, "-U -m 1", 1, "Operation failed: 2 more\n"},
		{script{rows: 1, result: control.Result{Truncated: true}}, "-L --limit 1", 0, "more entries than `--limit'"},
		{script{rows: 1, result: control.Result{Truncated: true}}, "-D", 1, "some are left"},
		{script{result: control.Result{Count: 5, Truncated: true}}, "-F", 1, "some are left"},
		{script{rows: 3, result: control.Result{Count: 3, Spared: 2}}, "-D", 0, "2 entries were left alone"},
		{script{rows: 3, result: control.Result{Count: 3, Spared: 2}}, "-U -m 1", 0, "2 entries were left alone"},
		{script{result: control.Result{Count: 3, Spared: 2}}, "-F", 0, "2 entries were left alone"},
		{script{rows: 3, result: control.Result{Count: 5}, err: &control.Error{Code: control.CodeCut, Message: "silent"}}, "-D", 1, "5 flow entries have been deleted."},
		{script{rows: 3, result: control.Result{Count: 5}, err: &control.Error{Code: control.CodeCut, Message: "silent"}}, "-U -m 1", 1, "5 flow entries have been updated."},
		{script{rows: 1, result: control.Result{Interrupted: true}}, "-L", 0, "the table changed while it was read"},
		{script{err: &control.Error{Code: control.CodeTooMany, Field: "limit", Message: "would touch 5"}}, "-D --limit 1", 1, "Operation failed: limit: would touch 5\n"},
		{script{rows: 3, err: fmt.Errorf("x: %w", control.ErrAbsent)}, "-L", 3, "does not answer"},
		{script{err: fmt.Errorf("x: %w", control.ErrSlow)}, "-D", 3, "too slow"},
		{script{err: fmt.Errorf("x: %w", control.ErrDenied)}, "-D", 1, "no permission"},
		{script{result: control.Result{}}, "-F", 0, "connection tracking table has been emptied."},
		{script{result: control.Result{Count: 7}}, "-F --dry-run", 0, "connection tracking table would have been emptied of 7 entries."},
		{script{}, "-F expect", 0, "expectation table has been emptied."},
		{script{err: failure("EPERM")}, "-F", 1, "sorry, you must be root"},
		{script{rows: 2}, "-E", 0, "2 flow events have been shown."},
		{script{}, "-E expect", 0, "0 expectation events have been shown."},
		{script{rows: 2, gap: true}, "-E", 1, "WARNING: events were lost: 7 did not fit"},
		{script{result: control.Result{Count: 1}}, "-D expect -p 50 -s 1.1.1.1 -d 2.2.2.2", 0, "1 expectations have been deleted."},
	} {
		s := c.s
		got := runLine(Local(&s, nil), "", strings.Fields(c.line)...)
		if got.code != c.code || !strings.Contains(got.errOut, "ctferry v1.2.3 (ctferry): ") || !strings.Contains(got.errOut, c.want) {
			t.Errorf("%s: code %d, expected %d with %q:\n%s", c.line, got.code, c.code, c.want, got.errOut)
		}
	}
}

// TestNodesSilent has one node of three not answer: the others' rows are shown.
func TestNodesSilent(t *testing.T) {
	callers := []control.Caller{&script{rows: 1, node: "a"}, &script{err: fmt.Errorf("node %q: %w", "b", control.ErrAbsent)}, &script{rows: 1, node: "c"}}
	got := runLine(Nodes([]string{"a", "b", "c"}, callers, nil), "", "-L", "--node", "a,b", "--node", "c,a")
	if got.code != exitSilent || strings.Count(got.out, "\n") != 2 || !strings.Contains(got.errOut, `node "b": does not answer`) ||
		strings.Contains(got.errOut, "node b: node") || !strings.Contains(got.errOut, "2 flow entries") {
		t.Errorf("%+v", got)
	}
	if fmt.Sprint(got.target.Nodes) != "[a b c]" {
		t.Errorf("nodes %q", got.target.Nodes)
	}
}

// TestNodesSpeakToNoTerminal has a node send control characters wherever it can.
func TestNodesSpeakToNoTerminal(t *testing.T) {
	const bad = "a\x1b[2J\nb\u009b"
	var e flow.Event
	new(script).row(&e, 9)
	callers := func() Hosts {
		return Nodes([]string{"a", "b"}, []control.Caller{
			&script{rows: 1, node: bad, gap: true, err: &control.Error{Code: control.CodeBusy, Message: bad}},
			&script{result: control.Result{Failed: 1, Failures: []control.Failure{{Index: -1, Event: &e, Err: &control.Error{Code: 500, Message: bad}}}}},
		}, nil)
	}
	for _, line := range []string{"-L", "-L -o xml", "-D", "-F", "-C", "-E"} {
		got := runLine(callers(), "", strings.Fields(line)...)
		for _, c := range got.out + got.errOut {
			if c != '\n' && unicode.IsControl(c) {
				t.Errorf("%s: %q\n%q", line, got.out, got.errOut)
				break
			}
		}
		if strings.Contains("\n"+got.out+"\n"+got.errOut, "\nb") {
			t.Errorf("%s: a line of its own: %q\n%q", line, got.out, got.errOut)
		}
	}
}

// refusing is an output that cannot be written.
type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

// TestOutputThatCannotBeWritten ends quietly if nobody reads any more.
func TestOutputThatCannotBeWritten(t *testing.T) {
	for err, want := range map[error]string{syscall.EPIPE: "", io.ErrClosedPipe: "", syscall.ENOSPC: "cannot write: no space left on device"} {
		var errOut bytes.Buffer
		f := &Front{Program: "x", Version: "1", Names: NewNames("", ""), Out: refusing{err}, Err: &errOut}
		f.Open = func(context.Context, Target) (Hosts, error) { return Local(&script{rows: 3}, nil), nil }
		for _, verb := range []string{"-L", "-E", "-C"} {
			errOut.Reset()
			if code := f.Run(context.Background(), []string{verb}); code != exitFailed || !strings.Contains(errOut.String(), want) || want == "" && errOut.Len() > 0 {
				t.Errorf("%v %s: code %d, %q", err, verb, code, errOut.String())
			}
		}
	}
}
