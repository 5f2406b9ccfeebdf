package configs

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/sinks"
)

// bad is a file that is wrong and everything that is told of it.
type bad struct{ name, file, want string }

// allBad reads testdata/bad: after `=== NAME` a file, after `--- refused with`
// the whole text of its faults, in which KINDS stands for the types of sinks.
func allBad(t testing.TB) (all []bad) {
	t.Helper()
	files, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	kinds := strings.Join(slices.Sorted(maps.Keys(sinks.Kinds())), ", ")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		group := strings.TrimSuffix(filepath.Base(path), ".txt")
		for _, section := range strings.Split("\n"+string(text), "\n=== ")[1:] {
			name, rest, _ := strings.Cut(section, "\n")
			yaml, want, ok := strings.Cut("\n"+rest, "\n--- refused with\n")
			if !ok {
				t.Fatalf("%s: %s: no faults", path, name)
			}
			all = append(all, bad{group + "/" + name, strings.TrimPrefix(yaml+"\n", "\n"), strings.ReplaceAll(want, "KINDS", kinds)})
		}
	}
	return all
}

func TestBad(t *testing.T) {
	all := allBad(t)
	if len(all) < 70 {
		t.Fatalf("only %d cases", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) { same(t, file(c.file).faults(t), c.want) })
	}
}
