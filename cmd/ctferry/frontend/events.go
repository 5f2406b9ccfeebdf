package frontend

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/flow"
)

// events carries out -E: until SIGINT or SIGTERM comes, after which it prints
// what was queued; a second signal ends it at once. Events that were lost make
// the exit code 1.
func (r *run) events(ctx context.Context, q *control.Request) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	p := newPrinter(r.Front, r.cmd, r.hosts.Several())
	answers, err := r.hosts.Call(ctx, q, func(b *flow.Batch) error {
		before := p.lost
		err := p.events(b)
		if p.lost > before {
			r.complain(p.nodeOf(&b.Events()[0]), lossText(p.lost-before))
		}
		return err
	})
	if err := p.close(); err != nil {
		return r.unwritten(err)
	}
	code := r.judge(answers, err)
	what := "flow"
	if r.cmd.Table == conntrack.TableExpect {
		what = "expectation"
	}
	r.say("%d %s events have been shown.", p.count, what)
	if p.lost > 0 && code == exitOK {
		return exitFailed
	}
	return code
}

func lossText(n uint64) string {
	const text = "WARNING: events were lost: %d did not fit into the socket's buffer: see --buffer-size"
	return fmt.Sprintf(text, n)
}
