package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/source/flow"
)

// controller serves requests over NATS beside delivery, which never waits for
// it: it connects in the background, and again for ever.
type controller struct {
	s        *service
	conn     natsconn.Config
	opts     []nats.Option
	origin   *flow.Origin // of the executor's rows and the audit
	executor *control.Executor
	auditor  *control.Auditor
	labels   map[string]uint8
	requests requests // how they ended
	log      *slog.Logger

	mu    sync.Mutex
	rules rules
	end   context.CancelFunc // of the serving that is under way, or nil
}

// rules are what a reload may change.
type rules struct {
	cfg   control.Config
	guard *control.Guard
}

// The pauses before connecting again: a random time up to the first, then up to
// twice that, and so on.
const (
	controlPause    = 200 * time.Millisecond
	controlMaxPause = 10 * time.Second
)

// newController makes what serves, nil if nothing is to. Nothing connects yet.
func (s *service) newController(cfg *configs.Config, feed control.AuditFeed) (*controller, error) {
	if !cfg.Control.Enabled {
		return nil, nil
	}
	c := &controller{s: s, conn: cfg.Control.Connection, log: s.log.With("part", "control"), labels: conntrack.LabelNames(connlabelText())}
	if cfg.ControlConnection == configs.Embedded {
		c.conn, c.opts = s.server.Connection(), []nats.Option{s.server.InProcess()}
	}
	c.conn.Name = fmt.Sprintf("ctferry/%s/control", control.Token(cfg.Node))
	c.origin = &flow.Origin{Node: s.id.Node, Meta: s.id.Meta, BootID: s.id.BootID, Run: s.id.Run}
	c.executor = newExecutor(s)
	c.auditor = control.NewAuditor(control.AuditOptions{Config: cfg.Control.Audit, Node: cfg.Node, Feed: feed, Log: c.log})
	r, err := c.newRules(cfg.Control)
	if err != nil {
		return nil, err
	}
	c.rules = r
	return c, nil
}

// newRules makes a guard; it opens the audit's file where writes are allowed.
func (c *controller) newRules(cfg control.Config) (rules, error) {
	guard, err := control.NewGuard(cfg, c.executor, c.auditor)
	if err != nil { // protect was checked with the configuration
		return rules{}, fmt.Errorf("control.audit.path: %w", err)
	}
	return rules{cfg, guard}, nil
}

// swap puts new rules in force: what is under way ends first.
func (c *controller) swap(r rules) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules = r
	if c.end != nil {
		c.end()
	}
}

// run serves until ctx ends. An error means that the configuration is wrong:
// everything else is tried again.
func (c *controller) run(ctx context.Context) error {
	pause, told := controlPause, ""
	for first := true; ctx.Err() == nil; first = false {
		served, err := c.connect(ctx)
		var field *natsconn.FieldError
		switch {
		case err == nil || ctx.Err() != nil:
			pause, told = controlPause, ""
			continue
		case first && errors.As(err, &field):
			return fmt.Errorf("control.connection: %w", err)
		case served:
			pause, told = controlPause, ""
		}
		if text := err.Error(); text != told {
			c.log.Error("control is not reachable, will try again", "err", err)
			c.requests.fail(err)
			told = text
		}
		sleep(ctx, rand.N(pause)+1)
		pause = min(2*pause, controlMaxPause)
	}
	return nil
}

// connect connects and serves under the present rules, until they change or
// the connection is lost for good.
func (c *controller) connect(ctx context.Context) (served bool, err error) {
	nc, err := natsconn.Dial(ctx, c.conn, natsconn.Callbacks{}, c.log, c.opts...)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := c.begin(cancel)
	if most := nc.MaxPayload(); int64(r.cfg.MaxRequest) > most {
		c.log.Warn("requests can be no larger than the server's messages", "max_request", r.cfg.MaxRequest, "max_payload", most)
	}
	svc, err := control.NewService(nc, control.ServiceOptions{
		Config: r.cfg, Origin: c.origin, Version: version, NetNS: c.s.source.Namespaces(),
		Caller: r.guard, Refused: r.guard.Refused, Agent: c.agent, Labels: c.label, Told: c.requests.tell,
	}, c.log)
	if err != nil {
		return false, err
	}
	c.requests.serve(svc)
	defer c.requests.serve(nil)
	return true, svc.Run(ctx)
}

// begin notes how to end the serving that begins, and gives its rules.
func (c *controller) begin(end context.CancelFunc) rules {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = end
	return c.rules
}

// agent is what the node tells of itself.
func (c *controller) agent() (flow.Agent, []flow.SinkBooks) {
	return c.s.source.Agent("request"), c.s.books().Sinks
}

func (c *controller) label(name string) (uint8, bool) {
	bit, ok := c.labels[name]
	return bit, ok
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
