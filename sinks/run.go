package sinks

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// closeTime is how long a sink may take to close once the time to drain is over.
const closeTime = 5 * time.Second

// A runner is a Sink with work beside writing, such as compressing what was
// rotated. Run is started before Open and ends when ctx does, which is after
// Close; its error is told, and ends nothing.
type runner interface {
	Run(ctx context.Context) error
}

// Run delivers until ctx ends, then goes on for as long as Config.Drain allows,
// counts what is left as dropped (shutdown), and closes the sink. It returns
// nil after that, ErrReaderGone if the sink's reader has gone, or what kept the
// sink from closing; ErrStuck if the sink never came back. Whoever offers must
// have ended before ctx does: what comes later is counted as dropped.
func (o *Outlet) Run(ctx context.Context) error {
	if o.backlog != nil {
		if err := o.backlog.attach(); err != nil {
			return fmt.Errorf("sink %q: %w", o.cfg.Name, err)
		}
		defer o.backlog.end()
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	background, halt := context.WithCancel(work)
	defer halt()
	ended := make(chan error, 1)
	beside := make(chan error, 1)
	go func() { beside <- o.runBeside(background) }()
	go func() { ended <- o.carry(ctx.Done(), work) }()

	err, back := o.wait(ctx, cancel, ended)
	// If the sink is still in a call, it stays there: nothing can end it, and the books are closed.
	o.ledger.close(o.queue)
	halt()
	select {
	case besideErr := <-beside:
		err = errors.Join(err, besideErr)
	case <-time.After(closeTime):
		back = false
	}
	if !back {
		if o.overflow != nil {
			o.overflow.strand()
		}
		err = errors.Join(err, ErrStuck)
	}
	if err != nil {
		return fmt.Errorf("sink %q: %w", o.cfg.Name, err)
	}
	return nil
}

// wait waits for the courier: for ever while ctx lives, then until the time to
// drain is over, then, with the work cancelled, a little more.
func (o *Outlet) wait(ctx context.Context, cancel func(), ended <-chan error) (err error, back bool) {
	select {
	case err = <-ended:
		return err, true
	case <-ctx.Done():
	}
	select {
	case err = <-ended:
		return err, true
	case <-time.After(o.cfg.Drain):
	}
	cancel()
	select {
	case err = <-ended:
		return err, true
	case <-time.After(2 * closeTime):
		return nil, false
	}
}

// carry runs the courier and then closes the sink.
func (o *Outlet) carry(stop <-chan struct{}, work context.Context) error {
	c := newCourier(o, stop, work)
	err := c.run()
	switch {
	case o.overflow != nil:
		o.overflow.bequeath(c.left)
	case o.backlog != nil:
		o.backlog.bequeath(c.left, nil)
	}
	o.ledger.close(o.queue)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), closeTime)
	defer cancel()
	return errors.Join(err, c.dead.close(), o.sink.Close(ctx))
}

func (o *Outlet) runBeside(ctx context.Context) error {
	r, ok := o.sink.(runner)
	if !ok {
		return nil
	}
	return r.Run(ctx)
}
