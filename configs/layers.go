package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

	// Client loads for a command line that asks others: no sink is needed.
	Client bool
}

// Environ is the process's environment, for Input.Env.
func Environ() []string { return os.Environ() }

// layers merges what was given, later over earlier; maps merge, lists replace.
type layers struct {
	k        *koanf.Koanf
	places   places
	errs     Errors
	warnings Errors
	files    []string        // that were read, in order
	sources  []string        // every layer by name, in order
	open     map[string]bool // files that everybody may read
}

func gather(in Input) (*layers, error) {
	l := &layers{k: koanf.New("."), places: places{}, open: map[string]bool{}}
	if in.File != "" {
		if err := l.addFiles(in.File); err != nil {
			return nil, err
		}
	}
	// Sorted, CTFERRY_A comes before CTFERRY_A__B: the nearer key wins.
	for _, kv := range slices.Sorted(slices.Values(in.Env)) {
		l.addEnv(kv)
	}
	for _, kv := range in.Set {
		l.addSet(kv)
	}
	return l, nil
}

func (l *layers) addFiles(file string) error {
	if err := l.addFile(file); err != nil {
		return err
	}
	dir := filepath.Join(filepath.Dir(file), "conf.d")
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case strings.HasSuffix(e.Name(), ".yaml"):
			if err := l.addFile(name); err != nil {
				return err
			}
		case strings.HasSuffix(e.Name(), ".yml"):
			l.warnings = append(l.warnings, Error{Place{Source: name}, option.Fault{Text: "is not read: expected a name that ends in .yaml"}})
		}
	}
	return nil
}

func (l *layers) addFile(name string) error {
	text, everybody, err := readBounded(name)
	if err != nil {
		return err
	}
	l.files = append(l.files, name)
	l.sources = append(l.sources, name)
	l.open[name] = everybody
	d := parseDocument(name, "", nil, text)
	l.errs = append(l.errs, d.errs...)
	values, ok := d.root.(map[string]any)
	if !ok && d.root != nil {
		l.errs = append(l.errs, Error{d.places[""], option.Fault{Text: "expected a mapping of keys to values, not " + word(d.root)}})
	}
	return l.add(values, d.places)
}

// readBounded reads a file, which may be a pipe, and tells whether everybody
// on the host may read it.
func readBounded(name string) (text []byte, everybody bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("%s: larger than %s", name, option.Size(maxFileSize))
	}
	return text, info.Mode().IsRegular() && info.Mode()&0o004 != 0, err
}

// add lays values over what there is. A section that is empty in the new layer
// (its keys commented out, say) leaves the old one as it is.
func (l *layers) add(values map[string]any, at places) error {
	l.places.merge(at)
	leaveSections(values, l.k.Raw())
	return l.k.Load(confmap.Provider(values, ""), nil)
}

func leaveSections(values, old map[string]any) {
	for k, v := range values {
		below, isMap := old[k].(map[string]any)
		if !isMap {
			continue
		}
		if m, ok := v.(map[string]any); ok {
			leaveSections(m, below)
		} else if v == nil {
			delete(values, k)
		}
	}
}
