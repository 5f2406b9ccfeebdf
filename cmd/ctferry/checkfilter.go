package main

import (
	"bytes"
	"fmt"

	"github.com/ctferry/ctferry/source"
)

// filterPlaces says in a line for each term of source.filter where it runs, and by
// what of it dumps are narrowed, if there are any; the terms stand in
// the order of the canonical form, which is printed too.
func filterPlaces(cfg *source.Config, prefix string) []byte {
	var out bytes.Buffer
	count := map[bool]int{}
	for _, at := range cfg.KernelFilter().Terms() {
		list := "include"
		if at.Exclude {
			list = "exclude"
		}
		fmt.Fprintf(&out, "%ssource.filter.%s[%d]: %s: %s\n", prefix, list, count[at.Exclude], at.String(), at.Term)
		count[at.Exclude]++
	}
	if cfg.Dumps() && !cfg.Filter.IsAll() {
		where := "user"
		if d := cfg.DumpFilter(); len(d.Fields()) > 0 {
			where = fmt.Sprintf("kernel (%s), then user (all of it)", d)
		}
		fmt.Fprintf(&out, "%ssource.filter in dumps: %s\n", prefix, where)
	}
	return out.Bytes()
}
