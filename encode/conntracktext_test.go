package encode

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// textVariants are texts with every option off, alone and together.
func textVariants() map[string]Text {
	return map[string]Text{
		"plain":      {},
		"extended":   {Extended: true},
		"id":         {ID: true},
		"timestamp":  {Timestamp: true},
		"ktimestamp": {KTimestamp: true, Location: time.FixedZone("", 5*3600+45*60)},
		"labels":     {Labels: true},
		"save":       {Save: true},
		"xml":        {XML: true},
		"all":        {Extended: true, ID: true, Timestamp: true, KTimestamp: true, Labels: true},
		"all xml":    {XML: true, Extended: true, ID: true, Timestamp: true, KTimestamp: true, Labels: true},
	}
}

// texts are all that a Text prints of an event.
func texts(t *Text, dst []byte, e *flow.Event) []byte {
	dst = append(t.AppendEvent(dst, e), '\n')
	dst = append(t.AppendRow(dst, e), '\n')
	return t.AppendDeleted(dst, e)
}

func TestTextAllocatesNothing(t *testing.T) {
	for name, text := range textVariants() {
		for _, s := range corpus() {
			b := flow.NewBatch(1)
			e := newEvent(b, s.fill)
			buf := texts(&text, nil, e)
			if n := testing.AllocsPerRun(20, func() { buf = texts(&text, buf[:0], e) }); n != 0 {
				t.Errorf("%s: %s: %v allocations, want 0", name, s.name, n)
			}
		}
	}
}

// TestTextReadsOnlyWhatIsThere prints each event from a clean slot and from one
// that is full of an earlier event's values.
func TestTextReadsOnlyWhatIsThere(t *testing.T) {
	for name, text := range textVariants() {
		for _, s := range corpus() {
			clean := newEvent(flow.NewBatch(1), s.fill)
			b := flow.NewBatch(1)
			soil(b)
			soiled := newEvent(b, s.fill)
			if want, got := texts(&text, nil, clean), texts(&text, nil, soiled); !bytes.Equal(got, want) {
				t.Errorf("%s: %s:\nsoiled %s\n clean %s", name, s.name, got, want)
			}
		}
	}
}

// TestTextIsOneLine prints events that try to be more than that.
func TestTextIsOneLine(t *testing.T) {
	for _, text := range textVariants() {
		for _, s := range corpus() {
			oneLine(t, &text, oneOf(t, s.name))
		}
		for seed := range uint64(300) {
			b := flow.NewBatch(1)
			soil(b)
			oneLine(t, &text, newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(rand.New(rand.NewPCG(seed, 3)), b, e) }))
		}
	}
}

// oneLine checks that what is printed cannot be taken for something else.
func oneLine(t *testing.T, text *Text, e *flow.Event) {
	t.Helper()
	for _, line := range [][]byte{text.AppendEvent(nil, e), text.AppendRow(nil, e), text.AppendDeleted(nil, e)} {
		for i, c := range line {
			if (c < ' ' || c == 0x7f && !text.XML) && (c != '\t' || line[0] != '[' || i > 24) {
				t.Fatalf("control character %q in %q", c, line)
			}
		}
		if text.XML {
			xmlParses(t, line)
		}
	}
}

func xmlParses(t *testing.T, line []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(line)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, line)
		}
	}
}

// FuzzText prints random events with names of the fuzzer's.
func FuzzText(f *testing.F) {
	f.Add(uint64(1), "ftp", int64(0))
	f.Add(uint64(2), "\x1b[2J\r\n[DESTROY] <&>\xff\u2028", int64(-1))
	f.Fuzz(func(t *testing.T, seed uint64, name string, when int64) {
		b := flow.NewBatch(1)
		soil(b)
		e := newEvent(b, func(b *flow.Batch, e *flow.Event) { fillRandom(rand.New(rand.NewPCG(seed, 5)), b, e) })
		e.Time, e.Start, e.Stop = when, when-1, when/2
		e.Has |= flow.HasHelper | flow.HasSecCtx | flow.HasProgName | flow.HasLabels | flow.HasLabelNames
		x := b.ExtraFor(e)
		x.Helper, x.SecCtx, x.ProgName, x.LabelNames, x.Expect.Helper = name, name, name, []string{name, name}, name
		for _, text := range textVariants() {
			oneLine(t, &text, e)
		}
	})
}

// TestTextKeepsQuiet gives it what conntrack has no line for.
func TestTextKeepsQuiet(t *testing.T) {
	for _, text := range textVariants() {
		for _, name := range []string{"gap_kernel", "gap_sink", "status", "status_bare", "dump", "dump_end", "interim"} {
			if got := text.AppendEvent([]byte("kept"), oneOf(t, name)); string(got) != "kept" {
				t.Errorf("%s: %q", name, got)
			}
		}
		bare := &flow.Event{Type: flow.TypeNew, Table: flow.TableExpect}
		if got := text.AppendEvent(nil, bare); len(got) != 0 {
			t.Errorf("an expectation without one: %q", got)
		}
	}
}

// TestTextTimes prints times as people of several places read them.
func TestTextTimes(t *testing.T) {
	e := oneOf(t, "udplite")
	e.Has |= flow.HasStart | flow.HasStop
	e.Time, e.Start, e.Stop = 1_767_571_505_000_000_999, 1_767_571_505_999_999_999, 1_767_571_506_000_000_000
	for _, c := range []struct {
		text Text
		want string
	}{
		{Text{Timestamp: true}, "[1767571505.000000]\t[DESTROY] "},
		{Text{KTimestamp: true, Location: time.UTC}, " delta-time=1 [start=Mon Jan  5 00:05:05 2026] [stop=Mon Jan  5 00:05:06 2026]"},
		{Text{KTimestamp: true, Location: time.FixedZone("", -3600)}, "[start=Sun Jan  4 23:05:05 2026]"},
		{Text{XML: true, KTimestamp: true}, "<timestamp><start>1767571505999999999</start><stop>1767571506000000000</stop></timestamp><deltatime>0</deltatime>"},
		{Text{XML: true, Timestamp: true, Location: time.UTC},
			"<when><hour>0</hour><min>05</min><sec>05</sec><wday>2</wday><day>5</day><month>1</month><year>2026</year></when>"},
	} {
		if got := c.text.AppendEvent(nil, e); !bytes.Contains(got, []byte(c.want)) {
			t.Errorf("%s\n is not in %s", c.want, got)
		}
	}
	for ns, want := range map[int64]string{0: "[00000000.000000]\t", -1: "[00000000.000000]\t", 999: "[00000000.000000]\t", 12_345_678_000_001_000: "[12345678.000001]\t"} {
		if got := string(appendStamp(nil, ns)); got != want {
			t.Errorf("%d: %q, want %q", ns, got, want)
		}
	}
}

// TestInetAddr pins what the C library writes, as conntrack printed it.
func TestInetAddr(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "255.255.255.255": "255.255.255.255", "0.0.0.0": "0.0.0.0",
		"::": "::", "::1": "::1", "::2": "::2", "1::": "1::", "::ffff:1.2.3.4": "::ffff:1.2.3.4", "::1.2.3.4": "::1.2.3.4",
		"::6:77": "::0.6.0.119", "::ffff:0:0": "::ffff:0.0.0.0", "0:0:1::": "0:0:1::", "0:0:0:1::": "0:0:0:1::",
		"1:0:0:2:0:0:3:4": "1::2:0:0:3:4", "1:0:2:3:4:5:6:7": "1:0:2:3:4:5:6:7", "fe80::abcd:ef01": "fe80::abcd:ef01",
		"ff02::1:ff00:1": "ff02::1:ff00:1", "2001:db8:0:1::2": "2001:db8:0:1::2",
	} {
		a, f := flow.AddrFrom(netip.MustParseAddr(in))
		if got := string(appendInetAddr(nil, &a, f)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// BenchmarkText prints a busy host's commonest lines.
func BenchmarkText(b *testing.B) {
	for name, text := range map[string]Text{"plain": {}, "extended,id": {Extended: true, ID: true}, "xml": {XML: true}, "save": {Save: true}} {
		b.Run(name, func(b *testing.B) {
			e := oneOf(b, "tcp_destroy")
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = text.AppendEvent(buf[:0], e)
			}
		})
	}
}
