package control

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// ServiceOptions are whom a Service serves, and with what.
type ServiceOptions struct {
	Config  Config
	Origin  *flow.Origin // the node, its run and its boot
	Version string       // ctferry's
	NetNS   []string     // names of the namespaces that are served beside the service's own

	// Caller carries out every request but those to table agent. It is a Guard
	// over an Executor.
	Caller Caller
	// Agent gives what the status record holds, and the books of every sink.
	Agent func() (flow.Agent, []flow.SinkBooks)
	// Refused, if there is one, is told of the requests that the service itself
	// refuses, before Caller sees them; ctx has their Peer.
	Refused func(ctx context.Context, q *Request, why *Error)
	// Labels finds connection labels that requests give by name; nil finds none.
	Labels LabelFinder
}

// spareWorkers answer those who must be refused while all that may be served
// are, so that a refusal comes at once.
const spareWorkers = 8

// errStopping is what requests end with when the service stops.
var errStopping = &Error{Code: CodeUnavailable, Message: "the node is stopping"}

// Service serves requests over NATS: one that asks and is answered in messages
// of rows, each request in a goroutine of a fixed number. Of two runs that go by
// one node's name, one serves: see Run.
type Service struct {
	nc       *nats.Conn
	o        ServiceOptions
	subjects Subjects
	run      string // hex
	log      *slog.Logger
	times    serviceTimes

	jobs chan *job

	mu       sync.Mutex
	answers  map[string]*answer // under way, by their stream token
	taken    int                // requests taken and not yet answered
	watches  int                // of them
	stopping bool
	status   ServiceStatus
	agent    agentCache
	counts   map[string]*endpointCounts // by the endpoint's name
}

// ServiceStatus says whether the node hears requests.
type ServiceStatus struct {
	Serving bool
	Rival   string // the run that goes by the node's name, which is why it does not
}

// NewService makes a service on a connection that stays the caller's. Nothing
// happens before Run. It puts itself before the connection's error handler. A
// nil log is silent.
func NewService(nc *nats.Conn, o ServiceOptions, log *slog.Logger) (*Service, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		nc: nc, o: o, subjects: Subjects{Prefix: o.Config.Prefix, Site: o.Config.Site}, log: log,
		times: defaultTimes(), answers: map[string]*answer{}, counts: map[string]*endpointCounts{},
	}
	if err := s.subjects.problem(); err != nil {
		return nil, err
	}
	if o.Caller == nil || o.Agent == nil || o.Origin == nil || o.Origin.Node == "" {
		return nil, errors.New("control: service: needs a caller, an agent and an origin with a node's name")
	}
	s.run = hex.EncodeToString(o.Origin.Run[:])
	s.jobs = make(chan *job, s.workers())
	return s, nil
}

// workers is how many requests are taken at once.
func (s *Service) workers() int {
	return s.o.Config.Concurrent + s.o.Config.Watchers + spareWorkers
}

// Status tells whether the node hears requests now.
func (s *Service) Status() ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Service) setStatus(st ServiceStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = st
}

// Run serves until ctx ends, and then returns nil when everything under way has
// ended: within five seconds by itself, else with CodeUnavailable. It returns an
// error only when the connection is closed for good.
//
// A node's name belongs to the run that answers for it. Run asks for that
// before it serves, announces itself and asks again; whoever then hears another
// steps back for a random while, and tries again. It asks once more after every
// reconnect and now and then, since two runs may have been out of each other's
// sight: they notice, both step back, and one of them serves.
func (s *Service) Run(ctx context.Context) error {
	words, err := s.nc.Subscribe(s.subjects.stream(s.o.Origin.Node, anyToken), s.hear)
	if err != nil {
		return err
	}
	defer func() { _ = words.Unsubscribe() }() // of a closed connection, there is none
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopping)
	var workers sync.WaitGroup
	for range s.workers() {
		workers.Go(func() { s.work(work) })
	}
	beats, still := context.WithCancel(work)
	workers.Go(func() { s.keepInTouch(beats) })
	err = s.serveByTurns(ctx)
	s.setStatus(ServiceStatus{})
	s.drain(ctx)
	still()
	stop(errStopping)
	workers.Wait()
	return err
}

// serveByTurns claims the name and serves, again and again.
func (s *Service) serveByTurns(ctx context.Context) error {
	for ctx.Err() == nil {
		sub, err := s.claim(ctx)
		if err == nil {
			err = s.hold(ctx, sub)
			_ = sub.Unsubscribe() // of a closed connection, there is none
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// hold serves until ctx ends or another run goes by the node's name.
func (s *Service) hold(ctx context.Context, sub *nats.Subscription) error {
	changes := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(changes)
	svc, err := s.announce()
	if err != nil {
		return err
	}
	defer func() { _ = svc.Stop() }() // of a closed connection, it has stopped
	s.setStatus(ServiceStatus{Serving: true})
	s.log.Info("control serves", "node", s.o.Origin.Node, "subject", s.subjects.node(s.o.Origin.Node, ">"))
	again := time.NewTimer(jitter(s.times.again))
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case st, ok := <-changes:
			if !ok || st == nats.CLOSED {
				return nats.ErrConnectionClosed
			}
		case <-again.C:
		}
		if rival := s.contested(ctx); rival != "" {
			s.yield(rival)
			return nil
		}
		again.Reset(jitter(s.times.again))
	}
}

// drain lets what is under way come to its end, and then ends it.
func (s *Service) drain(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	for _, a := range s.answers {
		if a.watch {
			a.stop(errStopping)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.times.drain)
	defer cancel()
	for s.underWay() > 0 && wait(ctx, 10*time.Millisecond) == nil {
	}
}

func (s *Service) underWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// keepInTouch beats for every answer under way.
func (s *Service) keepInTouch(ctx context.Context) {
	for wait(ctx, s.times.beat/3) == nil {
		s.mu.Lock()
		all := slices.Collect(maps.Values(s.answers))
		s.mu.Unlock()
		for _, a := range all {
			a.out.beat()
		}
	}
}
