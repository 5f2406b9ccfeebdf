package main

import (
	"fmt"
	"strings"

	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// sampleTally stands between the source and the sinks and counts what each sink
// lets pass, so that one that gets nothing can say why.
type sampleTally struct {
	next  source.Taker
	wait  func() // for the sinks; nil: do not, the kernel does not either
	seen  typeCounts
	sinks []sinkTally
}

type sinkTally struct {
	types  flow.Types
	filter sinks.Matcher
	asked  uint64 // events of the sink's types
	passed uint64 // of those, what its filter lets pass
}

// typeCounts counts events by their type.
type typeCounts [flow.TypeStatus + 1]uint64

func newSampleTally(all []sinks.Config, next source.Taker) *sampleTally {
	t := &sampleTally{next: next}
	for i := range all {
		t.sinks = append(t.sinks, sinkTally{types: all[i].Types(), filter: all[i].Filter})
	}
	return t
}

// Take counts a batch and hands it on.
func (t *sampleTally) Take(b *flow.Batch) (fill float64) {
	for i := range b.Events() {
		e := &b.Events()[i]
		if flow.AlwaysTypes.Has(e.Type) {
			continue
		}
		t.seen[e.Type]++
		for j := range t.sinks {
			s := &t.sinks[j]
			if !s.types.Has(e.Type) {
				continue
			}
			s.asked++
			if s.filter == nil || s.filter.Match(e) {
				s.passed++
			}
		}
	}
	fill = t.next.Take(b)
	if t.wait != nil && fill > 0.5 {
		t.wait()
	}
	return fill
}

func (c *typeCounts) total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// String lists what there is of each type.
func (c *typeCounts) String() string {
	var parts []string
	for typ, n := range c {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", flow.Type(typ), n))
		}
	}
	return strings.Join(parts, ", ")
}

// why says why a sink got nothing, "" if it got something.
func (t *trial) why(i int) string {
	s, c, src := &t.tally.sinks[i], &t.cfg.Sinks[i], &t.cfg.Source
	asks := strings.Join((s.types &^ flow.AlwaysTypes).Names(), ", ")
	kernels := flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy)
	switch {
	case s.passed > 0:
		return ""
	case s.asked > 0:
		return fmt.Sprintf("its filter leaves out all %d events of its types", s.asked)
	case s.types&(src.Events|flow.TypesOf(flow.TypeDump, flow.TypeDumpEnd, flow.TypeInterim)) == 0:
		return fmt.Sprintf("it asks for %s, and source.events does not", asks)
	case s.types&kernels == 0 && c.Types().Has(flow.TypeDump) && src.Dump.Interval == 0:
		return fmt.Sprintf("it asks for %s, and source.dump.interval is 0s (a dump at the start is not sampled)", asks)
	case s.types&kernels == 0 && s.types.Has(flow.TypeInterim) && src.Interim == 0:
		return fmt.Sprintf("it asks for %s, and source.interim is 0s", asks)
	case t.tally.seen.total() > 0:
		return fmt.Sprintf("it asks for %s, and what came was %v", asks, &t.tally.seen)
	}
	return "no event came: nothing began, changed or ended, or no rule makes the kernel track connections"
}
