package encode

import (
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// Text prints entries and events as conntrack(8) 1.4.7 does, to the byte but
// for what [TextDifferences] lists. Its fields are the words of conntrack's
// option -o; the zero Text is the plain format. Save excludes every other one.
//
// The Append functions append one line without its end and allocate nothing
// but what dst needs to grow. A Text is only read by them, so that several
// goroutines may share one.
type Text struct {
	Extended   bool // layer 3 first
	ID         bool
	Timestamp  bool // when it happened
	KTimestamp bool // the flow's start and stop
	Labels     bool // the names of the connection labels, where the event has them
	Save       bool // options that would do the same again
	XML        bool // conntrack's document, not the record of the format "xml"

	// Now is when rows without a time of their own were read, in nanoseconds
	// since the epoch: the age of a living flow is counted from it.
	Now int64

	Location *time.Location // of all times but those of XML's <timestamp>; nil is [time.Local], which honours TZ
}

// AppendRow appends a row of -L, -G, -U or -I, for either table.
func (t *Text) AppendRow(dst []byte, e *flow.Event) []byte {
	if e.Table == flow.TableExpect {
		// With expectations conntrack prints the time even in a list.
		return t.expectLine(dst, e, "", "")
	}
	switch {
	case t.Save:
		return trimSpace(saveFlow(append(dst, "-A "...), e))
	case t.XML:
		return t.docFlow(dst, e, "", false)
	}
	return trimSpace(t.entry(dst, e))
}

// AppendDeleted appends a row of -D.
func (t *Text) AppendDeleted(dst []byte, e *flow.Event) []byte {
	if t.Save && e.Table != flow.TableExpect {
		return trimSpace(saveFlow(append(dst, "-D "...), e))
	}
	return t.AppendRow(dst, e)
}

// AppendEvent appends a line of -E. What is no event of the kernel's (a gap, a
// status) leaves dst as it is: conntrack has no line for it.
func (t *Text) AppendEvent(dst []byte, e *flow.Event) []byte {
	tag, kind, command := tagOf(e.Type)
	switch {
	case tag == "":
		return dst
	case e.Table == flow.TableExpect:
		return t.expectLine(dst, e, tag, kind)
	case t.Save:
		return appendCause(trimSpace(saveFlow(append(dst, command...), e)), e)
	case t.XML:
		return t.docFlow(dst, e, kind, t.Timestamp)
	}
	if t.Timestamp {
		dst = appendStamp(dst, t.when(e))
	}
	return appendCause(trimSpace(t.entry(append(dst, tag...), e)), e)
}

// tagOf gives what a kernel's event is called: in a line, in XML, as a command.
func tagOf(t flow.Type) (tag, kind, command string) {
	switch t {
	case flow.TypeNew:
		return "    [NEW] ", "new", "-A "
	case flow.TypeUpdate:
		return " [UPDATE] ", "update", "-U "
	case flow.TypeDestroy:
		return "[DESTROY] ", "destroy", "-D "
	}
	return "", "", ""
}

// appendCause appends which process made the change, if one did.
func appendCause(dst []byte, e *flow.Event) []byte {
	if !e.Any(flow.HasPortID) {
		return dst
	}
	dst = appendUint(append(dst, " [USERSPACE] portid="...), uint64(e.PortID))
	if e.Any(flow.HasProgName) && e.Extra != nil {
		dst = appendPlain(append(dst, " progname="...), e.Extra.ProgName)
	}
	return dst
}

// expectLine appends an expectation with the given tag.
func (t *Text) expectLine(dst []byte, e *flow.Event, tag, kind string) []byte {
	if !e.Any(flow.HasExpect) || e.Extra == nil {
		return dst
	}
	if t.XML {
		return t.docExpect(dst, e, kind)
	}
	if t.Timestamp {
		dst = appendStamp(dst, t.when(e))
	}
	return trimSpace(appendExpect(append(dst, tag...), &e.Extra.Expect))
}

// when is the time that a line is told with.
func (t *Text) when(e *flow.Event) int64 {
	if e.Time != 0 {
		return e.Time
	}
	return t.Now
}

// local gives a time for people.
func (t *Text) local(ns int64) time.Time {
	location := t.Location
	if location == nil {
		location = time.Local
	}
	return time.Unix(0, ns).In(location)
}

// age is the seconds that a flow has lived, to its stop if it has one. A clock
// that was set back has none. With whole, it is the difference of the two
// seconds, as in a line; else the whole seconds of the difference, as in XML.
func (t *Text) age(e *flow.Event, whole bool) (uint64, bool) {
	if !e.Any(flow.HasStart) {
		return 0, false
	}
	const second = int64(time.Second)
	stop, start := e.Stop, e.Start
	if !e.Any(flow.HasStop) {
		// conntrack asks for the time in seconds.
		stop = t.when(e) / second * second
		start = start / second * second
	}
	if whole {
		stop, start = stop/second*second, start/second*second
	}
	if stop < start {
		return 0, false
	}
	return uint64(stop-start) / uint64(second), true
}
