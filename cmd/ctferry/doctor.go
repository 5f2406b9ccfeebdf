package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/doctor"
)

const doctorHelp = `Look for what would keep this host from losing nothing: the kernel's settings,
rights, rules, room; with -c also what the configuration names: brokers, topics
and streams, directories, certificates, addresses. Nothing is changed and no
record is sent. Each finding comes with why it matters and a command that mends
it; a sound host is one line.

  ctferry doctor                                what is to be mended on this host
  ctferry doctor -v                             everything that was looked at
  ctferry doctor -c /etc/ctferry/ctferry.yaml   and with this configuration
  ctferry doctor --json | jq -r '.checks[].fix' the schema is ctferry.doctor.v1
  ctferry doctor --skip acct,best_effort        what is so on purpose

Severities: fail, nothing arrives or records are being lost; warn, something is
missing from records or may come to be lost; unknown, it could not be looked at.

Exit codes: 0 when nothing failed (warnings are printed and leave it 0, unless
--strict), 1 when something did, 2 when the command line or the configuration is
wrong.`

// doctorFlags are what ctferry doctor takes.
type doctorFlags struct {
	configFlags
	netns   string
	asJSON  bool
	verbose bool
	strict  bool
	skip    []string
}

func newDoctor() *cobra.Command {
	var flags doctorFlags
	c := &cobra.Command{
		Use: "doctor [-c FILE]", Short: "What would keep this host from losing nothing, and the command against it", Long: doctorHelp,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			report, err := examine(ctx, &flags)
			if err != nil {
				return err
			}
			return flags.tell(c, report)
		},
	}
	f := c.Flags()
	f.StringVarP(&flags.file, "config", "c", "", "configuration `FILE`; without it the host alone is looked at")
	f.StringVar(&flags.netns, "netns", "", "`NAME` under /run/netns, or the path, of the network namespace to look at")
	f.BoolVar(&flags.asJSON, "json", false, "one JSON object of schema ctferry.doctor.v1, with everything that was looked at")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "print what is good too")
	f.BoolVar(&flags.strict, "strict", false, "exit with 1 for warnings too")
	f.StringSliceVar(&flags.skip, "skip", nil, "`ID`s of checks to leave out, parted by commas")
	flags.add(c)
	return c
}

// examine looks and asks.
func examine(ctx context.Context, flags *doctorFlags) (*doctor.Report, error) {
	for _, id := range flags.skip {
		if !slices.Contains(doctor.IDs(), id) {
			return nil, usageError{fmt.Errorf("--skip: %q is no check: expected some of %s", id, strings.Join(doctor.IDs(), ", "))}
		}
	}
	// Without a file: what run without one would do, of which only the source counts.
	cfg, err := loadConfig(flags.input())
	if err != nil {
		return nil, err
	}
	facts := &doctor.Facts{Plan: planOf(cfg, flags.file)}
	report := &doctor.Report{NetNS: flags.netns}
	var ferries []int
	for i, ns := range flags.namespaces(cfg) {
		facts.Host, err = doctor.Look(ctx, doctor.Wants{Name: ns.name, Path: ns.path, Zones: facts.Plan.Zones})
		if err != nil {
			return nil, usageError{flags.lookError(err)}
		}
		ferries = facts.Host.Ferries
		report.Findings = append(report.Findings, facts.HostFindings(i > 0)...)
	}
	if flags.file != "" {
		facts.Answers = doctor.Ask(ctx, facts.Plan, ferries)
		report.Findings = append(report.Findings, facts.PlanFindings()...)
	}
	report.Findings = slices.DeleteFunc(report.Findings, func(f doctor.Finding) bool { return slices.Contains(flags.skip, f.ID) })
	return report, ctx.Err()
}

// lookError says where the namespace was named that cannot be looked at.
func (f *doctorFlags) lookError(err error) error {
	if f.netns == "" {
		return fmt.Errorf("network namespace: %w", err)
	}
	return fmt.Errorf("--netns: %w: expected a name under /run/netns, as ip netns list has it, or a path", err)
}

// namespace is one to look at.
type namespace struct{ name, path string }

// maxNamespaces bounds how many namespaces of a glob are looked at.
const maxNamespaces = 64

// namespaces are the one that was named, or the process's own and those that the
// configuration reads beside it.
func (f *doctorFlags) namespaces(cfg *configs.Config) []namespace {
	if f.netns != "" {
		return []namespace{namespaceOf(f.netns)}
	}
	all := []namespace{{}}
	for _, pattern := range cfg.Source.NetNS {
		paths, err := filepath.Glob(filepath.Join("/run/netns", pattern))
		if err != nil {
			continue // Validate has refused it
		}
		for _, path := range paths[:min(len(paths), maxNamespaces)] {
			all = append(all, namespaceOf(path))
		}
	}
	return all
}

func namespaceOf(name string) namespace {
	if strings.Contains(name, "/") {
		return namespace{filepath.Base(name), name}
	}
	return namespace{name, filepath.Join("/run/netns", name)}
}

// tell prints the report and gives the exit code.
func (f *doctorFlags) tell(c *cobra.Command, report *doctor.Report) error {
	out := c.OutOrStdout()
	var err error
	if f.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(report)
	} else {
		err = report.Print(out, f.verbose)
	}
	switch failed := report.Count(doctor.Fail); {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("doctor: %d of %d checks failed", failed, len(report.Findings))
	case f.strict && !report.Sound():
		return fmt.Errorf("doctor: %d warnings", report.Count(doctor.Warn))
	}
	return nil
}
