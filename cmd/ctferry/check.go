package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/sinks"
)

const checkHelp = `Validate a configuration without touching the kernel, a broker or a file that it
names. Every fault is told with its file, line and column. Where a sink gives
up the order of a flow's events, the report says unordered and why. Only the links
on the way to files of sinks are followed, to find two that write one file.

  ctferry check ctferry.yaml
  ctferry check --print-effective ctferry.yaml      defaults filled in, secrets hidden

Both say where each term of source.filter runs: in the kernel, which then spends
nothing on the event but the look at it, or here (user). What the kernel passes is
matched here again. The filters of sinks always run here.

With --sample it goes on to read this host's events for a while, as the service
would, and with --replay the records of a file. They go through the real filters,
encodings and batching of each sink, and nowhere else: nothing is sent, written
or changed. For each sink it tells records a second, bytes a second, GB a day
before and after compression, a broker's messages a second, and three records; or
why there are none. Ctrl-C ends it early, with what there is.

  ctferry check --sample 60s ctferry.yaml           this host's rates; needs CAP_NET_ADMIN
  ctferry check --replay flows.jsonl.zst new.yaml   what new.yaml would make of them; needs nothing
  ctferry check --sample 10s --json ctferry.yaml | jq '.sinks[] | {name, gb_per_day}'

Exit codes: 0 when it is right, 1 when the sample could not be taken or the records
not be read, 2 when the configuration or the command line is wrong, or a file that
it names cannot be opened.`

func newCheck() *cobra.Command {
	var flags configFlags
	var effective bool
	var trial sampleFlags
	c := &cobra.Command{
		Use: "check FILE", Short: "Validate a configuration offline", Long: checkHelp, Args: exactly(1, "one FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			flags.file = args[0]
			if err := trial.judge(c, effective); err != nil {
				return err
			}
			cfg, err := loadConfig(flags.input())
			if err != nil {
				return err
			}
			if effective {
				text, err := cfg.Effective()
				if err != nil {
					return err
				}
				_, err = c.OutOrStdout().Write(append(text, filterPlaces(&cfg.Source, "# ")...))
				return err
			}
			if trial.json {
				return sample(c, cfg, trial)
			}
			if err := report(c, cfg); err != nil || !trial.asked() {
				return err
			}
			fmt.Fprintln(c.OutOrStdout())
			return sample(c, cfg, trial)
		},
	}
	c.Flags().BoolVar(&effective, "print-effective", false, "print the whole configuration as it would run, as YAML")
	flags.add(c)
	trial.add(c)
	addCompletions(c, &flags)
	c.ValidArgsFunction = completeYAML
	return c
}

// report says in a line for each sink what it will do.
func report(c *cobra.Command, cfg *configs.Config) error {
	out := c.OutOrStdout()
	for _, w := range cfg.Warnings {
		fmt.Fprintf(out, "warning: %v\n", w)
	}
	if _, err := out.Write(filterPlaces(&cfg.Source, "")); err != nil {
		return err
	}
	for _, k := range cfg.Sinks {
		order := "ordered"
		if why := k.Options.Unordered(); why != "" {
			order = "unordered: " + why
		}
		if o, ok := k.Options.(*sinks.NATSOptions); ok && !o.JetStream.On() {
			order += ", best effort (core NATS acknowledges nothing)"
		}
		fmt.Fprintf(out, "sink %s: %s, %s, %v, %s\n", k.Name, k.Type, k.Encoding, k.Types().Names(), order)
	}
	if p := &cfg.Spool; p.Mode != sinks.SpoolOff {
		fmt.Fprintf(out, "spool: %s in %s, up to %s, sync %s\n", p.Mode, p.Dir, p.Max, p.Sync)
	}
	if n := &cfg.NATSServer; n.Enabled {
		fmt.Fprintf(out, "nats_server: on %s, store %s, keys in %s\n", cmp.Or(n.Server.Listen, "no address"), n.Server.StoreDir, n.Credentials.Dir)
	}
	if k := &cfg.Control; k.Enabled {
		fmt.Fprintf(out, "control: site %s over %s, allows %v\n", k.Site, cfg.ControlConnection, k.Allow)
	}
	_, err := fmt.Fprintf(out, "%v: ok, node %s, %d sinks\n", cfg.Files[0], cfg.Node, len(cfg.Sinks))
	return err
}
