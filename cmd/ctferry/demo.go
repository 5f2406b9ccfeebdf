package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/internal/testnet"
)

const demoHelp = `Show the whole pipeline at work: a private network namespace with connection
tracking and one NAT rule, real TCP, UDP, ICMP and SCTP traffic over IPv4 and
IPv6, the kernel's events, a console and an in-process NATS server as sinks.
It needs no broker, no tool and, where user namespaces are on, no root. Nothing
outside the namespace is touched. It ends by itself, with an account of what was
sent, received, delivered and lost, and fails if that does not balance.`

// demoLimit is when the demo gives up, whatever hangs.
const demoLimit = 20 * time.Second

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Show real traffic going through the whole pipeline", Long: demoHelp, Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, demoLimit)
			defer cancel()
			if testnet.Reexecuted() {
				return runDemo(ctx, c.OutOrStdout())
			}
			return demoInNamespace(ctx, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

// demoInNamespace runs this program again inside a namespace of its own.
func demoInNamespace(ctx context.Context, out, errOut io.Writer) error {
	cmd, err := testnet.Reexec(ctx, "demo")
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, errOut
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return errors.New("the demo failed")
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("user namespaces are off here (%w): run it as root", err)
	}
	return err
}
