package main

import (
	"context"
	"fmt"
)

// row is a part of the table that is measured together.
type row struct {
	name string // selected by -rows
	run  func(context.Context, *lab) ([]line, error)
}

// rows are all that there are, in the order of the table.
func rows() []row {
	all := []row{
		{"cpu", rowCPU},
		{"real", rowReal},
		{"sinks", rowSinks},
		{"filter", rowFilter},
		{"loss", rowLoss},
		{"idle", rowIdle},
		{"latency", rowLatency},
		{"dump", rowDump},
		{"restore", rowRestore},
		{"table", rowTable},
	}
	for _, p := range providers() {
		all = append(all, p.asRow())
	}
	return all
}

// say writes a line of progress.
func (l *lab) say(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }

// measure runs rows one after the other. One that fails has a line that says why; only
// when ctx is done does it end early.
func (l *lab) measure(ctx context.Context, selected []row) (lines []line, err error) {
	for _, r := range selected {
		l.say("%s", r.name)
		got, err := r.run(ctx, l)
		if ctx.Err() != nil {
			return lines, ctx.Err()
		}
		lines = append(lines, got...)
		if err != nil {
			l.say("  failed: %v", err)
			lines = append(lines, line{measure: r.name, note: "failed: " + err.Error()})
		}
	}
	return lines, nil
}
