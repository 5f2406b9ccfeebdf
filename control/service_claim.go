package control

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// whoAnswer is what a run says that goes by a node's name, or is about to.
type whoAnswer struct {
	Node    string `json:"node"`
	Run     string `json:"run"`
	Serving bool   `json:"serving"`
}

// claim returns when this run goes by the node's name, with the subscription by
// which others learn of it.
func (s *Service) claim(ctx context.Context) (*nats.Subscription, error) {
	for back := s.times.back; ; back = min(2*back, s.times.again) {
		sub, rival, err := s.tryClaim(ctx)
		switch {
		case sub != nil:
			return sub, nil
		case errors.Is(err, nats.ErrConnectionClosed):
			return nil, err
		case rival != "":
			s.yield(rival)
		case err != nil:
			s.log.Debug("control cannot ask for the node's name", "err", err)
		}
		if err := wait(ctx, jitter(back)); err != nil {
			return nil, err
		}
	}
}

// tryClaim asks, announces this run, and asks again: of two runs that do so at
// once, the one that announced itself later hears of the other.
func (s *Service) tryClaim(ctx context.Context) (sub *nats.Subscription, rival string, err error) {
	if rival, _, err = s.ask(ctx); rival != "" || err != nil {
		return nil, rival, err
	}
	sub, err = s.nc.Subscribe(s.subjects.who(s.o.Origin.Node), s.answerWho)
	if err != nil {
		return nil, "", err
	}
	if err = s.nc.FlushTimeout(s.times.ask); err == nil {
		rival, _, err = s.ask(ctx)
	}
	if rival != "" || err != nil {
		_ = sub.Unsubscribe()
		return nil, rival, err
	}
	return sub, "", nil
}

// answerWho says who goes by the node's name.
func (s *Service) answerWho(m *nats.Msg) {
	text, err := json.Marshal(whoAnswer{Node: s.o.Origin.Node, Run: s.run, Serving: s.Status().Serving})
	if err == nil {
		err = m.Respond(text)
	}
	if err != nil {
		s.log.Debug("control cannot answer for the node's name", "err", err)
	}
}

// ask tells another run that answers for the node's name, one that serves if
// there is one.
func (s *Service) ask(ctx context.Context) (rival string, serving bool, err error) {
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.PublishRequest(s.subjects.who(s.o.Origin.Node), inbox, nil); err != nil {
		return "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.times.ask)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			return rival, serving, nil
		case err != nil:
			return "", false, err
		}
		var who whoAnswer
		if json.Unmarshal(m.Data, &who) == nil && who.Run != "" && who.Run != s.run && !serving {
			rival, serving = who.Run, who.Serving
		}
	}
}

// contested tells another run that serves under the node's name, asked twice: a
// run that is only looking steps back by itself. While there is no connection
// nobody else is heard either.
func (s *Service) contested(ctx context.Context) string {
	rival, serving, err := s.ask(ctx)
	if err != nil || !serving || wait(ctx, jitter(s.times.ask)) != nil {
		return ""
	}
	if rival, serving, err = s.ask(ctx); err != nil || !serving {
		return ""
	}
	return rival
}

// yield notes that another run has the name, and says so once.
func (s *Service) yield(rival string) {
	before := s.Status()
	s.setStatus(ServiceStatus{Rival: rival})
	if before.Rival != rival {
		s.log.Warn("control does not serve: another run goes by this node's name", "node", s.o.Origin.Node, "run", s.run, "other", rival)
	}
}

// jitter is a random time from half of d to one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
