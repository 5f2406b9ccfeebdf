package configs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"github.com/ctferry/ctferry/internal/option"
)

// Input says what to load.
type Input struct {
	File string   // the main file; conf.d/*.yaml beside it is read too. Empty: defaults only
	Env  []string // NAME=value; those that begin with CTFERRY_ count
	Set  []string // a.b=c, from the command line
}

// envPrefix begins every environment variable that is configuration.
const envPrefix = "CTFERRY_"

// layers merges what was given, later over earlier; maps merge, lists replace.
type layers struct {
	k      *koanf.Koanf
	places places
	errs   Errors
	files  []string // that were read, in order
}

func gather(in Input) (*layers, error) {
	l := &layers{k: koanf.New("."), places: places{}}
	if in.File != "" {
		if err := l.addFiles(in.File); err != nil {
			return nil, err
		}
	}
	for _, kv := range in.Env {
		l.addEnv(kv)
	}
	for _, kv := range in.Set {
		l.addSet(kv)
	}
	return l, nil
}

func (l *layers) addFiles(file string) error {
	more, err := filepath.Glob(filepath.Join(filepath.Dir(file), "conf.d", "*.yaml"))
	if err != nil {
		return fmt.Errorf("conf.d: %w", err)
	}
	sort.Strings(more)
	for _, name := range append([]string{file}, more...) {
		d, err := readDocument(name)
		if err != nil {
			return err
		}
		l.files = append(l.files, name)
		l.errs = append(l.errs, d.errs...)
		if err := l.add(d.values, d.places); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (l *layers) add(values map[string]any, at places) error {
	maps.Copy(l.places, at)
	return l.k.Load(confmap.Provider(values, ""), nil)
}

// addEnv takes CTFERRY_A__B=value as a.b; other variables are nobody's business.
func (l *layers) addEnv(kv string) {
	name, value, _ := strings.Cut(kv, "=")
	key, ok := strings.CutPrefix(name, envPrefix)
	if !ok {
		return
	}
	path := strings.ToLower(strings.ReplaceAll(key, "__", "."))
	l.addOne(Place{Source: "environment " + name}, path, value)
}

func (l *layers) addSet(kv string) {
	path, value, ok := strings.Cut(kv, "=")
	place := Place{Source: "--set " + path}
	if !ok {
		l.errs = append(l.errs, Error{place, option.Fault{Text: "expected KEY=VALUE, such as node=edge-1"}})
		return
	}
	l.addOne(place, path, value)
}

// addOne sets one key to a value that is read as YAML, so that numbers, lists
// and maps can be given.
func (l *layers) addOne(place Place, path, value string) {
	steps := strings.Split(path, ".")
	if slices.Contains(steps, "") {
		l.errs = append(l.errs, Error{place, option.Fault{Text: fmt.Sprintf("%q is no key: expected names parted by dots", path)}})
		return
	}
	d := parseDocument(place.Source, []byte("v: "+value))
	if len(d.errs) > 0 {
		l.errs = append(l.errs, Error{place, option.Fault{Path: path, Text: d.errs[0].Fault.Text}})
		return
	}
	values, at := d.values["v"], places{}
	for i := len(steps) - 1; i >= 0; i-- {
		at[strings.Join(steps[:i+1], ".")] = place
		values = map[string]any{steps[i]: values}
	}
	// What stands above the key keeps its place if it has one.
	for p := parent(path); p != ""; p = parent(p) {
		if old, ok := l.places[p]; ok {
			at[p] = old
		}
	}
	if err := l.add(values.(map[string]any), at); err != nil {
		l.errs = append(l.errs, Error{place, option.Fault{Path: path, Text: err.Error()}})
	}
}

// Environ is the process's environment, for Input.Env.
func Environ() []string { return os.Environ() }
