package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats.go"
)

// take hands a request to a worker, or refuses it. It never waits: it runs in
// the goroutine of the subscription.
func (s *Service) take(j *job) {
	if j.reply == "" {
		s.log.Debug("control request without a reply subject passed over", "subject", j.peer.Subject)
		return
	}
	if refusal := s.admit(j); refusal != nil {
		s.refuse(j, refusal)
		return
	}
	s.jobs <- j // admit keeps to its size
}

// admit takes a request into the books, or says why not.
func (s *Service) admit(j *job) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := int(s.o.Config.MaxRequest)
	switch {
	case s.stopping:
		return errStopping
	case len(j.data) > most:
		return &Error{Code: CodeTooLarge, Message: fmt.Sprintf("the request has %d bytes, and max_request of this node is %d", len(j.data), most)}
	case s.taken >= s.workers():
		return &Error{Code: CodeBusy, Message: fmt.Sprintf("as many requests as may be (%d) are under way", s.workers())}
	}
	s.taken++
	return nil
}

// work answers requests until ctx ends; those that wait by then are refused.
func (s *Service) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.refuseWaiting()
			return
		case j := <-s.jobs:
			s.serve(ctx, j)
			s.done()
		}
	}
}

func (s *Service) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
}

func (s *Service) refuseWaiting() {
	for {
		select {
		case j := <-s.jobs:
			s.refuse(j, errStopping)
			s.done()
		default:
			return
		}
	}
}

// serve answers one request.
func (s *Service) serve(ctx context.Context, j *job) {
	begun := time.Now()
	call, a, err := s.open(ctx, j)
	if err != nil {
		s.refuse(j, toError(ctx, err))
		return
	}
	res, refusal := s.carryOut(call, a)
	if err := a.finish(context.WithoutCancel(ctx), res, refusal); err != nil {
		s.log.Warn("control answer not sent", "subject", j.peer.Subject, "request", a.q.ID, "err", err)
	}
	s.leave(a, j.endpoint, refusal != nil)
	s.tell(j.verb, refusal, time.Since(begun))
	s.log.Debug("control request answered", "subject", j.peer.Subject, "request", a.q.ID, "user", j.peer.User,
		"rows", a.chunks.told, "took", time.Since(begun), "refused", refusal != nil)
}

// refuse answers with an error alone. It does not wait.
func (s *Service) refuse(j *job, why *Error) {
	s.mu.Lock()
	s.count(j.endpoint, 0, true)
	s.mu.Unlock()
	s.tell(j.verb, why, 0)
	if s.o.Refused != nil {
		s.o.Refused(WithPeer(context.Background(), j.peer), &Request{Verb: j.verb, Table: j.table}, why)
	}
	h := messageHead{Node: s.o.Origin.Node, Run: s.run, Kind: kindError}
	end := messageHead{Node: s.o.Origin.Node, Run: s.run, Kind: kindEnd, Seq: 1}
	text, err := why.MarshalJSON()
	if err == nil {
		err = s.nc.PublishMsg(&nats.Msg{Subject: j.reply, Header: errorHeaders(h.header(jsonType), why), Data: text})
	}
	if err == nil {
		err = s.nc.PublishMsg(&nats.Msg{Subject: j.reply, Header: end.header("")})
	}
	if err != nil {
		s.log.Warn("control refusal not sent", "subject", j.peer.Subject, "err", err)
	}
}

// tell says how a request ended to whoever wants to know.
func (s *Service) tell(verb Verb, why *Error, took time.Duration) {
	if s.o.Told != nil {
		s.o.Told(verb, why, took)
	}
}

// agentCache keeps what the node tells of itself for a moment.
type agentCache struct {
	mu    sync.Mutex
	at    time.Time
	agent flow.Agent
	sinks []flow.SinkBooks
}

func (c *agentCache) get(from func() (flow.Agent, []flow.SinkBooks)) (flow.Agent, []flow.SinkBooks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) > agentAge {
		c.agent, c.sinks = from()
		c.at = time.Now()
	}
	return c.agent, c.sinks
}

// tellAgent gives the node's status records: one for each sink, with its books,
// or one without.
func (s *Service) tellAgent(rows func(*flow.Batch) error) (*Result, error) {
	agent, sinks := s.agent.get(s.o.Agent)
	b := flow.NewBatch(max(1, len(sinks)))
	now := time.Now().UnixNano()
	for i := range b.Free() {
		own := agent
		if i < len(sinks) {
			own.Sink = &sinks[i]
		}
		e := b.Next()
		e.Type, e.Time, e.TimeSource, e.Origin, e.Agent = flow.TypeStatus, now, flow.TimeReceived, s.o.Origin, &own
	}
	n := uint64(b.Len())
	return &Result{Count: n}, rows(b)
}
