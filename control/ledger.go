package control

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxAnswers is how many writes are remembered at once, and keptFailures how
// many failures of each: that bounds the memory.
const (
	maxAnswers   = 10_000
	keptFailures = 10
)

// ledger remembers what writes were answered, by their IDs.
type ledger struct {
	mu      sync.Mutex
	most    int
	entries map[string]*answered
	swept   time.Time
	lost    time.Time // of those forgotten, the last until
}

// answered is a write that was begun.
type answered struct {
	digest [sha256.Size]byte
	until  time.Time // it can be taken no more
	done   bool
	res    Result
	err    *Error
}

func newLedger(most int) *ledger {
	return &ledger{most: most, entries: map[string]*answered{}}
}

// begin notes that a write begins, or gives the answer that the same write had.
// The error says that it cannot begin: it is under way, its ID was another's,
// or too many are remembered; or its answer may have been forgotten since it was
// judged to be in time.
func (l *ledger) begin(id string, digest [sha256.Size]byte, now, until time.Time) (*answered, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	old := l.entries[id]
	switch {
	case old != nil && old.digest != digest:
		return nil, invalid("request", "this ID was another write's")
	case old != nil && !old.done:
		return nil, &Error{Code: CodeBusy, Field: "request", Message: "this write is under way: ask again for its answer"}
	case old != nil:
		return old, nil
	case !until.After(l.lost):
		return nil, &Error{Code: CodeForbidden, Field: "issued_at", Message: "is too long ago: whether the write was carried out is not known any more"}
	case len(l.entries) >= l.most:
		return nil, &Error{Code: CodeBusy, Message: "too many writes in too short a time: none can be remembered until the oldest are out of date"}
	}
	l.entries[id] = &answered{digest: digest, until: until}
	return nil, nil
}

// sweep forgets what cannot be repeated any more. What is under way stays.
func (l *ledger) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for id, a := range l.entries {
		if a.done && now.After(a.until) {
			delete(l.entries, id)
			if a.until.After(l.lost) {
				l.lost = a.until
			}
		}
	}
}

// forget takes back begin: nothing was done.
func (l *ledger) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, id)
}

// answered notes how the write ended.
func (l *ledger) answered(id string, res *Result, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.entries[id]
	if a == nil {
		return
	}
	a.done, a.res = true, *res
	a.res.Failures = nil
	for _, f := range res.Failures[:min(len(res.Failures), keptFailures)] {
		f.Event = nil
		a.res.Failures = append(a.res.Failures, f)
	}
	if err != nil {
		a.err = asOurs(err)
	}
}

// repeat gives the answer again. It is not changed once it is given.
func (a *answered) repeat() (*Result, error) {
	res := a.res
	res.Repeated = true
	if a.err != nil {
		return &res, a.err
	}
	return &res, nil
}
