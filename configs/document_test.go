package configs

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

var update = flag.Bool("update", false, "write docs/configuration.md and the schema anew")

const documentHead = `# The configuration

Made from the loader by a test: every key that it accepts, with its type, its default,
what is allowed, and an example that loads. [reference.yaml](../configs/reference.yaml)
has all keys in one file; [ctferry.schema.json](../configs/ctferry.schema.json) is for
editors: a file that begins with

    # yaml-language-server: $schema=ctferry.schema.json

is checked and completed while it is written.

Layers lie over one another: the file, ` + "`conf.d/*.yaml`" + ` beside it by name, variables
(` + "`CTFERRY_SINKS__ARCHIVE__PATH`" + `), ` + "`--set sinks.archive.path=…`" + `. Mappings merge, lists
replace. Unknown keys are faults; keys that begin with ` + "`x-`" + ` hold anchors. A size is
` + "`512`, `64KiB`, `10GiB`" + `; a duration ` + "`200ms`, `5s`, `1h30m`" + `. What is allowed is what the
loader says at the other keys' defaults: some bounds follow other keys. ` + "`ctferry check FILE`" + `
tells every fault with its line.
`

func TestConfigurationDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(documentHead)
	for _, g := range model(t) {
		if len(g.keys) == 0 {
			fmt.Fprintf(&b, "\n## %s\n\nThey have no keys of their own.\n", g.title)
			continue
		}
		where := "at the top of the file"
		if g.where != "" {
			where = "below `" + g.where + "`"
		}
		fmt.Fprintf(&b, "\n## %s\n\nKeys %s.\n\n| key | type | default | allowed | meaning | example |\n|---|---|---|---|---|---|\n", g.title, where)
		for _, k := range g.keys {
			b.WriteString(documentRow(&k))
		}
		if g.title == "Top" {
			b.WriteString(documentConnections)
		}
	}
	fmt.Fprintf(&b, "\n## Filters\n\nA term is a mapping of fields to values, of which all must hold; `include` is a list of terms, one of which must,\n"+
		"`exclude` of those of which none may. `{proto: tcp}` is short for one term. A value is a scalar, a list, a prefix or a range.\n"+
		"The fields: `%s`.\n", strings.Join(flow.FieldNames(), "`, `"))
	sameGenerated(t, "../docs/configuration.md", b.String())
}

const documentConnections = `
` + "`connections`" + ` and ` + "`sinks`" + ` are mappings of names (a-z, then a-z, 0-9 and _). A connection has
a ` + "`type`" + `, kafka or nats, and any key of that type below; a sink that names it has them too.
`

func documentRow(k *docKey) string {
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + cell(s) + "`"
	}
	if k.section {
		return fmt.Sprintf("| `%s` | section | | | %s | |\n", k.path, cell(k.meaning))
	}
	last := k.path[strings.LastIndexByte(k.path, '.')+1:]
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", k.path, typeWord(k.typ), code(k.def), cell(k.allowed), cell(k.meaning), code(last+": "+k.example))
}

// typeWord names a type in a word or two.
func typeWord(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[option.Size]():
		return "size"
	case reflect.TypeFor[filter]():
		return "filter"
	case reflect.TypeFor[option.Secret]():
		return "secret"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "mapping"
	case reflect.String:
		return "text"
	}
	if isTextType(t) {
		return "text"
	}
	return "number"
}

// sameGenerated compares a generated file with what stands there, or writes it.
func sameGenerated(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run the test with -update", path)
	}
}

// TestEveryKeyIsDocumented compares the document's keys with those that the
// decoder knows by its own way of listing them.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]string{}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		title, rest, _ := strings.Cut(part, "\n")
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|").FindAllStringSubmatch(rest, -1) {
			told[title] = append(told[title], m[1])
		}
	}
	for title, types := range documented() {
		var want []string
		for _, typ := range types {
			want = append(want, keyPaths(typ, "")...)
		}
		want = slices.DeleteFunc(want, func(p string) bool { return title == "Top" && (p == "sinks" || p == "connections") })
		want = slices.DeleteFunc(want, func(p string) bool { return strings.HasPrefix(p, "filter.") || strings.HasSuffix(p, ".filter.Include") })
		slices.Sort(want)
		slices.Sort(told[title])
		if !slices.Equal(told[title], want) {
			t.Errorf("%s:\ndocumented %v\naccepted   %v", title, told[title], want)
		}
		delete(told, title)
	}
	delete(told, "Filters")
	if len(told) > 0 {
		t.Errorf("documented and not accepted: %v", told)
	}
}

// documented are the structs behind each group of the document.
func documented() map[string][]reflect.Type {
	all := map[string][]reflect.Type{
		"Top": {reflect.TypeFor[raw]()}, "A leaf node": {reflect.TypeFor[rawLeafnode]()},
		"Every sink": {reflect.TypeFor[sinks.Config](), reflect.TypeFor[sinkKeys]()},
	}
	for kind, options := range sinks.Kinds() {
		all["Sinks of type "+kind] = []reflect.Type{reflect.TypeOf(options())}
	}
	return all
}
