package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// origin is the kind of a layer.
type origin uint8

const (
	inFile origin = iota
	inEnvironment
	onCommandLine
)

// Place is where a key was set.
type Place struct {
	Source    string // file name, "environment NAME" or "--set KEY"
	Line, Col int    // from 1; 0 outside files

	origin  origin
	section bool // the key holds a mapping
}

// String gives file:line:col, or the source alone outside files.
func (p Place) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Col)
}

// places tells for each key's path where it was set last; for a section, where
// it begins first.
type places map[string]Place

// merge lets later places win.
func (ps places) merge(later places) {
	for path, p := range later {
		if old, ok := ps[path]; !ok || !old.section || !p.section {
			ps[path] = p
		}
	}
}

// near finds the place of a path or of the nearest thing above it that has
// one, and says which that is: an absent key is reported where its section
// begins.
func (ps places) near(path string) (Place, string) {
	for {
		if p, ok := ps[path]; ok || path == "" {
			return p, path
		}
		path = parent(path)
	}
}

// parent cuts the last step of a path: a.b[0].c, a.b[0], a.b, a, "".
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// Error is one fault of the configuration with its place.
type Error struct {
	Place Place
	Fault option.Fault
}

// Error gives place, path and text.
func (e Error) Error() string {
	if e.Place.Source == "" {
		return e.Fault.Error()
	}
	return e.Place.String() + ": " + e.Fault.Error()
}

// maxErrors is how many faults are told at once.
const maxErrors = 100

// Errors is everything that is wrong with a configuration, in the order of the
// places: files as they were read, then the environment, then --set.
type Errors []Error

// Error gives a line for each of the first hundred.
func (es Errors) Error() string {
	var lines []string
	for _, e := range es[:min(len(es), maxErrors)] {
		lines = append(lines, e.Error())
	}
	if len(es) > maxErrors {
		lines = append(lines, "and more: mend these first")
	}
	return strings.Join(lines, "\n")
}

// sorted puts errors into the order of their places and leaves each in once.
// sources are the layers in their order.
func (es Errors) sorted(sources []string) Errors {
	rank := map[string]int{}
	for i, s := range sources {
		rank[s] = i + 1
	}
	slices.SortStableFunc(es, func(x, y Error) int {
		return cmp.Or(
			cmp.Compare(rank[x.Place.Source], rank[y.Place.Source]),
			cmp.Compare(x.Place.Line, y.Place.Line),
			cmp.Compare(x.Place.Col, y.Place.Col),
			cmp.Compare(x.Fault.Path, y.Fault.Path),
		)
	})
	return slices.Compact(es)
}
