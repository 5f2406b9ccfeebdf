package sinks

import (
	"context"

	"github.com/ctferry/ctferry/source/flow"
)

// Prober is a Sink that can ask its other side whether it would take records,
// without sending any. Nobody who reads there sees anything of it.
type Prober interface {
	// Probe connects, asks and closes: no Open and no Write goes with it. The
	// types are those of the records to come. A *ProbeError says what is wrong;
	// nil means that records would be taken, as far as can be asked.
	Probe(ctx context.Context, types flow.Types) error
}

// ProbeStep is how far a probe came.
type ProbeStep uint8

// The steps.
const (
	ProbeReach  ProbeStep = iota // connecting, and being somebody there
	ProbePlace                   // the topic or stream, and that it takes the subjects
	ProbeWrite                   // the right to write
	ProbeUnsure                  // it could not be asked whether one may write
)

// ProbeError says at which step a probe failed.
type ProbeError struct {
	Step  ProbeStep
	Place string // the topic, stream or subject, if one is at fault
	Err   error
}

func (e *ProbeError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *ProbeError) Unwrap() error { return e.Err }
