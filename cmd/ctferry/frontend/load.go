package frontend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
)

// maxLine is the longest line of a file for -R.
const maxLine = 64 << 10

// load carries out a file of commands: none of them if one is wrong. Entries
// that follow one another are made together. One that fails is told and does
// not keep the others from being carried out.
func (f *Front) load(ctx context.Context, c *conntrack.Command, t Target) int {
	commands, places, err := f.readFile(c.File)
	if err != nil {
		return f.refuse(err)
	}
	steps, err := f.steps(commands, places, t)
	if err != nil {
		return f.refuse(err)
	}
	if len(steps) == 0 {
		return exitOK
	}
	hosts, err := f.Open(ctx, t)
	if err != nil {
		return f.unopened(c, err)
	}
	code := exitOK
	for i := range steps {
		r := &run{Front: f, cmd: steps[i].commands[0], target: t, hosts: hosts, quiet: true, commands: steps[i].commands, places: steps[i].places}
		code = max(code, r.do(ctx, &steps[i]))
	}
	if err := hosts.Close(); err != nil {
		f.say("%s", err)
		code = max(code, exitFailed)
	}
	return code
}

// readFile reads a file of commands; "-" is standard input.
func (f *Front) readFile(name string) (commands []*conntrack.Command, places []string, err error) {
	in := f.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, nil, wrong("Failed to open file %s for reading", name)
		}
		defer file.Close()
		in = file
	}
	return f.readLines(name, in)
}

func (f *Front) readLines(name string, in io.Reader) (commands []*conntrack.Command, places []string, err error) {
	parser := conntrack.Parser{Protocol: f.Names.protocol, Label: f.Names.label}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxLine)
	n := 1
	for ; sc.Scan(); n++ {
		c, err := parser.ParseLine(sc.Text())
		if err != nil {
			return nil, nil, at(name, n, err)
		}
		if c != nil {
			commands, places = append(commands, c), append(places, fmt.Sprintf("%s:%d", name, n))
		}
	}
	if err := sc.Err(); err != nil {
		return nil, nil, at(name, n, &conntrack.UsageError{Message: err.Error(), Code: exitUsage})
	}
	return commands, places, nil
}

// at says in which line of a file a fault is.
func at(name string, line int, err error) error {
	var usage *conntrack.UsageError
	if !errors.As(err, &usage) {
		return err
	}
	told := *usage
	told.Message = fmt.Sprintf("%s:%d: %s", name, line, usage.Message)
	return &told
}
