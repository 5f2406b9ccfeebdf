package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/configs"
)

const runHelp = `Read the kernel's connection-tracking events and deliver them to the configured
sinks until SIGTERM or SIGINT. Without -c: this host's events as JSON lines on
standard output. SIGHUP loads the configuration again: a wrong one changes
nothing, a right one changes only the sinks that differ.

It needs CAP_NET_ADMIN in the user namespace that owns the network namespace.

  ctferry run                                     events of this host, to look at
  ctferry run | jq 'select(.proto == "tcp")'
  ctferry run -c /etc/ctferry/ctferry.yaml        the service
  ctferry run --set source.events=[destroy]       one key on the command line

Exit codes: 0 after a signal, 1 when it failed, 2 when the configuration is wrong.`

// configFlags are what run and check both take.
type configFlags struct {
	file string
	set  []string
}

func (f *configFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.set, "set", nil, "set one key, `KEY=VALUE`, over the file and the environment; may be repeated")
}

func (f *configFlags) input() configs.Input {
	return configs.Input{File: f.file, Env: configs.Environ(), Set: f.set}
}

// logFlags say how the log looks. It goes to standard error.
type logFlags struct {
	level  level
	format string
}

// level is slog's, with an error that says what was expected.
type level struct{ slog.Level }

func (l *level) UnmarshalText(text []byte) error {
	if l.Level.UnmarshalText(text) != nil {
		return errors.New("expected debug, info, warn or error")
	}
	return nil
}

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().TextVar(&f.level, "log-level", level{slog.LevelInfo}, "least `LEVEL` that is logged: debug, info, warn or error")
	c.Flags().StringVar(&f.format, "log-format", "text", "`FORMAT` of the log: text or json")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: f.level.Level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format: %q is not known: expected text or json", f.format)}
}

func newRun() *cobra.Command {
	var flags configFlags
	var logs logFlags
	c := &cobra.Command{
		Use: "run [-c FILE]", Short: "Read events and deliver them: the service", Long: runHelp, Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := logs.logger(c.ErrOrStderr())
			if err != nil {
				return err
			}
			return runService(c.Context(), flags, log)
		},
	}
	c.Flags().StringVarP(&flags.file, "config", "c", "", "configuration `FILE`; conf.d/*.yaml beside it is read too")
	flags.add(c)
	logs.add(c)
	addCompletions(c, &flags)
	c.ValidArgsFunction = cobra.NoFileCompletions
	return c
}

// runService runs until a signal comes. SIGHUP reloads.
func runService(ctx context.Context, flags configFlags, log *slog.Logger) error {
	cfg, err := loadConfig(flags.input())
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		log.Warn("configuration", "warning", w.Error())
	}
	warnOfHost(ctx, cfg, log)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	s, err := newService(cfg, log)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: this needs CAP_NET_ADMIN%s (ctferry demo needs neither)", err, lacking(os.Geteuid()))
	}
	if err != nil {
		return err
	}
	if s.notify, err = newNotifier(os.Getenv, os.Getpid()); err != nil {
		log.Warn("no service manager", "err", err)
	}
	defer s.notify.close() //nolint:errcheck // a socket of our own
	reload := func() (*configs.Config, error) { return loadConfig(flags.input()) }
	return s.run(ctx, hup, reload)
}

// lacking says what to do about the capability; root may lack it too.
func lacking(uid int) string {
	if uid == 0 {
		return ", which root has not in this container or user namespace"
	}
	return ", so run it as root"
}

// loadConfig loads; a wrong configuration is the user's fault.
func loadConfig(in configs.Input) (*configs.Config, error) {
	cfg, err := configs.Load(in)
	var faults configs.Errors
	switch {
	case errors.As(err, &faults):
		return nil, usageError{fmt.Errorf("configuration:\n%w", err)}
	case err != nil:
		return nil, usageError{err}
	}
	return cfg, nil
}
