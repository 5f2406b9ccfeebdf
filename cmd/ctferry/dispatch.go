package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// asConntrack decides whether a command line, the program's name first, is one
// of conntrack(8). It is if the program is called conntrack, whatever follows;
// else if the first word begins with a dash, because no subcommand does. The
// lines that ask ctferry itself for help or its version (--help, -h, --version,
// -v, with no other option) stay ctferry's own, and so does "--", after which
// options end. -V is conntrack's word alone.
func asConntrack(argv []string) bool {
	if filepath.Base(argv[0]) == "conntrack" {
		return true
	}
	if len(argv) < 2 || len(argv[1]) < 2 || argv[1][0] != '-' || argv[1] == "--" {
		return false
	}
	own := slices.Contains([]string{"--help", "-h", "--version", "-v"}, argv[1])
	others := slices.ContainsFunc(argv[2:], func(word string) bool { return strings.HasPrefix(word, "-") })
	return !own || others
}
