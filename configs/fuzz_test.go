package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func seeds(f *testing.F) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, c := range allBad(f) {
		f.Add(c.file)
	}
	f.Add(withPassword)
	f.Add("a: &a [*a, *a]\nb: &b {<<: *b}\n<<: [*a, *b]\n")
	f.Add("{? {a: b} : c, ? [d] : e, ~: 1, ? : 2, &x y: *x, *x : z}")
}

func FuzzParseDocument(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		d := parseDocument("f", "", nil, []byte(text))
		if d.weight > 2*maxWeight {
			t.Errorf("weight %d", d.weight)
		}
		for _, e := range d.errs {
			if e.Place.Source != "f" || e.Place.Line < 1 || e.Place.Col < 1 || e.Fault.Text == "" {
				t.Errorf("a fault without a place: %+v", e)
			}
		}
		checkPlaces(t, d, d.root, "")
	})
}

// checkPlaces holds that every value has a place.
func checkPlaces(t *testing.T, d *document, v any, path string) {
	if _, ok := d.places[path]; !ok {
		t.Errorf("%q has no place", path)
	}
	if m, ok := v.(map[string]any); ok {
		for k, below := range m {
			at := k
			if path != "" {
				at = path + "." + k
				if strings.HasPrefix(k, "[") {
					at = path + k
				}
			}
			checkPlaces(t, d, below, at)
		}
	}
}

// FuzzLoad holds that Load answers every file with a Config that prints and
// loads again, or with faults that have a place and a text.
func FuzzLoad(f *testing.F) {
	seeds(f)
	path := filepath.Join(f.TempDir(), "a.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(Input{File: path})
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("no Errors: %v", err)
			}
			for _, e := range errs {
				if e.Place.Source != path || e.Place.Line < 1 || e.Fault.Text == "" {
					t.Errorf("a fault without a place: %+v", e)
				}
			}
			return
		}
		printed, err := cfg.Effective()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(printed), redacted) {
			return
		}
		sameConfig(t, cfg)
	})
}

// FuzzSet holds the same for a key on the command line.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"node=a", "source.events=[new]", "a.b.c=", "sinks.out.filter={proto: tcp}", "sinks={}", "meta.x-a={}", "source.buffer=&a {size: *a}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, set string) {
		_, err := Load(Input{Set: []string{set}, Env: []string{envPrefix + set}})
		var errs Errors
		if err != nil && !errors.As(err, &errs) {
			t.Errorf("no Errors: %v", err)
		}
	})
}
