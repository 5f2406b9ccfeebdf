package configs

import (
	"fmt"
	"strings"
)

// absent is a section that the design has and this version does not. A file
// that turns it off is accepted, so that one file serves this version and
// those that have it.
type absent struct {
	name, key, off string
}

func (a absent) isOff(section any) bool {
	m, ok := section.(map[string]any)
	if !ok || len(m) == 0 {
		return section == nil || ok
	}
	if m[a.key] == nil && a.off == "" {
		return true // an empty variable of the environment is nothing
	}
	text, ok := textOf(m[a.key])
	return ok && strings.EqualFold(text, a.off)
}

func later() []absent {
	return []absent{
		{"admin", "listen", ""},
	}
}

// absentSections takes out the sections that this version does not have,
// refused by name rather than as unknown.
func (b *builder) absentSections(values map[string]any) {
	for _, a := range later() {
		section, ok := values[a.name]
		if ok && !a.isOff(section) {
			off := a.off
			if off == "" {
				off = `""`
			}
			b.faults.Add(a.name, fmt.Sprintf("is not in this version: expected %s: %s, or no such section", a.key, off))
		}
		delete(values, a.name)
	}
}
