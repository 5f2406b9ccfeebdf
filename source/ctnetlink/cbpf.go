package ctnetlink

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
)

// maxClassic is the longest classic program that the kernel takes (BPF_MAXINSNS).
const maxClassic = 4096

// label is a place in a script that jumps name; it only ever lies ahead.
type label int

// next stands for the step after a jump.
const next label = -1

// step is an instruction, a jump, or, for the ring, a walk over attributes.
type step struct {
	ins     bpf.Instruction // nil: a jump, or a walk
	test    bpf.JumpTest
	val     uint32
	yes, no label // the same: always
	walk    []attribute
	away    bool // ins returns 0, and yet no filter refuses: the event is another shard's
}

// end is what a script may come to.
type end uint8

const (
	accepts end = iota
	refuses     // by the filter
	leaves      // what is another shard's
)

func (s *step) jumps() bool { return s.ins == nil && s.walk == nil }

func (s *step) returns() bool {
	_, ok := s.ins.(bpf.RetConstant)
	return ok
}

// script is a program of the classic machine (accumulator A, index X, 16 words
// of scratch memory), its jumps not yet placed. The classic filter and the ring's
// are both made of it.
type script struct {
	steps []step
	at    []int // by label: the step that it names
}

// label makes one; mark places it before the next step.
func (s *script) label() label {
	s.at = append(s.at, -1)
	return label(len(s.at) - 1)
}

func (s *script) mark(l label) { s.at[l] = len(s.steps) }

// do appends instructions.
func (s *script) do(instructions ...bpf.Instruction) {
	for _, i := range instructions {
		s.steps = append(s.steps, step{ins: i})
	}
}

// may tells whether the script has that end. A nil script accepts everything.
func (s *script) may(e end) bool {
	if s == nil {
		return e == accepts
	}
	return slices.ContainsFunc(s.steps, func(st step) bool {
		r, ok := st.ins.(bpf.RetConstant)
		switch {
		case !ok:
			return false
		case st.away:
			return e == leaves
		case r.Val == 0:
			return e == refuses
		}
		return e == accepts
	})
}

// when jumps by a comparison of A with val.
func (s *script) when(test bpf.JumpTest, val uint32, yes, no label) {
	after := s.label()
	if yes == next {
		yes = after
	}
	if no == next {
		no = after
	}
	s.steps = append(s.steps, step{test: test, val: val, yes: yes, no: no})
	s.mark(after)
}

func (s *script) jump(to label) { s.steps = append(s.steps, step{yes: to, no: to}) }

// prune takes out the steps that nothing leads to: the verifier of extended
// programs refuses them.
func (s *script) prune() {
	seen := make([]bool, len(s.steps)+1)
	var visit func(i int)
	visit = func(i int) {
		for i < len(s.steps) && !seen[i] {
			seen[i] = true
			switch st := &s.steps[i]; {
			case st.jumps():
				visit(s.at[st.yes])
				i = s.at[st.no]
			case st.returns():
				return
			default:
				i++
			}
		}
	}
	visit(0)
	moved := make([]int, len(s.steps)+1)
	kept := s.steps[:0:0]
	for i := range s.steps {
		moved[i] = len(kept)
		if seen[i] {
			kept = append(kept, s.steps[i])
		}
	}
	moved[len(s.steps)] = len(kept)
	for l, at := range s.at {
		if at >= 0 { // a label that no jump names may have no place
			s.at[l] = moved[at]
		}
	}
	s.steps = kept
}

// maxSkip is how far a conditional jump of the classic machine reaches.
const maxSkip = 255

// classic places the jumps. One that is too far goes by an unconditional jump.
func (s *script) classic() ([]bpf.RawInstruction, error) {
	at := s.spread()
	if n := at[len(s.steps)]; n > maxClassic {
		return nil, fmt.Errorf("a program of %d instructions: the kernel takes %d", n, maxClassic)
	}
	var out []bpf.Instruction
	for i := range s.steps {
		st := &s.steps[i]
		if !st.jumps() {
			out = append(out, st.ins)
			continue
		}
		yes, no := uint32(at[s.at[st.yes]]-at[i]-1), uint32(at[s.at[st.no]]-at[i]-1)
		switch {
		case st.yes == st.no:
			out = append(out, bpf.Jump{Skip: yes})
		case at[i+1]-at[i] == 1:
			out = append(out, bpf.JumpIf{Cond: st.test, Val: st.val, SkipTrue: uint8(yes), SkipFalse: uint8(no)})
		default:
			out = append(out, bpf.JumpIf{Cond: st.test, Val: st.val, SkipFalse: 1}, bpf.Jump{Skip: yes - 1}, bpf.Jump{Skip: no - 2})
		}
	}
	return bpf.Assemble(out)
}

// spread gives each step its place, with three instructions where a jump is too
// far for one; the last place is the program's length.
func (s *script) spread() []int {
	size := make([]int, len(s.steps))
	for i := range size {
		size[i] = 1
	}
	at := make([]int, len(s.steps)+1)
	for again := true; again; {
		for i := range size {
			at[i+1] = at[i] + size[i]
		}
		again = false
		for i := range s.steps {
			st := &s.steps[i]
			if st.jumps() && st.yes != st.no && size[i] == 1 && max(at[s.at[st.yes]], at[s.at[st.no]])-at[i]-1 > maxSkip {
				size[i], again = 3, true
			}
		}
	}
	return at
}
