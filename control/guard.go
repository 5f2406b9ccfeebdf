package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// maxSkew is how far ahead of this host's clock the caller's may be, and how far
// behind when the timeout of a write is counted.
const maxSkew = 10 * time.Second

// Guard stands before an Executor and lets through what the node's
// configuration allows. The local command line goes without it.
//
// Of a write it wants an ID and the time at which it was issued, and it answers
// each ID once: a repetition gets the answer that was given, without rows and
// with Result.Repeated, as long as issued_at lets it be taken. What was issued
// before the guard was made is refused, since an earlier run of the node may
// have carried it out; so is what comes when its timeout has run out since it
// was issued, on a link or a host that stood still: nobody waits for it any more,
// and what it would touch may be another's by now.
//
// MaxAffected bounds every write, flush and zero among them: what would be
// touched is counted first, and nothing is touched if it is more. Entries with
// an address in Protect are never touched, also not by a create that replaces
// one; a flush then deletes the others one by one. See Executor for what Result
// tells of them.
//
// The intent of a write is in the audit, on the disk, before it is carried out,
// and how it ended afterwards. Every refusal is audited too, as far as
// AuditOptions says.
//
// Its methods may be called by several goroutines at once.
type Guard struct {
	cfg     Config
	inner   *Executor
	audit   *Auditor
	spare   *flow.Filter
	ids     *ledger
	slots   chan struct{} // one for each request under way that is no watch
	watches chan struct{}
	started time.Time
	taken   time.Time // issued_at of the latest write that an earlier guard took
}

// NewGuard makes a guard. Where a verb that writes is allowed, the audit's file
// is opened, and it is an error if that cannot be done.
func NewGuard(c Config, x *Executor, a *Auditor) (*Guard, error) {
	spare, err := protectFilter(c.Protect)
	if err != nil {
		return nil, fmt.Errorf("control: protect: %w", err)
	}
	if slices.ContainsFunc(c.Allow, Verb.Writes) {
		if err := a.Open(); err != nil {
			return nil, fmt.Errorf("control: audit: %w", err)
		}
	}
	return &Guard{
		cfg: c, inner: x, audit: a, spare: spare, ids: newLedger(maxAnswers),
		slots: make(chan struct{}, max(1, c.Concurrent)), watches: make(chan struct{}, max(0, c.Watchers)), started: time.Now(), taken: a.lastIssued(),
	}, nil
}

// Call implements Caller. Where the request came from is the ctx's Peer.
func (g *Guard) Call(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
	if err := g.admit(ctx, q); err != nil {
		return g.refuse(ctx, q, err)
	}
	own := *q
	switch {
	case q.Verb == VerbWatch:
		own.Timeout = 0 // the lease is who serves' to keep
	case q.Timeout == 0:
		own.Timeout = g.cfg.Timeout
	}
	if q.Verb.Writes() {
		return g.write(ctx, &own, rows)
	}
	leave, err := g.enter(q.Verb)
	if err != nil {
		return g.refuse(ctx, q, err)
	}
	defer leave()
	res, err := g.inner.call(ctx, &own, rows, bounds{})
	if e := (*Error)(nil); errors.As(err, &e) && refusal(e) {
		g.audit.refused(ctx, q, e)
	}
	return res, err
}

// Refused is told of a request that who serves refuses himself, such as one
// that cannot be read. Of q counts what is known.
func (g *Guard) Refused(ctx context.Context, q *Request, why *Error) { g.audit.refused(ctx, q, why) }

func (g *Guard) refuse(ctx context.Context, q *Request, err error) (*Result, error) {
	g.audit.refused(ctx, q, asOurs(err))
	return &Result{Request: q.ID, Node: g.inner.Node, DryRun: q.DryRun}, err
}

// refusal reports whether an error of the executor is one, and no failure.
func refusal(e *Error) bool {
	return e.Code == CodeInvalid || e.Code == CodeForbidden || e.Code == CodeTooMany || e.Code == CodeNotFound
}

// admit judges a request by itself.
func (g *Guard) admit(ctx context.Context, q *Request) error {
	peer, _ := PeerOf(ctx)
	switch {
	case slices.Contains(Verbs(), q.Verb) && !slices.Contains(g.cfg.Allow, q.Verb):
		return &Error{Code: CodeOff, Message: string(q.Verb) + " is not allowed on this node"}
	case peer.Fleet && q.Verb.Writes() && !g.cfg.FleetWrites:
		return &Error{Code: CodeOff, Message: "writes to the whole fleet are off on this node (fleet_writes)"}
	}
	if err := q.Validate(); err != nil {
		return err
	}
	if q.Timeout > g.cfg.MaxTimeout && q.Verb != VerbWatch {
		return invalid("timeout", "is %v, and this node takes at most %v", q.Timeout, g.cfg.MaxTimeout)
	}
	if !q.Verb.Writes() {
		return nil
	}
	if err := g.fresh(q); err != nil {
		return err
	}
	if q.Verb == VerbDelete && len(q.Keys) == 0 && matchesAll(q.Filter) {
		return &Error{Code: CodeForbidden, Field: "filter", Message: "would delete every entry, at least of a family; the verb for that is flush"}
	}
	return nil
}

// fresh judges when a write was issued.
func (g *Guard) fresh(q *Request) error {
	now := time.Now()
	switch age := now.Sub(q.IssuedAt); {
	case q.ID == "":
		return invalid("request", "expected an ID: a write is answered once by it")
	case q.IssuedAt.IsZero():
		return invalid("issued_at", "expected the time at which the write was issued")
	case age < -maxSkew:
		return &Error{Code: CodeForbidden, Field: "issued_at", Message: fmt.Sprintf("is %v in the future, by this node's clock", (-age).Round(time.Millisecond))}
	case age > g.cfg.MaxAge:
		return &Error{Code: CodeForbidden, Field: "issued_at", Message: fmt.Sprintf("is %v ago, by this node's clock, and it takes at most %v", age.Round(time.Millisecond), g.cfg.MaxAge)}
	case q.IssuedAt.Before(g.started), !q.IssuedAt.After(g.taken):
		return &Error{Code: CodeForbidden, Field: "issued_at", Message: "is from before this node's service began, which cannot know whether it was carried out: issue the write again"}
	}
	return nil
}

// late judges whether somebody still waits for a write that has no answer yet. The
// caller's clock may be behind this host's by maxSkew.
func late(q *Request, now time.Time) error {
	age := now.Sub(q.IssuedAt)
	if age <= q.Timeout+maxSkew {
		return nil
	}
	return &Error{Code: CodeTimeout, Field: "issued_at", Message: fmt.Sprintf(
		"is %v ago, by this node's clock, and the write's timeout is %v: nothing was done; issue it again", age.Round(time.Millisecond), q.Timeout)}
}

// enter takes a place among the requests under way. It does not wait.
func (g *Guard) enter(v Verb) (leave func(), err error) {
	slots, what := g.slots, "requests"
	if v == VerbWatch {
		slots, what = g.watches, "watches"
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	default:
		return nil, &Error{Code: CodeBusy, Message: "as many " + what + " as may be (" + strconv.Itoa(cap(slots)) + ") are under way"}
	}
}

// write carries out a write, or gives the answer that it had.
func (g *Guard) write(ctx context.Context, q *Request, rows func(*flow.Batch) error) (*Result, error) {
	answer, err := g.ids.begin(q.ID, digest(ctx, q), time.Now(), q.IssuedAt.Add(g.cfg.MaxAge))
	switch {
	case err != nil:
		return g.refuse(ctx, q, err)
	case answer != nil:
		return answer.repeat()
	}
	leave := func() {}
	if err = late(q, time.Now()); err == nil {
		leave, err = g.enter(q.Verb)
	}
	if err == nil {
		defer leave()
		err = g.audit.intent(ctx, q)
	}
	if err != nil {
		g.ids.forget(q.ID)
		return g.refuse(ctx, q, err)
	}
	begun := time.Now()
	res, err := g.inner.call(ctx, q, rows, bounds{spare: g.spare, most: g.cfg.MaxAffected})
	g.audit.done(ctx, q, res, err, time.Since(begun))
	g.ids.answered(q.ID, res, err)
	return res, err
}

// digest tells two requests apart that have one ID.
func digest(ctx context.Context, q *Request) [sha256.Size]byte {
	peer, _ := PeerOf(ctx)
	text, err := q.MarshalJSON()
	if err != nil {
		text = []byte(err.Error())
	}
	return sha256.Sum256(fmt.Appendf(text, "\n%q %q", peer.User, callerOf(peer.Info)))
}

// callerOf is what of Nats-Request-Info stays when a request is sent again: the
// rest of it, such as the round trip, is of a connection and a moment.
func callerOf(info string) string {
	var who struct {
		Account string `json:"acc"`
		Service string `json:"svc"`
		User    string `json:"user"`
	}
	if json.Unmarshal([]byte(info), &who) != nil {
		return info
	}
	return fmt.Sprintf("%q", who)
}
