package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ctferry/ctferry/"

// allowed is the import graph of the house, the whole of it. A package may
// import itself, the packages named here, and nothing else of the module.
// internal/option holds value types of the configuration and imports only std.
func allowed() map[string][]string {
	return map[string][]string{
		"source/flow":         {},
		"internal/option":     {},
		"internal/testnet":    {},
		"internal/testbroker": {},
		"internal/testdisk":   {"internal/testnet"},
		"internal/testhost":   {"internal/testnet"},
		"internal/bench":      {"internal/testnet"},
		"internal/budget":     {},
		"source/ctnetlink":    {"source/flow"},
		"source":              {"source/ctnetlink", "source/flow", "internal/option"},
		"encode":              {"source/flow"},
		"internal/natsconn":   {"internal/option"},
		"internal/admin":      {"source/flow", "internal/option"},
		"internal/doctor":     {"source/ctnetlink", "source/flow"},
		"sinks/spool":         {},
		"sinks":               {"encode", "source/flow", "sinks/spool", "internal/natsconn", "internal/option"},
		"control":             {"encode", "source/flow", "internal/natsconn", "internal/option"},
		"configs":             {"source", "sinks", "control", "source/flow", "internal/admin", "internal/natsconn", "internal/option"},

		"cmd/ctferry/conntrack": {"source/flow"},
		"cmd/ctferry/embedded":  {"configs", "control", "internal/natsconn"},
		"cmd/ctferry/connect":   {"cmd/ctferry/embedded", "configs", "control", "internal/natsconn", "internal/option"},
		"cmd/ctferry/frontend":  {"cmd/ctferry/conntrack", "control", "encode", "source/flow"},
		"cmd/ctferry/top":       {"cmd/ctferry/connect", "configs", "control", "internal/admin", "source/ctnetlink", "source/flow", "internal/option"},
		"cmd/ctferry/tap":       {"control", "source", "source/flow", "internal/option"},
	}
}

// stdOnly are the packages that may import nothing but the standard library.
func stdOnly() []string { return []string{"source/flow", "internal/option"} }

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Deps       []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// room is the package of the table that a path belongs to: a folder inside a
// room that the table does not name is a part of that room.
func room(path string, table map[string][]string) (string, bool) {
	path = strings.TrimPrefix(path, module)
	for path != "" {
		if _, ok := table[path]; ok {
			return path, true
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return "", false
		}
		path = path[:i]
	}
	return "", false
}

// TestImportGraph holds the house to its plan: source, sinks and control never
// see one another, and flow knows nobody.
func TestImportGraph(t *testing.T) {
	table := allowed()
	for _, p := range listPackages(t) {
		if p.ImportPath == module+"cmd/ctferry" {
			continue // the wiring may import everything
		}
		from, ok := room(p.ImportPath, table)
		if !ok {
			t.Errorf("%s is no room of the house: name it in the plan", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				if slices.Contains(stdOnly(), from) && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
					t.Errorf("%s imports %s: it may import the standard library only", from, imp)
				}
				continue
			}
			to, ok := room(imp, table)
			if !ok || to != from && !slices.Contains(table[from], to) {
				t.Errorf("%s imports %s: the plan does not allow it", from, strings.TrimPrefix(imp, module))
			}
		}
	}
}
