package control

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/ctferry/ctferry/source/flow"
)

// partBytes is how large a request with many keys or entries may be before it
// is sent in parts: less than a node's default max_request.
const partBytes = 192 << 10

// parts divides a request whose keys or entries are too many for one message.
// Each part but an only one has an ID of its own, made of the whole's, so that
// the whole may be sent again.
func (q *Request) parts() ([]*Request, error) {
	all, err := q.divide(nil)
	if err != nil || len(all) == 1 {
		return all, err
	}
	for i, part := range all {
		suffix := "." + strconv.Itoa(i)
		part.ID = part.ID[:min(len(part.ID), MaxID-len(suffix))] + suffix
	}
	return all, nil
}

// divide appends the request, or pieces of it.
func (q *Request) divide(all []*Request) ([]*Request, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	n := max(len(q.Keys), len(q.Entries))
	if len(text) <= partBytes || n < 2 {
		return append(all, q), nil
	}
	each := max(1, min(n-1, n*partBytes/(len(text)+len(text)/8))) // they are not all of one length
	for at := 0; at < n; at += each {
		piece, end := *q, min(n, at+each)
		if len(q.Keys) > 0 {
			piece.Keys = q.Keys[at:end]
		} else {
			piece.Entries = q.Entries[at:end]
		}
		if all, err = piece.divide(all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// callParts sends the parts one after the other, up to the first that fails,
// and joins their results.
func (n nodeCaller) callParts(ctx context.Context, q *Request, parts []*Request, rows func(*flow.Batch) error) (*Result, error) {
	whole := &Result{Request: q.ID, Node: n.node}
	done := 0
	for _, part := range parts {
		res, err := n.callOne(ctx, part, rows)
		whole.join(res, done)
		if err != nil {
			return whole, err
		}
		done += max(len(part.Keys), len(part.Entries))
	}
	return whole, nil
}

// join adds the result of a part, before which so many keys or entries stood.
func (r *Result) join(part *Result, before int) {
	r.Node = part.Node
	r.Count += part.Count
	r.Failed += part.Failed
	r.Spared += part.Spared
	r.Repeated = r.Repeated || part.Repeated
	r.DryRun = r.DryRun || part.DryRun
	r.Truncated = r.Truncated || part.Truncated
	r.Interrupted = r.Interrupted || part.Interrupted
	for _, f := range part.Failures {
		if len(r.Failures) == MaxFailures {
			break
		}
		if f.Index >= 0 {
			f.Index += before
		}
		r.Failures = append(r.Failures, f)
	}
}
