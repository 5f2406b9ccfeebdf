package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// The bounds of --sample.
const (
	minSample = time.Second
	maxSample = 24 * time.Hour
)

// sampleFlags ask check to try a configuration without sending anything.
type sampleFlags struct {
	span   time.Duration
	replay string
	from   string
	json   bool
}

func (f *sampleFlags) add(c *cobra.Command) {
	c.Flags().DurationVar(&f.span, "sample", 0, "read this host's events for `TIME`, and tell each sink's volume; nothing is sent")
	c.Flags().StringVar(&f.replay, "replay", "", "read records from `RECORDS`, which a file sink wrote, in the place of this host's events")
	c.Flags().StringVar(&f.from, "from", "", "`FORMAT` of --replay: json, xml or protobuf; default: as its first bytes tell")
	c.Flags().BoolVar(&f.json, "json", false, "tell the volumes as JSON")
}

func (f *sampleFlags) asked() bool { return f.span != 0 || f.replay != "" }

// judge refuses what does not go together.
func (f *sampleFlags) judge(c *cobra.Command, effective bool) error {
	switch {
	case f.replay != "" && c.Flags().Changed("sample"):
		return usageError{errors.New("check: --sample reads this host and --replay a file: expected one of them")}
	case c.Flags().Changed("sample") && (f.span < minSample || f.span > maxSample):
		return usageError{fmt.Errorf("--sample: %v is out of range: expected %v to %v", f.span, minSample, maxSample)}
	case !f.asked() && (f.json || f.from != ""):
		return usageError{errors.New("check: --json and --from go with --sample or --replay")}
	case f.from != "" && f.replay == "":
		return usageError{errors.New("check: --from goes with --replay")}
	case f.asked() && effective:
		return usageError{errors.New("check: --print-effective prints and measures nothing: expected it without --sample and --replay")}
	}
	return nil
}

// trial runs a configuration's sinks as meters.
type trial struct {
	cfg     *configs.Config
	tally   *sampleTally
	meters  []*sinks.Meter
	outlets []*sinks.Outlet
	sockets []flow.SocketBooks // of --sample
	span    time.Duration
}

// newTrial makes the sinks, without I/O. Where one would go on at a cursor in a
// spool, here it has its queue in memory: it sends the same.
func newTrial(cfg *configs.Config, id source.Identity) (*trial, error) {
	t := &trial{cfg: cfg}
	for _, c := range cfg.Sinks {
		metered, meter := sinks.Metered(c)
		o, err := sinks.NewOutlet(metered, id.Node, id.Run, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		t.meters, t.outlets = append(t.meters, meter), append(t.outlets, o)
	}
	t.tally = newSampleTally(cfg.Sinks, sinks.NewFanout(t.outlets...))
	return t, nil
}

// run feeds the sinks until feed returns, and waits until they have taken all.
func (t *trial) run(feed func(source.Taker) error) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var couriers sync.WaitGroup
	errs := make([]error, len(t.outlets))
	for i, o := range t.outlets {
		couriers.Go(func() { errs[i] = o.Run(ctx) })
	}
	err := feed(t.tally)
	stop()
	couriers.Wait()
	return errors.Join(append(errs, err)...)
}

// settleTime bounds how long one batch of a file waits for the sinks.
const settleTime = 10 * time.Second

// settle waits until every sink has taken what it was offered.
func (t *trial) settle() {
	for began := time.Now(); time.Since(began) < settleTime; time.Sleep(time.Millisecond) {
		held := uint64(0)
		for _, o := range t.outlets {
			held += o.Books().Held
		}
		if held == 0 {
			return
		}
	}
}

// sample tries cfg on this host's events or on a file's records.
func sample(c *cobra.Command, cfg *configs.Config, f sampleFlags) error {
	id, err := newIdentity(cfg)
	if err != nil {
		return err
	}
	t, err := newTrial(cfg, id)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if f.replay != "" {
		err = t.run(func(out source.Taker) error { return t.replay(ctx, f, c.InOrStdin(), out) })
	} else {
		err = t.run(func(out source.Taker) error { return t.listen(ctx, id, f.span, out, c.ErrOrStderr()) })
	}
	if err != nil {
		return err
	}
	if f.json {
		return t.printJSON(c.OutOrStdout(), f)
	}
	return t.print(c.OutOrStdout(), f)
}

// listen reads this host's events for a while. Nothing of the host is changed:
// counters are not set to zero, no state is kept, and the kernel is not asked to
// keep what is not delivered.
func (t *trial) listen(ctx context.Context, id source.Identity, span time.Duration, out source.Taker, errOut io.Writer) error {
	cfg := t.cfg.Source
	cfg.Dump.Zero, cfg.Dump.AtStart, cfg.StateDir, cfg.Reliable = false, false, "", false
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	src, err := source.New(cfg, id, wanted(t.cfg.Sinks), out, log)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: --sample needs CAP_NET_ADMIN%s; --replay needs nothing", err, lacking(os.Geteuid()))
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	began := time.Now()
	err = src.Run(ctx)
	t.span, t.sockets = time.Since(began), src.Books()
	return err
}
