package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// given is what a test loads: files by name (the main one is a.yaml), the
// environment and --set.
type given struct {
	files map[string]string
	env   []string
	set   []string
}

// input writes the files, not readable by everybody, and gives their folder.
func (g given) input(t testing.TB) (Input, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range g.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := Input{Env: g.env, Set: g.set}
	if g.files != nil {
		in.File = filepath.Join(dir, "a.yaml")
	}
	return in, dir
}

// load loads what must be right.
func (g given) load(t testing.TB) *Config {
	t.Helper()
	in, _ := g.input(t)
	cfg, err := Load(in)
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return cfg
}

// faults loads what must be wrong and gives the whole text, without the folder.
func (g given) faults(t testing.TB) string {
	t.Helper()
	in, dir := g.input(t)
	_, err := Load(in)
	if err == nil {
		t.Fatal("accepted")
	}
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("no Errors: %v", err)
	}
	return strings.ReplaceAll(err.Error(), dir+"/", "")
}

// file is a main file alone.
func file(text string) given { return given{files: map[string]string{"a.yaml": text}} }

// withSink adds a sink to a text that has none.
func withSink(text string) given { return file(text + "\nsinks: {out: {type: stdout}}\n") }

// same compares texts line by line.
func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.TrimSpace(want); strings.TrimSpace(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
