package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/cmd/ctferry/connect"
	"github.com/ctferry/ctferry/cmd/ctferry/top"
	"github.com/ctferry/ctferry/control"
)

const topHelp = `How the service is, live: rates by event and protocol, how full the receive
buffers are and for how long their room lasts, loss, every sink, the table, and
the last errors.

This host is asked on its admin port, as the section admin of the configuration
says it (admin.listen), or as --admin does. A node is asked over NATS, found as
ctferry nodes finds it; it tells less, and what it does not tell is left out.

  ctferry top
  ctferry top -c /etc/ctferry/edge.yaml
  ctferry top --admin unix:/run/ctferry/admin.sock
  ctferry top --admin https://ann@edge-1:9479 --admin-ca-file ca.pem
  ctferry top --node edge-1
  ctferry top --once                       one frame of plain text, for scripts

Where standard output is no terminal, one frame is printed; it is as wide as
COLUMNS says, or 120. NO_COLOR=1 takes the colours away. The password of the
admin port is read from the configuration or, where that has only its hash, from
` + top.PasswordVariable + `.

Exit codes: 0 when it was shown, 1 when the service could not be asked, 2 when
the command line or the configuration is wrong, 3 when the node did not answer.`

// topFlags say whom top asks, and how it shows the answer.
type topFlags struct {
	connectFlags
	local    top.LocalOptions
	node     string
	interval time.Duration
	once     bool
}

func newTop() *cobra.Command {
	var flags topFlags
	c := &cobra.Command{
		Use: "top", Short: "How the service is, live, here or on a node", Long: topHelp,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error { return runTop(c, &flags) },
	}
	flags.add(c)
	f := c.Flags()
	f.Lookup("config").Usage = "configuration `FILE` whose section admin is used, with --node its section control"
	f.StringVar(&flags.node, "node", "", "`NAME` of the node that is asked over NATS")
	f.StringVar(&flags.local.URL, "admin", "", "`URL` of the admin port: http://…, https://… or unix:/…")
	f.StringVar(&flags.local.CAFile, "admin-ca-file", "", "authorities of the admin port's certificate, PEM `FILE`")
	f.StringVar(&flags.local.CertFile, "admin-cert-file", "", "certificate for an admin port that asks for one, PEM `FILE`")
	f.StringVar(&flags.local.KeyFile, "admin-key-file", "", "its key, PEM `FILE`")
	f.DurationVar(&flags.interval, "interval", time.Second, "`TIME` between two questions")
	f.BoolVar(&flags.once, "once", false, "print one frame as plain text and end")
	return c
}

func runTop(c *cobra.Command, f *topFlags) error {
	if f.interval < 100*time.Millisecond || f.interval > time.Hour {
		return usageError{fmt.Errorf("--interval: %v: expected a time from 100ms to 1h", f.interval)}
	}
	source, asked, err := f.source(c)
	if err != nil {
		return topError(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = top.Run(ctx, source, top.Options{
		Asked: asked, Interval: f.interval, Once: f.once, In: c.InOrStdin(), Out: c.OutOrStdout(), Environ: os.Environ(),
	})
	if err != nil && f.node != "" && (errors.Is(err, control.ErrAbsent) || errors.Is(err, control.ErrSlow)) {
		return noAnswer{err}
	}
	return topError(err)
}

// source finds who is asked, and a name for him.
func (f *topFlags) source(c *cobra.Command) (top.Source, string, error) {
	if f.node == "" {
		for _, name := range []string{"server", "creds", "nats-context", "site", "wait"} {
			if c.Flags().Changed(name) {
				return nil, "", usageError{fmt.Errorf("--%s: has no effect without --node NAME", name)}
			}
		}
		f.local.Config, f.local.Environ = cmp.Or(f.Config, connect.DefaultConfig), os.Environ()
		s, err := top.NewLocal(f.local)
		if err != nil {
			return nil, "", err
		}
		return s, s.Address(), nil
	}
	switch {
	case f.local.URL != "":
		return nil, "", usageError{errors.New("--admin and --node cannot stand together: each says whom to ask")}
	case f.wait <= 0:
		return nil, "", usageError{fmt.Errorf("--wait: %v: expected a time such as 2s", f.wait)}
	}
	s, err := top.NewRemote(f.Options, f.node, f.wait)
	if err != nil {
		return nil, "", err
	}
	return s, "node " + f.node, nil
}

// topError gives an error its exit code.
func topError(err error) error {
	var usage *top.UsageError
	if errors.As(err, &usage) {
		return usageError{err}
	}
	return connectError(err)
}
