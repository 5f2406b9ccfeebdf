package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/cmd/ctferry/connect"
	"github.com/ctferry/ctferry/control"
)

const nodesHelp = `Ask over NATS which nodes answer, and how each is: version, uptime, how full its
table is, what it lost, and its sinks. A NAME is a node that should answer.

NATS is found by the flags, by the variables of the nats tool (NATS_URL,
NATS_CREDS, NATS_CONTEXT, …), in the section control of /etc/ctferry/ctferry.yaml,
by the keys that a server inside ctferry run has left on this host, or by the
context that the nats tool has selected.

  ctferry nodes
  ctferry nodes edge-1 edge-2              these should answer
  ctferry nodes --json | jq .sinks
  ctferry nodes --nats-context hub --site paris

Exit codes: 0 when every node answered, 1 when it failed, 2 when the command
line or the configuration is wrong, 3 when a node that should answer did not,
or none did.`

// connectFlags say how nodes are reached.
type connectFlags struct {
	connect.Options
	wait time.Duration
}

func (f *connectFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.Server, "server", "", "`URL`s of NATS, parted by commas")
	flags.StringVar(&f.Creds, "creds", "", "credentials `FILE`")
	flags.StringVar(&f.Context, "nats-context", "", "`NAME` or file of a context of the nats tool")
	flags.StringVarP(&f.Config, "config", "c", "", "configuration `FILE` whose section control is used")
	flags.StringVar(&f.Site, "site", "", "`NAME` of the nodes' site")
	flags.DurationVar(&f.wait, "wait", 2*time.Second, "`TIME` for nodes to answer")
}

func newNodes() *cobra.Command {
	var flags connectFlags
	var asJSON bool
	c := &cobra.Command{
		Use: "nodes [NAME…]", Short: "Who answers over NATS, and how they are", Long: nodesHelp,
		RunE: func(c *cobra.Command, args []string) error {
			if flags.wait <= 0 {
				return usageError{fmt.Errorf("--wait: %v: expected a time such as 2s", flags.wait)}
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			found, err := askNodes(ctx, &flags, args)
			if err != nil {
				return err
			}
			return tellNodes(c, found, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "a JSON object a line for each node")
	flags.add(c)
	addCompletions(c, nil)
	c.ValidArgsFunction = completeNodes(&flags)
	return c
}

// askNodes asks who is there; expect are those who should be.
func askNodes(ctx context.Context, flags *connectFlags, expect []string) ([]control.NodeInfo, error) {
	target, err := connect.ThisHost().Find(flags.Options)
	if err != nil {
		return nil, connectError(err)
	}
	nc, err := target.Dial(ctx)
	if err != nil {
		return nil, connectError(err)
	}
	defer nc.Close()
	client, err := control.NewClient(nc, control.ClientOptions{
		Prefix: target.Subjects.Prefix, Site: target.Subjects.Site, User: connect.User(), Discover: flags.wait, Silence: flags.wait,
	})
	if err != nil {
		return nil, usageError{err}
	}
	found, err := client.Nodes(ctx, expect...)
	if errors.Is(err, control.ErrAbsent) {
		return nil, noAnswer{fmt.Errorf("no node answers at site %s on %s (%s)", target.Subjects.Site, nc.ConnectedUrlRedacted(), target.From)}
	}
	return found, err
}

// connectError gives an error its exit code.
func connectError(err error) error {
	var usage *connect.UsageError
	if errors.As(err, &usage) {
		return usageError{err}
	}
	return err
}

// tellNodes prints what was found; the error names who did not answer.
func tellNodes(c *cobra.Command, found []control.NodeInfo, asJSON bool) error {
	out := c.OutOrStdout()
	var missing []error
	for i := range found {
		if err := found[i].Err; err != nil {
			missing = append(missing, err)
		}
	}
	var err error
	if asJSON {
		err = nodesJSON(out, found)
	} else {
		err = nodesTable(out, found)
	}
	if len(missing) > 0 && err == nil {
		return noAnswer{errors.Join(missing...)}
	}
	return err
}

func nodesJSON(out io.Writer, found []control.NodeInfo) error {
	enc := json.NewEncoder(out)
	for i := range found {
		if err := enc.Encode(nodeReportOf(&found[i])); err != nil {
			return err
		}
	}
	return nil
}
