package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
)

// Why there is no answer, or not all of it. They are told apart by errors.Is.
var (
	// ErrAbsent: no node of that name is connected, or it does not serve.
	ErrAbsent = errors.New("does not answer to its name: it is not connected, or its control is off")
	// ErrDenied: nats-server refused the request; the node never saw it.
	ErrDenied = errors.New("no permission")
	// ErrSlow: the node hears, or did, but has not said a word for too long.
	ErrSlow = errors.New("too slow")
	// ErrLost: something of the answer is missing.
	ErrLost = errors.New("the answer is not complete")
)

// nodeError is one of these errors with its circumstances.
type nodeError struct {
	node   string // "" is every node
	kind   error
	detail string
	cause  error
}

// Error names the node.
func (e *nodeError) Error() string {
	text := "nodes: "
	if e.node != "" {
		text = fmt.Sprintf("node %q: ", e.node)
	}
	text += e.kind.Error()
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

// Unwrap gives the kind and the cause.
func (e *nodeError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

func absent(node, subject string) error {
	detail := "nobody hears " + subject
	if node == "" {
		return &nodeError{kind: ErrAbsent, detail: detail}
	}
	return &nodeError{node: node, kind: ErrAbsent, detail: detail}
}

func denied(node string, pe *natsconn.PermissionError) error {
	return &nodeError{node: node, kind: ErrDenied, detail: fmt.Sprintf("these credentials may not %s %q", verbOf(pe), pe.Subject), cause: pe}
}

func verbOf(pe *natsconn.PermissionError) string {
	if pe.Op == natsconn.OpSubscribe {
		return "subscribe to"
	}
	return "publish to"
}

func slow(node string, silent time.Duration, rows uint64) error {
	return &nodeError{node: node, kind: ErrSlow, detail: fmt.Sprintf("nothing heard for %v, after %d rows", silent.Round(time.Millisecond), rows)}
}

func lost(node, format string, args ...any) error {
	return &nodeError{node: node, kind: ErrLost, detail: fmt.Sprintf(format, args...)}
}
