package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// AuditSchema names the fields of audit records and their meaning.
//
// Every record: schema, time, node, phase (intent, done, refused), and omitted,
// how many refusals were left out just before it. Of who: subject, claimed_user
// (a header that anybody can write) and request_info (Nats-Request-Info as it
// came, which the server writes where the node's account is reached by a shared
// service import, and anybody else). Of what: request, verb, table, netns,
// dry_run; intent and refused also what else the request has, as it has it
// (filter, keys, entries, change, limit, …), which in a refusal is text when it
// was cut. Of the outcome: code, errno, field and message of a refusal or of the
// first failure; done also count, failed, spared, truncated, interrupted and
// duration_ns.
const AuditSchema = "ctferry.audit.v1"

// The bounds of what refusals may cost: so many at once, one more each
// refusalPause; what is more is counted, and told in the next record.
const (
	refusalBurst = 60
	refusalPause = time.Second
	maxRefusal   = 2 << 10 // bytes of what a refused request asked for
	maxHeader    = 1 << 10 // bytes of what a header tells of the caller
)

// AuditFeed takes audit records elsewhere, such as to NATS.
type AuditFeed interface {
	// Audited is called with every record, one at a time and in the order of the
	// file: with an intent when it is on the disk, with others when they were
	// written or could not be. The record is a JSON object without a
	// newline; it is the callee's. It must not wait: the write waits for it.
	Audited(record []byte)
}

// AuditOptions say where audit records go.
type AuditOptions struct {
	Config Audit
	Node   string
	Feed   AuditFeed    // may be nil
	Log    *slog.Logger // of what cannot be written; nil is silent
}

// Auditor writes audit records, a JSON object a line: for every write one of
// what is meant (phase intent), which is on the disk before the write is
// carried out, and one of how it ended (done); for every refusal one
// (refused), up to a rate. Its methods may be called by several goroutines.
//
// Without a path in the configuration there is no file: intents cannot be
// written then, and other records go to the feed alone.
//
// The file's size is bounded: it is renamed to .1, and what was that to .2, up
// to Keep of them.
type Auditor struct {
	o   AuditOptions
	log *slog.Logger

	mu      sync.Mutex
	file    auditFile
	tokens  int       // refusals that may be written at once
	filled  time.Time // when tokens were last added
	omitted uint64    // refusals left out since the last record
	stats   AuditStats
	issued  time.Time // issued_at of the intents, the latest
}

// AuditStats count since the Auditor was made.
type AuditStats struct {
	Written uint64 // records in the file
	Omitted uint64 // refusals left out because there were too many
	Failed  uint64 // records that could not be written
}

// NewAuditor makes an auditor. Nothing is opened before Open or the first record.
func NewAuditor(o AuditOptions) *Auditor {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Auditor{o: o, log: log, file: auditFile{cfg: o.Config}, tokens: refusalBurst, filled: time.Now()}
}

// Open opens the file, to find out early whether that can be done.
func (a *Auditor) Open() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.open()
}

// Close tells of refusals that were left out, and closes the file. Records that
// come later open it again.
func (a *Auditor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	if a.omitted > 0 {
		w := a.begin("refused")
		w.text("message", "so many refusals were left out before the end")
		err = a.write(&w, false)
	}
	return errors.Join(err, a.file.close())
}

// Stats tells what was written.
func (a *Auditor) Stats() AuditStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

// intent writes what is about to be done, durably. The error, an *Error of
// CodeUnavailable, says that it must not be done.
func (a *Auditor) intent(ctx context.Context, q *Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.begin("intent")
	who(&w, ctx)
	what(&w, q, 0)
	if err := a.write(&w, true); err != nil {
		return &Error{Code: CodeUnavailable, Message: "the write cannot be audited, so it is not carried out: " + err.Error()}
	}
	a.issued = latest(a.issued, q.IssuedAt)
	return nil
}

// lastIssued is issued_at of the latest write that was begun, by this run or, as
// far as the end of the file tells, by those before it. What a clock told that
// has been set back since is passed over: it would keep writes out until then.
func (a *Auditor) lastIssued() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := time.Now().Add(maxSkew)
	if a.issued.After(most) {
		a.issued = time.Time{}
	}
	for line := range bytes.Lines(a.file.end()) {
		var r struct {
			Phase    string    `json:"phase"`
			IssuedAt time.Time `json:"issued_at"`
		}
		if json.Unmarshal(line, &r) == nil && r.Phase == "intent" && !r.IssuedAt.After(most) {
			a.issued = latest(a.issued, r.IssuedAt)
		}
	}
	return a.issued
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// done writes how a write ended.
func (a *Auditor) done(ctx context.Context, q *Request, res *Result, err error, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.begin("done")
	who(&w, ctx)
	address(&w, q)
	w.number("count", res.Count)
	w.uint("failed", res.Failed)
	w.uint("spared", res.Spared)
	w.bool("truncated", res.Truncated)
	w.bool("interrupted", res.Interrupted)
	if err != nil {
		failure(&w, asOurs(err))
	} else if len(res.Failures) > 0 {
		failure(&w, res.Failures[0].Err)
	}
	w.number("duration_ns", uint64(max(took, 0)))
	_ = a.write(&w, false) // logged; what was done is done
}

// refused writes that a request was refused, unless too many are.
func (a *Auditor) refused(ctx context.Context, q *Request, why *Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mayRefuse(time.Now()) {
		a.omitted++
		a.stats.Omitted++
		return
	}
	w := a.begin("refused")
	who(&w, ctx)
	what(&w, q, maxRefusal)
	failure(&w, why)
	_ = a.write(&w, false) // logged
}

// mayRefuse takes a token, if there is one.
func (a *Auditor) mayRefuse(now time.Time) bool {
	if n := int(now.Sub(a.filled) / refusalPause); n > 0 {
		a.tokens = min(refusalBurst, a.tokens+n)
		a.filled = a.filled.Add(time.Duration(n) * refusalPause)
	}
	if a.tokens == 0 {
		return false
	}
	a.tokens--
	return true
}

// begin makes a record of a phase.
func (a *Auditor) begin(phase string) objectWriter {
	var w objectWriter
	w.text("schema", AuditSchema)
	w.text("time", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00"))
	w.text("node", a.o.Node)
	w.text("phase", phase)
	w.uint("omitted", a.omitted)
	return w
}

// write writes a record. With sync it is on the disk when there is no error.
func (a *Auditor) write(w *objectWriter, sync bool) error {
	record := w.end()
	var err error
	if a.o.Config.Path != "" || sync {
		err = a.file.append(append(record, '\n'), sync)
	}
	if a.o.Feed != nil && (err == nil || !sync) {
		a.o.Feed.Audited(record)
	}
	if err != nil {
		a.stats.Failed++
		if n := a.stats.Failed; n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th …
			a.log.Error("audit record not written", "path", a.o.Config.Path, "failed", n, "err", err)
		}
		return fmt.Errorf("audit: %w", err)
	}
	a.stats.Written++
	a.omitted = 0
	return nil
}

// who writes where a request came from.
func who(w *objectWriter, ctx context.Context) {
	peer, remote := PeerOf(ctx)
	if !remote {
		return
	}
	w.text("subject", cut(peer.Subject, maxHeader))
	w.text("claimed_user", cut(peer.User, maxHeader))
	switch {
	case peer.Info == "":
	case len(peer.Info) <= maxHeader && checkDocument([]byte(peer.Info)) == nil:
		var line bytes.Buffer // it may have line breaks
		if json.Compact(&line, []byte(peer.Info)) == nil {
			w.raw("request_info", line.Bytes())
		}
	default:
		w.text("request_info", cut(peer.Info, maxHeader))
	}
}

// address writes what names a request.
func address(w *objectWriter, q *Request) {
	w.text("request", cut(q.ID, maxHeader))
	w.text("verb", string(q.Verb))
	w.text("table", string(q.Table))
	w.text("netns", cut(q.NetNS, maxHeader))
	w.bool("dry_run", q.DryRun)
}

// what writes what a request asked for, as it stands in a request's JSON. With
// most, members that are longer are cut, and then are text.
func what(w *objectWriter, q *Request, most int) {
	address(w, q)
	text, err := q.MarshalJSON()
	if err != nil {
		return
	}
	list, err := members("", text)
	if err != nil {
		return
	}
	for _, m := range list {
		switch m.name {
		case "v", "request", "verb", "table", "netns", "dry_run":
			continue
		case "filter", "keys", "entries", "change":
			if most > 0 && len(m.raw) > most {
				w.text(m.name, cut(string(m.raw), most))
				continue
			}
		}
		w.raw(m.name, m.raw)
	}
}

func failure(w *objectWriter, e *Error) {
	w.number("code", uint64(e.Code))
	w.text("errno", e.Errno)
	w.text("field", cut(e.Field, maxHeader))
	w.text("message", cut(e.Message, maxHeader))
}

// cut shortens what came from outside; quote mends a rune that was cut.
func cut(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
