package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// Options say how it is shown.
type Options struct {
	Asked    string        // whom, for people
	Interval time.Duration // between two questions
	Once     bool          // one frame of plain text, then the end
	In       io.Reader
	Out      io.Writer
	Environ  []string
}

// onceWidth is the width of a frame where nothing says another.
const onceWidth = 120

// maxTries bounds how often a frame asks until there are rates: the first few
// answers of a service that has just started, or of a node that tells the same
// again within a second, have none.
const maxTries = 10

// Run shows the source until somebody quits or ctx ends. What is no terminal gets
// one frame.
func Run(ctx context.Context, source Source, o Options) error {
	defer source.Close()
	if o.Once || !isTerminal(o.Out) {
		return once(ctx, source, &o)
	}
	m := &model{ctx: ctx, source: source}
	m.screen = screen{asked: clean(o.Asked), every: o.Interval, keys: true, now: time.Now()}
	m.screen.plain = lookup(o.Environ, "NO_COLOR") != ""
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environ)).Run()
	switch {
	case m.fatal != nil:
		return m.fatal
	case ctx.Err() != nil, errors.Is(err, tea.ErrInterrupted): // that is how it ends
		return nil
	case err != nil:
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// once prints one frame of a second reading, so that there are rates.
func once(ctx context.Context, source Source, o *Options) error {
	r, err := source.Read(ctx)
	for tries := 1; err == nil && (tries < 2 || r.Rates == nil && tries < maxTries); tries++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.Interval):
		}
		r, err = source.Read(ctx)
	}
	if err != nil {
		return err
	}
	s := screen{paint: paint{plain: true}, width: onceWidth, now: time.Now(), reading: r, asked: o.Asked, every: o.Interval}
	if n, err := strconv.Atoi(lookup(o.Environ, "COLUMNS")); err == nil && n > 0 {
		s.width = n
	}
	_, err = fmt.Fprintln(o.Out, s.String())
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
