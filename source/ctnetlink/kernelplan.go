package ctnetlink

import "github.com/ctferry/ctferry/source/flow"

// judgement is what is known of a predicate before an event is seen.
type judgement uint8

const (
	mayHold judgement = iota // only user space can tell
	tells                    // the kernel, exactly
	never
	always
)

// plan is what the kernel is to compare in events of one part: an event that an
// exclude term matches is refused, and, with mustInclude, one that no include
// term matches. Of an include term only what the kernel can tell is left; an
// exclude term is whole.
type plan struct {
	exclude, include []flow.Term
	mustInclude      bool
}

func (p plan) drops() bool { return p.mustInclude || len(p.exclude) > 0 }

// plan is what remains of the filter for one part.
func (c *compiler) plan(at part) (p plan) {
	for _, t := range c.filter.Exclude {
		if left, whole, ok := c.narrow(t, at); ok && whole {
			p.exclude = append(p.exclude, left)
		}
	}
	p.mustInclude = len(c.filter.Include) > 0
	for _, t := range c.filter.Include {
		left, _, ok := c.narrow(t, at)
		switch {
		case !ok:
		case len(left) == 0: // it may match whatever comes
			return plan{exclude: p.exclude}
		default:
			p.include = append(p.include, left)
		}
	}
	return p
}

// narrow leaves of a term what the kernel has to compare. whole: that is all of
// it. Not ok: the term never matches.
func (c *compiler) narrow(t flow.Term, at part) (left flow.Term, whole, ok bool) {
	whole = true
	for i := range t {
		switch c.judge(&t[i], at) {
		case never:
			return nil, false, false
		case tells:
			left = append(left, t[i])
		case mayHold:
			whole = false
		}
	}
	return left, whole, true
}

// judge tells what is known of a predicate.
func (c *compiler) judge(p *flow.Predicate, at part) judgement {
	switch p.Field {
	case flow.FieldTable:
		return holds(p, uint32(at.table))
	case flow.FieldFamily:
		return holds(p, uint32(at.family))
	case flow.FieldEventType, flow.FieldMark, flow.FieldStatus:
		if c.lasting {
			return mayHold
		}
	}
	switch {
	case at.table == flow.TableExpect && p.Field != flow.FieldEventType:
		return mayHold
	case len(p.Ranges)+len(p.Masks)+len(p.Addrs)+len(p.Within) > c.values:
		return mayHold
	}
	if _, ok := numberSlot(p.Field); ok {
		return tells
	}
	if slots, _ := portSlots(p.Field); slots != nil {
		return tells
	}
	if spots := (&writing{family: at.family}).addrSpots(p.Field); spots != nil {
		return ofFamily(p, at.family)
	}
	return mayHold
}

// total is how many values the kernel would have to compare in messages of IPv4.
func (c *compiler) total() (n int) {
	for _, terms := range [][]flow.Term{c.filter.Include, c.filter.Exclude} {
		for _, t := range terms {
			for i := range t {
				if p := &t[i]; c.judge(p, part{flow.TableConntrack, flow.IPv4}) == tells {
					n += len(p.Ranges) + len(p.Masks) + len(p.Addrs) + len(p.Within)
				}
			}
		}
	}
	return n
}

func holds(p *flow.Predicate, n uint32) judgement {
	for _, r := range p.Ranges {
		if r.Has(n) {
			return always
		}
	}
	return never
}

// ofFamily tells of addresses whether any of the list is of the family.
func ofFamily(p *flow.Predicate, f flow.Family) judgement {
	for i := range p.Addrs {
		if p.Addrs[i].Family == f {
			return tells
		}
	}
	for i := range p.Within {
		if p.Within[i].Family == f {
			return tells
		}
	}
	return never
}

// TermPlace says where a term of a filter runs.
type TermPlace struct {
	Exclude bool // of the filter's exclude, else of its include
	Term    flow.Term
	Kernel  []flow.Field // these the kernel compares
	User    []flow.Field // these user space alone; it compares the others again
}

// places tells where each term runs. An exclude term runs in the kernel whole or
// not at all; the includes do so all, each as far as it can, or none, since an
// event may be refused only if none of them can match.
func (c *compiler) places() (out []TermPlace) {
	refuses := true
	for _, t := range c.filter.Include {
		out = append(out, c.place(t, false))
		refuses = refuses && len(out[len(out)-1].Kernel) > 0
	}
	for i := range out {
		if !refuses {
			out[i].stay()
		}
	}
	for _, t := range c.filter.Exclude {
		at := c.place(t, true)
		if len(at.User) > 0 {
			at.stay()
		}
		out = append(out, at)
	}
	return out
}

func (c *compiler) place(t flow.Term, exclude bool) TermPlace {
	out := TermPlace{Exclude: exclude, Term: t}
	for i := range t {
		p := &t[i]
		if c.judge(p, part{flow.TableConntrack, flow.IPv4}) == mayHold || c.judge(p, part{flow.TableConntrack, flow.IPv6}) == mayHold {
			out.User = append(out.User, p.Field)
		} else {
			out.Kernel = append(out.Kernel, p.Field)
		}
	}
	return out
}

// stay leaves the whole term to user space.
func (p *TermPlace) stay() { p.Kernel, p.User = nil, fieldsOf(p.Term) }

func fieldsOf(t flow.Term) (out []flow.Field) {
	for i := range t {
		out = append(out, t[i].Field)
	}
	return out
}

// String is kernel, user, or both with their fields.
func (p *TermPlace) String() string {
	switch {
	case len(p.User) == 0:
		return "kernel"
	case len(p.Kernel) == 0:
		return "user"
	}
	return "kernel (" + names(p.Kernel) + "), user (" + names(p.User) + ")"
}

func names(fields []flow.Field) (out string) {
	for i, f := range fields {
		if i > 0 {
			out += ", "
		}
		out += f.String()
	}
	return out
}
