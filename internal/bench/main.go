package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == listenVerb {
		exit(goListen())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, os.Args[1:], os.Stdout)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are the command line.
type options struct {
	lab    lab
	rows   *regexp.Regexp
	report string // where the table is written; empty: only to standard output
	dir    string
	nice   int
}

// parse reads the command line.
func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.lab.ferry, "ctferry", "bin/ctferry", "the `program` to be measured")
	flags.IntVar(&o.lab.rounds, "rounds", 5, "how often each subject is measured")
	flags.Float64Var(&o.lab.scale, "scale", 1, "share of the real loads, for a trial")
	flags.StringVar(&o.report, "o", "", "`document` into which the table is written")
	flags.StringVar(&o.dir, "dir", "", "`directory` on a real disk for what the subjects write; default: the system's for temporary files")
	flags.IntVar(&o.nice, "nice", 0, "nice `value` of generator and subjects: -20 makes a busy machine less of a disturbance, and us one to others")
	selection := flags.String("rows", "", "regular `expression`: only rows whose name it matches")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rows, err = regexp.Compile(*selection); err != nil {
		return o, fmt.Errorf("-rows: %w", err)
	}
	if flags.NArg() > 0 || o.lab.rounds < 1 || o.lab.scale <= 0 || o.lab.scale > 1 || o.nice < -20 || o.nice > 19 {
		return o, errors.New("expected no argument, at least one round, a scale above 0 and at most 1, and a nice value from -20 to 19")
	}
	if o.dir == "" {
		o.dir, err = realDisk()
	}
	o.lab.out = out
	return o, err
}

// realDisk is the first of the usual directories that is not in memory.
func realDisk() (string, error) {
	for _, dir := range []string{os.TempDir(), "/var/tmp", "."} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("no directory on a real disk: name one with -dir")
}

// bench measures and reports.
func bench(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	var selected []row
	for _, r := range rows() {
		if o.rows.MatchString(r.name) {
			selected = append(selected, r)
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("-rows %q matches none", o.rows)
	}
	l, err := newLab(ctx, o.lab, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := pinSelf(l.generatorCPU); err != nil {
		return err
	}
	if o.nice != 0 {
		if err := hasten(o.nice); err != nil {
			return fmt.Errorf("-nice: %w", err)
		}
		defer hasten(0) //nolint:errcheck // the session goes on without us
	}
	defer pinSelf(l.generatorCPU, l.subjectCPU) //nolint:errcheck // for tests, which go on
	about := l.describe(ctx)
	lines, err := l.measure(ctx, selected)
	if err != nil {
		return err
	}
	part := about.String() + "\n" + table(lines)
	fmt.Fprintln(out, "\n"+part)
	if o.report == "" {
		return nil
	}
	return writeReport(o.report, part)
}
