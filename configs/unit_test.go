package configs

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

func TestHint(t *testing.T) {
	keys := []string{"events", "tables", "buffer", "receive", "reliable", "track", "dump", "filter", "netns", "interim"}
	for name, want := range map[string]string{
		"event": "; did you mean events?", "evnets": "; did you mean events?", "buffers": "; did you mean buffer?", "netsn": "; did you mean netns?",
		"Filter": "; did you mean filter?", "dmp": "; did you mean dump?", "zzz": "", "": "", "a.b": "; a dot does not part levels in a file: nest the keys",
	} {
		if got := hint(name, keys); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := hint("zzz", []string{"b", "a"}); got != "; known here: a, b" {
		t.Error(got)
	}
	if got := hint("zzz", nil); got != "" {
		t.Error(got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	symmetric := func(a, b string) bool { return distance(a, b) == distance(b, a) && (distance(a, b) == 0) == (a == b) }
	if err := quick.Check(symmetric, nil); err != nil {
		t.Error(err)
	}
}

func TestParent(t *testing.T) {
	for path, want := range map[string]string{"a.b[0].c": "a.b[0]", "a.b[0]": "a.b", "a.b": "a", "a": "", "": ""} {
		if got := parent(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestNear(t *testing.T) {
	ps := places{"": {Source: "f", Line: 1, Col: 1}, "a": {Source: "f", Line: 2, Col: 1}, "a.b[0]": {Source: "f", Line: 3, Col: 5}}
	for path, want := range map[string]string{"a.b[0].c": "f:3:5", "a.b[1]": "f:2:1", "a.c": "f:2:1", "z.y": "f:1:1", "": "f:1:1"} {
		if got, _ := ps.near(path); got.String() != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
	if p, at := (places{}).near("a.b"); p != (Place{}) || at != "" {
		t.Errorf("%v %q", p, at)
	}
}

func TestTouches(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"a", "a", true}, {"a", "a.b", true}, {"a.b", "a", true}, {"a", "a[0]", true}, {"a", "ab", false}, {"a.b", "a.c", false}, {"", "a", false}, {"", "", false}} {
		if got := touches(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %v", c.a, c.b, got)
		}
	}
}

func TestOverlay(t *testing.T) {
	lower := map[string]any{"a": 1, "m": map[string]any{"x": 1, "y": 2}, "l": []any{1, 2}, "n": map[string]any{"z": 1}}
	upper := map[string]any{"b": 2, "m": map[string]any{"y": 3}, "l": []any{9}, "n": 5}
	want := map[string]any{"a": 1, "b": 2, "m": map[string]any{"x": 1, "y": 3}, "l": []any{9}, "n": 5}
	if got := overlay(lower, upper); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if !reflect.DeepEqual(lower["m"], map[string]any{"x": 1, "y": 2}) {
		t.Error("the lower one was changed")
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", time.Hour + time.Second: "1h0m1s", 61 * time.Minute: "1h1m", 720 * time.Hour: "720h", 1500 * time.Millisecond: "1.5s"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	same := func(n int64) bool {
		d, err := time.ParseDuration(shortDuration(time.Duration(n)))
		return err == nil && d == time.Duration(n)
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// decoded has a key of every shape.
type decoded struct {
	Text   string            `koanf:"text"`
	Yes    bool              `koanf:"yes"`
	Small  int8              `koanf:"small"`
	Int    int               `koanf:"int"`
	Byte   uint8             `koanf:"byte"`
	Wide   uint64            `koanf:"wide"`
	Float  float64           `koanf:"float"`
	Size   option.Size       `koanf:"size"`
	Secret option.Secret     `koanf:"secret"`
	Wait   time.Duration     `koanf:"wait"`
	List   []int             `koanf:"list"`
	Texts  map[string]string `koanf:"texts"`
	Deep   struct {
		More struct {
			Last bool `koanf:"last"`
		} `koanf:"more"`
	} `koanf:"deep"`
	inner
	Shared  inner  `koanf:",squash"`
	Ignored string `koanf:"-"`
	Plain   string
}

type inner struct {
	Squashed string `koanf:"squashed"`
}

func TestDecode(t *testing.T) {
	d := parseDocument("f", "", nil, []byte(`
text: 12
yes: TRUE
small: -128
int: 0x10
byte: 255
wide: 18446744073709551615
float: 1
size: 3KiB
secret: 0xAB
wait: 1h
list: [1, 0o17, 1_0]
texts: {a: 1, x-b: null_}
deep: {more: {last: true, x-y: 1}}
squashed: in
x-any: {a: b}
`))
	got := decoded{List: []int{7, 7, 7, 7}, Texts: map[string]string{"old": "gone"}}
	if fs := decode(d.root.(map[string]any), &got); fs != nil {
		t.Fatal(fs)
	}
	want := decoded{Text: "12", Yes: true, Small: -128, Int: 16, Byte: 255, Wide: 1<<64 - 1, Float: 1, Size: 3 * option.KiB, Secret: option.NewSecret("0xAB"),
		Wait: time.Hour, List: []int{1, 15, 10}, Texts: map[string]string{"a": "1", "x-b": "null_"}, Shared: inner{"in"}}
	want.Deep.More.Last = true
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestDecodeFaults(t *testing.T) {
	d := parseDocument("f", "", nil, []byte(`
text: [a]
yes: 1
small: 128
int: 9223372036854775808
byte: 256
wide: -1
float: much
size: {a: b}
secret: [hunter2]
wait: 5
list: [1, a, 1.5]
texts: {a: {b: c}, c: }
deep: {more: {last: nope, lost: 1}}
squashd: in
Ignored: a
inner: a
`))
	fs := decode(d.root.(map[string]any), &decoded{})
	lines := strings.Split(fs.Error(), "\n")
	slices.Sort(lines)
	same(t, strings.Join(lines, "\n"), `
Ignored: unknown key
byte: expected a whole number from 0 to 255, not the number 256
deep.more.last: expected true or false, not the text "nope"
deep.more.lost: unknown key; did you mean last?
float: expected a number, not the text "much"
inner: unknown key
int: expected a whole number, not the number 9223372036854775808
list[1]: expected a whole number, not the text "a"
list[2]: expected a whole number, not the number 1.5
secret: expected a text, not a list
size: expected a size such as 64MiB, not a mapping
small: expected a whole number from -128 to 127, not the number 128
squashd: unknown key; did you mean squashed?
text: expected a text, not a list
texts.a: expected a text, not a mapping
texts.c: expected a text, not an empty value
wait: "5": expected a duration such as 200ms, 5s or 1h30m
wide: expected a whole number from 0 to 18446744073709551615, not the number -1
yes: expected true or false, not the number 1`)
}

func TestFaultsOfSeveralFiles(t *testing.T) {
	same(t, given{
		files: map[string]string{
			"a.yaml":          "sinks:\n  out:\n    type: stdout\n    memory: 1\n    encoding: xml\nzz: 1\n",
			"conf.d/2.yaml":   "yy: 1\nnode: [a]\n",
			"conf.d/1.yaml":   "sinks:\n  out:\n    encoding: yaml\n",
			"conf.d/bad.yaml": "a: [\n",
		},
		env: []string{"CTFERRY_XX=1"},
		set: []string{"ww=1"},
	}.faults(t), `
a.yaml:4:5: sinks.out.memory: 1B is out of range: expected 2MiB to 64GiB
a.yaml:6:1: zz: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool
conf.d/1.yaml:3:5: sinks.out.encoding: "yaml" is not known: expected json, protobuf, xml
conf.d/2.yaml:1:1: yy: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool
conf.d/2.yaml:2:1: node: expected a text, not a list
conf.d/bad.yaml:1:1: not valid YAML: did not find expected node content
environment CTFERRY_XX: xx: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool
--set ww: ww: unknown key; known here: admin, connections, control, meta, nats_server, node, sinks, source, spool`)
}
