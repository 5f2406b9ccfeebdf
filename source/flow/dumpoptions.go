package flow

import "errors"

// ErrInterrupted is told when the kernel said that the table changed under a
// dump (NLM_F_DUMP_INTR): rows may be missing or doubled. The dump went on to
// its end.
var ErrInterrupted = errors.New("the table changed while it was dumped")

// DumpOptions narrows a dump or gives it an effect. The kernel's filters are
// help, not proof: a kernel that predates one ignores it silently, so whoever
// filters looks at the rows again.
type DumpOptions struct {
	Family Family // 0 is both

	Zero        bool // set the counters to zero as they are read (GET_CTRZERO); conntrack only
	Dying       bool // entries whose DESTROY event awaits delivery; conntrack only
	Unconfirmed bool // entries whose first packet is under way; empty since Linux 5.19; conntrack only

	Mark   *Masked // CTA_MARK and CTA_MARK_MASK
	Status *Masked // CTA_STATUS and CTA_STATUS_MASK
	Zone   *uint16 // CTA_ZONE; 0 is the default zone only

	// Only, if not nil, is what is wanted: rows that it does not pass may be left
	// out, as far as the kernel can tell. With Zero it has no effect, because the
	// kernel would not zero what it leaves out.
	Only *Filter
}

// FlushOptions narrows a flush of the conntrack table; the zero value empties
// it. An entry must match all that is given.
//
// There is none for addresses: the kernel's (CTA_FILTER) is inverted for IPv6,
// so a flush by it removes all the others.
type FlushOptions struct {
	Family Family  // 0 is both; a kernel from before nfgenmsg.version counted (the 4.x years) removes both whatever it is
	Mark   *Masked // entries of which mark & Mask is Value; Mask must not be 0
	Zone   *uint16 // 0 is the default zone only
}
