package configs

import (
	"fmt"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// Place is where a key was set.
type Place struct {
	Source    string // file name, "environment NAME" or "--set KEY"
	Line, Col int    // 0 outside files
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Col)
}

// places tells for each key's path where it was set last.
type places map[string]Place

// near finds the place of a path or of the nearest thing above it that has
// one: an absent key is reported where its section begins.
func (ps places) near(path string) (Place, bool) {
	for {
		if p, ok := ps[path]; ok {
			return p, true
		}
		if path == "" {
			return Place{}, false
		}
		path = parent(path)
	}
}

// parent cuts the last step of a path: a.b[0].c, a.b[0], a.b, a, "".
func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return ""
}

// Error is one fault of the configuration with its place.
type Error struct {
	Place Place
	Fault option.Fault
}

func (e Error) Error() string {
	if e.Place.Source == "" {
		return e.Fault.Error()
	}
	return e.Place.String() + ": " + e.Fault.Error()
}

// Errors is everything that is wrong with a configuration, in the order of the places.
type Errors []Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}
