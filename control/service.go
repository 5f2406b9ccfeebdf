package control

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
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
	// Told, if there is one, is told how every request ended: why is nil for one
	// that was carried out. It must not wait.
	Told func(verb Verb, why *Error, took time.Duration)
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
