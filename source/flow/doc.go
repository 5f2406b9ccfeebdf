// Package flow is the vocabulary that every other package speaks: what a
// connection-tracking event, a flow, a tuple, an expectation, a filter and the
// books are. It imports the standard library only and must never know how an
// event is read, encoded or delivered.
//
// Ownership: an [Event] is a slot of a [Batch]. Slots are reused, so a value
// may be read only if its presence bit in [Event.Has] is set, and nothing of a
// batch may be kept after the batch has been returned to its reader.
package flow
