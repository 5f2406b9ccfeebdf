package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/nats-io/nats.go"
)

// job is a request as it came.
type job struct {
	endpoint string
	verb     Verb
	table    Table
	data     []byte
	header   nats.Header
	reply    string
	peer     Peer
}

// answer is a request that is carried out, and what goes back.
type answer struct {
	q      *Request
	out    *outgoing
	chunks *chunker
	watch  bool
	plain  bool          // the caller does not acknowledge
	missed bool          // rows of a write were not told, since the caller had left
	bound  time.Duration // how long it may take; 0 is for ever
	stop   context.CancelCauseFunc
}

// emptyRequest is what a request without a body means.
const emptyRequest = `{"v":1}`

// open reads a request and makes ready to answer it. Context ends when the
// caller ends it, or its time does.
func (s *Service) open(ctx context.Context, j *job) (context.Context, *answer, error) {
	terms, err := readTerms(j.header)
	if err != nil {
		return ctx, nil, err
	}
	q, err := s.read(j)
	if err != nil {
		return ctx, nil, err
	}
	format, ok := encode.Formats()[q.Format]
	if q.Format == "" {
		format, ok = encode.Formats()["json"], true
	}
	if !ok {
		return ctx, nil, invalid("format", "expected json, xml or protobuf, not %q", clip(q.Format))
	}
	if terms.Token == "" {
		terms.Token = rand.Text()
	}
	a := &answer{q: q, watch: q.Verb == VerbWatch, plain: terms.Window == 0, bound: s.bound(q, terms.Window > 0)}
	ctx, a.stop = context.WithCancelCause(WithPeer(ctx, j.peer))
	head := messageHead{Node: s.o.Origin.Node, Run: s.run, Request: q.ID}
	a.out = newOutgoing(s.nc, head, j.reply, s.subjects.stream(s.o.Origin.Node, terms.Token), terms.Window, s.times, a.abandoned)
	a.out.live = a.watch
	a.chunks = newChunker(a.out, s.o.Origin, format, terms.Chunk, s.nc.MaxPayload())
	if err := s.enter(terms.Token, a); err != nil {
		a.stop(err)
		return ctx, nil, err
	}
	return ctx, a, nil
}

// read decodes a request and gives it the verb and the table of its subject.
func (s *Service) read(j *job) (*Request, error) {
	data := j.data
	if len(data) == 0 {
		data = []byte(emptyRequest)
	}
	q, err := DecodeRequest(data, s.o.Labels)
	if err != nil {
		return nil, err
	}
	if _, ok := ParseTable(string(j.table)); !ok && (j.table != TableAgent || j.verb != VerbStats) {
		return nil, invalid("table", "there is no %s of %q; expected a table, %s", j.verb, clip(string(j.table)), tableList())
	}
	return q, q.Bind(j.verb, j.table)
}

// bound is how long a request may take. A watch whose caller renews it by its
// words lasts until they cease.
func (s *Service) bound(q *Request, renewed bool) time.Duration {
	d := q.Timeout
	if d == 0 {
		d = s.o.Config.Timeout
	}
	if q.Verb == VerbWatch && renewed {
		return 0
	}
	return min(d, s.o.Config.MaxTimeout)
}

// abandoned is called when the caller ends the answer, or is gone. A write that
// has begun is then carried on: the caller may ask for its result again.
func (a *answer) abandoned(why *Error) {
	if why == errCancelled || !a.outlives() {
		a.stop(why)
	}
}

// outlives reports whether the request goes on when its rows are not heard.
func (a *answer) outlives() bool { return a.q.Verb.Writes() && a.q.Verb != VerbZero }

// enter notes the answer under its token.
func (s *Service) enter(token string, a *answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.answers[token] != nil:
		return badHeader(headerStream, "an answer of this name is under way")
	case a.watch && s.stopping:
		return errStopping
	case a.watch && s.watches >= s.o.Config.Watchers:
		return &Error{Code: CodeBusy, Message: fmt.Sprintf("as many watches as may be (%d) are under way", s.o.Config.Watchers)}
	}
	s.answers[token] = a
	if a.watch {
		s.watches++
	}
	return nil
}

// leave takes an answer that has ended from the books.
func (s *Service) leave(a *answer, endpoint string, failed bool) {
	a.stop(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, token, _ := cutLast(a.out.subject)
	delete(s.answers, token)
	if a.watch {
		s.watches--
	}
	s.count(endpoint, a.chunks.told, failed)
}

// count notes a request that has been answered. The caller holds mu.
func (s *Service) count(endpoint string, rows uint64, failed bool) {
	c := s.counts[endpoint]
	if c == nil {
		c = &endpointCounts{}
		s.counts[endpoint] = c
	}
	c.Requests++
	c.Rows += rows
	if failed {
		c.Refused++
	}
}
