package source

import (
	"github.com/ctferry/ctferry/source/flow"
)

// keep tells the events where they were read and leaves those that the
// configuration wants.
func (s *Source) keep(b *flow.Batch, origin *flow.Origin) {
	events := b.Events()
	for i := range events {
		events[i].Origin = origin
	}
	if s.cfg.Filter != nil {
		b.Keep(s.cfg.Filter.Match)
	}
}

// stamp gives every event its place: sequence number, times, flow id, and the
// names behind numbers. s.mu is held.
func (s *Source) stamp(b *flow.Batch, now int64) {
	events := b.Events()
	for i := range events {
		e := &events[i]
		s.seq++
		e.Seq = s.seq
		stampTime(e, now)
		identify(e)
		if e.Any(flow.HasLabels) {
			s.names.stamp(b, e)
		}
		if e.Any(flow.HasPortID) {
			s.procs.stamp(b, e, now)
		}
	}
}

// identify gives an event its flow id, once.
func identify(e *flow.Event) {
	if e.Any(flow.HasFlowID) {
		return
	}
	if id, ok := e.ComputeFlowID(); ok {
		e.FlowID = id
		e.Has |= flow.HasFlowID
	}
}

// stampTime takes the kernel's word for when it happened: the event's own
// time, or the flow's stop in a DESTROY; else when it was read.
func stampTime(e *flow.Event, now int64) {
	switch {
	case e.TimeSource == flow.TimeKernel || e.TimeSource == flow.TimeInferred:
	case e.Type == flow.TypeDestroy && e.Any(flow.HasStop):
		e.Time, e.TimeSource = e.Stop, flow.TimeKernel
	default:
		e.Time, e.TimeSource = now, flow.TimeReceived
		return
	}
	e.Received = now
	e.Has |= flow.HasReceived
}

// emitGap hands on a gap record; s.mu is held.
func (s *Source) emitGap(origin *flow.Origin, g *flow.Gap, now int64) {
	e := s.note(flow.TypeGap)
	e.Gap, e.Origin = g, origin
	s.stamp(s.notes, now)
	s.out.Take(s.notes)
}

// note gives the only slot of the batch for the agent's own records; s.mu is held.
func (s *Source) note(t flow.Type) *flow.Event {
	s.notes.Reset()
	e := s.notes.Next()
	e.Type, e.Table = t, flow.TableConntrack
	return e
}
