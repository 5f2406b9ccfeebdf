package conntrack

import (
	"reflect"
	"strings"
	"testing"
)

// fileLines are lines for -R, each with the difference that it shows.
func fileLines() map[string]string {
	const entry = `-s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 10`
	return map[string]string{
		``: "", `# text`: "", `foo`: "stray-words", `conntrack`: "",
		`-A ` + entry: "", `conntrack -A ` + entry: "", `-I ` + entry: "", "\t-A\t" + entry + "  ": "",
		`-D`: "", `-D -s "9.9.9.9"`: "", `-D "-s" 9.9.9.9`: "", `-U -m 1`: "", `-F`: "", `-F -f ipv4`: "", `-G -p 50`: "",
		`-L`: "", `-E`: "", `-C`: "", `-S`: "", `-h`: "", `-V`: "", `-R f`: "load-file", `-R`: "load-file",
		`-L expect`: "", `-F expect`: "", `-C expect`: "", `-E expect`: "", `-S expect`: "", `-D expect`: "",
		`-D expect -s 1.1.1.1 -d 2.2.2.2 -p 50`: "", `-G expect -s 1.1.1.1 -d 2.2.2.2 -p 50`: "",
		`-I expect -s 1.1.1.1 -d 2.2.2.2 -p 50 -t 10 --tuple-src 1.1.1.1/24 --tuple-dst 2.2.2.2/24`: "load-expect",
		`-A expect`: "", `-U expect`: "", `-A -s foo`: "", `-D -s '1.1.1.1'`: "", `-D -s 1.1.1.1\`: "",
		`-D -s "1.1.1.1`: "load-quotes", `-D -Z`: "", `-A`: "",
		`-D ` + strings.Repeat("x", maxWord+1): "", `-D ` + strings.Repeat("x ", 400): "",
	}
}

func (o *oracle) lineVerdict(text string) (string, string) {
	c, err := (&Lines{Parser: o.parser}).Parse(text)
	return verdictOf(c, err)
}

func TestLinesAgainstConntrack(t *testing.T) {
	o := newOracle(t)
	for text, difference := range fileLines() {
		theirs := o.verdict(t, []string{"-R", "/dev/stdin"}, text+"\n")
		ours, id := o.lineVerdict(text)
		if id != difference || difference == "" && ours != theirs {
			t.Errorf("%s\n   ours %q (%s)\n theirs %q", text, ours, id, theirs)
		}
	}
}

func TestLines(t *testing.T) {
	var p Lines
	for text, want := range map[string]Verb{`-D -s "1.1.1.1"`: VerbDelete, "  conntrack -F\r\n": VerbFlush, `-D -l "a b"`: VerbDelete} {
		if c, err := p.Parse(text); err != nil || c.Verb != want {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "\n", "  \t\n", "# -D\n", "  # -D"} {
		if c, err := p.Parse(text); err != nil || c != nil {
			t.Errorf("%q: got %+v, %v, want nothing", text, c, err)
		}
	}
}

// TestLinesForget reads every line after every other one, in one memory: it is
// the same as read alone.
func TestLinesForget(t *testing.T) {
	var texts []string
	for text := range fileLines() {
		texts = append(texts, text)
	}
	for _, l := range corpus(t) {
		texts = append(texts, l.text)
	}
	one, rest := texts[:0:0], texts
	for _, text := range texts { // those with an effect of their own
		if c, err := new(Lines).Parse(text); c != nil && err == nil {
			one = append(one, text)
		}
	}
	var lines Lines
	for _, before := range one {
		for _, text := range rest {
			want, wantErr := new(Lines).Parse(text)
			_, _ = lines.Parse(before)
			got, err := lines.Parse(text)
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(err, wantErr) {
				t.Fatalf("%q after %q: got %+v, %v, want %+v, %v", text, before, got, err, want, wantErr)
			}
		}
	}
}
