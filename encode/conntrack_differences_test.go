package encode_test

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// difference shows a departure: the same event, conntrack's line and ours.
type difference struct {
	options string
	text    encode.Text
	event   func(b *flow.Batch, e *flow.Event)
	tool    string // is in conntrack's line, for [encode.TextDifferences] says so
	ours    string // is in ours
	not     string // is not in ours
}

// differences are those that a forged event shows.
func differences() map[string]difference {
	xml, save := encode.Text{XML: true}, encode.Text{Save: true}
	helper := func(name string) func(*flow.Batch, *flow.Event) {
		return func(b *flow.Batch, e *flow.Event) {
			e.Has |= flow.HasHelper
			b.ExtraFor(e).Helper = name
		}
	}
	sctp := func(state uint8) func(*flow.Batch, *flow.Event) {
		return func(_ *flow.Batch, e *flow.Event) {
			e.Proto, e.Orig.Proto, e.Reply.Proto = flow.ProtoSCTP, flow.ProtoSCTP, flow.ProtoSCTP
			e.Has |= flow.HasSCTPState | flow.HasSCTPVTagOrig | flow.HasSCTPVTagReply
			e.SCTP = flow.SCTP{State: state, VTagOrig: 0xdeadbeef, VTagReply: 1}
		}
	}
	return map[string]difference{
		"xml-userspace": {"xml", xml, func(_ *flow.Batch, e *flow.Event) { e.Has |= flow.HasPortID; e.PortID = 1 << 31 },
			"</flow> [USERSPACE] portid=2147483648", "</flow>", "USERSPACE"},
		"xml-state":  {"xml", xml, sctp(4), "<state>FIN_WAIT</state>", "<state>ESTABLISHED</state>", "FIN_WAIT"},
		"xml-escape": {"xml", xml, helper("a<b"), "<helper>a<b</helper>", "<helper>a&lt;b</helper>", "a<b"},
		"save-mark":  {"save", save, func(_ *flow.Batch, e *flow.Event) { e.Has |= flow.HasMark; e.Mark = 77 }, "-A ", "-m 77", "--mark"},
		"save-vtag":  {"save", save, sctp(4), "--orig-vtag 4022250974 --reply-vtag 16777216", "--orig-vtag 3735928559 --reply-vtag 1", "(null)"},
		"save-state": {"save", save, sctp(9), "--state (null)", "--state HEARTBEAT_ACKED", "(null)"},
		"save-role": {"save", save, func(_ *flow.Batch, e *flow.Event) {
			e.Proto, e.Orig.Proto, e.Reply.Proto = flow.ProtoDCCP, flow.ProtoDCCP, flow.ProtoDCCP
			e.Has |= flow.HasDCCPState | flow.HasDCCPRole
			e.DCCP = flow.DCCP{State: 1, Role: 5}
		}, "--role REQUEST", "--state REQUEST", "--role"},
		"timestamp-kernel": {"timestamp", encode.Text{Timestamp: true}, func(_ *flow.Batch, e *flow.Event) {
			e.Time, e.TimeSource = 1_000_000_000_078_965_999, flow.TimeKernel
		}, "[", "[1000000000.078965]\t    [NEW] udp ", " ]"},
		"long-line": {"", encode.Text{}, func(b *flow.Batch, e *flow.Event) {
			e.Has |= flow.HasSecCtx
			b.ExtraFor(e).SecCtx = strings.Repeat("x", 1000) + "END"
		}, "xxx", "END", "\n"},
		"clock-back": {"", encode.Text{}, func(_ *flow.Batch, e *flow.Event) {
			e.Has |= flow.HasStart | flow.HasStop
			e.Start, e.Stop = 1_700_000_001_000_000_000, 1_700_000_000_000_000_000
		}, "delta-time=18446744073709551615", "dport=", "delta-time"},
		"control": {"", encode.Text{}, helper("a\rb\x1b"), "helper=a\rb\x1b", "helper=a?b?", "\r"},
	}
}

// simpleEvent is a NEW of a UDP flow.
func simpleEvent(b *flow.Batch) *flow.Event {
	e := randomEvent(rand.New(rand.NewPCG(1, 1)), b)
	e.Type, e.Family, e.Proto = flow.TypeNew, flow.IPv4, flow.ProtoUDP
	e.Has = flow.HasOrig | flow.HasReply | flow.HasStatus | flow.HasID
	e.Orig = flow.Tuple{Has: flow.HasAddrs | flow.HasProto | flow.HasPorts, Family: flow.IPv4, Proto: flow.ProtoUDP, Src: flow.Addr{10, 1}, Dst: flow.Addr{10, 2}}
	e.Reply, e.Status = e.Orig, flow.StatusConfirmed
	return e
}

// TestDifferencesAreReal keeps the list of differences true: conntrack does
// print what it says, we do not, and every entry is shown by some test.
func TestDifferencesAreReal(t *testing.T) {
	ns := testnet.New(t)
	tool(t)
	shown := differences()
	for _, elsewhere := range []string{"xml-labels", "labels-empty", "xml-frame", "ktimestamp-rows", "timestamp-digits"} {
		shown[elsewhere] = difference{} // by the tests below
	}
	shown["expect-blank"] = difference{} // by TestExpectations; conntrack believes no forged expectation
	for _, d := range encode.TextDifferences() {
		show, ok := shown[d.Name]
		delete(shown, d.Name)
		if !ok || d.Output == "" || d.Tool == "" || d.Ours == "" || d.Why == "" {
			t.Errorf("%+v: not shown, or incomplete", d)
		}
		if show.event == nil {
			continue
		}
		b := flow.NewBatch(1)
		e := simpleEvent(b)
		show.event(b, e)
		theirs := strings.Join(rowsOnly(printed(t, ns, nil, show.options, []*flow.Event{e})), "\n")
		ours := string(show.text.AppendEvent(nil, e))
		if !strings.Contains(theirs, show.tool) || !strings.Contains(ours, show.ours) || strings.Contains(ours, show.not) {
			t.Errorf("%s:\n  ours %q\n  tool %q", d.Name, ours, theirs)
		}
		if d.Name == "long-line" && len(theirs) != cut {
			t.Errorf("conntrack's line has %d bytes", len(theirs))
		}
	}
	if len(shown) != 0 {
		t.Errorf("not in the list: %v", shown)
	}
}

// TestFramelessCommands shows xml-frame and ktimestamp-rows.
func TestFramelessCommands(t *testing.T) {
	tool(t)
	ns := quiet(t)
	entry := strings.Fields("-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2")
	ns.Conntrack(t, append([]string{"-I", "-t", "100"}, entry...)...)
	run := func(command, options string) string {
		return strings.Join(ns.Conntrack(t, append([]string{command, "-o", options}, entry...)...), "\n")
	}
	if out := run("-G", "xml"); !strings.HasPrefix(out, "<?xml") || strings.HasSuffix(out, "</conntrack>") {
		t.Errorf("-G: %q", out)
	}
	if out := run("-G", "ktimestamp"); !strings.Contains(out, "[start=") {
		t.Errorf("-G: %q", out)
	}
	if out := run("-D", "xml,ktimestamp"); !strings.HasPrefix(out, "<flow>") || strings.Contains(out, "<start>") {
		t.Errorf("-D: %q", out)
	}
}

// TestToolWritesShortMicroseconds shows timestamp-digits: it lists an expectation
// until that falls into the first tenth of a second.
func TestToolWritesShortMicroseconds(t *testing.T) {
	tool(t)
	ns := quiet(t, manyRules()...)
	if _, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 1, false); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		lines := ns.Conntrack(t, "-L", "expect", "-o", "timestamp")
		if len(lines) == 1 && strings.Contains(lines[0], " ]\t") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("conntrack wrote six digits all the time: %q", lines)
		}
	}
}

// TestLabelsPrintAsConntrackDoes gives conntrack a file with names of labels, in
// a mount namespace of its own.
func TestLabelsPrintAsConntrackDoes(t *testing.T) {
	const script = `mount -t tmpfs none /etc && mkdir /etc/xtables &&
		printf '0 zero\n65 sixty-five\n66 six\n127 last\n' >/etc/xtables/connlabel.conf && exec "$@"`
	path := tool(t)
	if err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/etc").Run(); err != nil {
		testnet.Unavailable(t, "private mounts are refused: %v", err)
	}
	ns := testnet.New(t)
	for _, o := range []output{{"labels", encode.Text{Labels: true}}, {"xml,labels", encode.Text{XML: true, Labels: true}}, {"id,labels", encode.Text{ID: true, Labels: true}}} {
		w := &watch{tb: t, ended: make(chan error, 1)}
		w.cmd = exec.Command("unshare", "-m", "sh", "-c", script, "sh", path, "-E", "-o", o.options)
		w.start(ns, flow.TableConntrack)
		b := flow.NewBatch(3)
		events := []*flow.Event{simpleEvent(b)}
		for _, names := range [][]string{{"zero", "sixty-five", "last"}, {"sixty-five"}} {
			e := simpleEvent(b)
			e.Has |= flow.HasLabels | flow.HasLabelNames
			b.ExtraFor(e).LabelNames = names
			e.Labels = [16]byte{1, 8: 2, 15: 128 + 1}
			if len(names) == 1 {
				e.Labels = [16]byte{8: 2}
			}
			events = append(events, e)
		}
		nameless := *events[0]
		nameless.Has |= flow.HasLabels
		nameless.Labels = [16]byte{4: 1}
		forge(t, ns, append(events, &nameless))
		want := rowsOnly(w.settled(4))
		got := rowsOnly(document(&o.text, append(events, &nameless)))
		same(t, o.options, got[:3], want[:3])
		if !strings.Contains(want[3], "labels") || strings.Contains(got[3], "labels") {
			t.Errorf("%s: labels without a name\n  ours %s\n  tool %s", o.options, got[3], want[3])
		}
	}
}

// settled waits for n rows and ends conntrack.
func (w *watch) settled(n int) []string {
	w.tb.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		have := len(rowsOnly(w.lines))
		w.mu.Unlock()
		if have >= n {
			break
		}
	}
	return w.stop()
}
