package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the report for people: what is to be mended and what could not be
// looked at, or with all everything. A sound host is one line.
func (r *Report) Print(w io.Writer, all bool) error {
	var b strings.Builder
	for i := range r.Findings {
		if f := &r.Findings[i]; all || f.Severity != OK {
			f.print(&b)
		}
	}
	r.sum(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// print writes one to three lines.
func (f *Finding) print(b *strings.Builder) {
	found := f.Found
	if f.Subject != "" {
		found = f.Subject + ": " + found
	}
	fmt.Fprintf(b, "%-7s  %-12s  %s\n", f.Severity, f.ID, found)
	if f.Severity == OK {
		return
	}
	if f.Why != "" {
		fmt.Fprintf(b, "%9s%-12s  %s\n", "", "why", f.Why)
	}
	if f.Fix != "" {
		fmt.Fprintf(b, "%9s%-12s  %s\n", "", "fix", f.Fix)
	}
}

// sum writes the last line.
func (r *Report) sum(b *strings.Builder) {
	unknown := ""
	if n := r.Count(Unknown); n > 0 {
		unknown = fmt.Sprintf(", %d could not be looked at", n)
	}
	if r.Sound() {
		fmt.Fprintf(b, "sound: %d %s, nothing to mend%s\n", len(r.Findings), plural("check", len(r.Findings)), unknown)
		return
	}
	fmt.Fprintf(b, "%d %s, %d %s, %d good%s\n", r.Count(Fail), plural("fault", r.Count(Fail)),
		r.Count(Warn), plural("warning", r.Count(Warn)), r.Count(OK), unknown)
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
