// Command ctferry ferries the Linux kernel's connection-tracking events and
// table dumps to Kafka, NATS and files. This package holds the subcommands and
// the wiring of the other packages, and nothing that another could want.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
)

// Exit codes, as conntrack(8) has them.
const (
	exitOK    = 0
	exitError = 1 // it was tried and failed
	exitUsage = 2 // it was not tried: the command line or the configuration is wrong
	exitNoOne = 3 // some node did not answer; conntrack(8) has no such thing
)

// usageError is a fault in what the user wrote.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// noAnswer says which nodes did not answer.
type noAnswer struct{ err error }

func (e noAnswer) Error() string { return e.err.Error() }
func (e noAnswer) Unwrap() error { return e.err }

func main() {
	// Where it fails, what needs the capability fails by its own name.
	_ = raiseNetAdmin()
	if asConntrack(os.Args) {
		os.Exit(conntrackLine(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs one command line and gives its exit code.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	if completing(args) {
		complete(args[1:], out)
		return exitOK
	}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	refuseUnknown(root)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(errOut, "ctferry:", err)
	var usage usageError
	var silent noAnswer
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &silent):
		return exitNoOne
	}
	return exitError
}

const rootHelp = `ctferry ferries the Linux kernel's connection-tracking events and table dumps
to Kafka, NATS and files, as JSON, XML or protobuf. Every event is delivered
or accounted for.

Try it, without root and without a configuration:
  ctferry demo                       real traffic through the whole pipeline, in a private namespace

Then:
  ctferry run                        this host's events as JSON lines (needs CAP_NET_ADMIN)
  ctferry -L                         conntrack(8): list, delete, create, update, watch… (ctferry help conntrack)
  ctferry doctor                     what would keep this host from losing nothing, with the command against it
  ctferry check ctferry.yaml         what is wrong with a configuration, before it runs
  ctferry run -c ctferry.yaml        the service
  ctferry top                        how the service is, live, here or on a node (--node NAME)
  ctferry nodes                      which nodes answer over NATS, and how they are`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "ctferry", Long: rootHelp, Version: version, SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%q is no command: see ctferry --help", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(newRun(), newCheck(), newDoctor(), newNodes(), newTop(), newDemo(), newDecode(), newSpool(), newVersion())
	root.AddCommand(&cobra.Command{Use: "conntrack", Short: "The options of conntrack(8), which need no subcommand", Long: frontend.Usage("ctferry")})
	return root
}

// refuseUnknown has cobra's own commands say what they do not know, instead of
// printing help as if all were well.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usageError{fmt.Errorf("help: %q is no command: see ctferry --help", strings.Join(args, " "))}
				}
				return nil
			}
		case "completion":
			c.Args = exactly(0, "a shell, bash, fish, powershell or zsh")
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
}

// exactly is cobra.ExactArgs with an error that says what was expected.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s: expected %s: see %s --help", c.Name(), what, c.CommandPath())}
		}
		return nil
	}
}
