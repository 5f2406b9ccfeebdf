package ctnetlink

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

var (
	errTable      = errors.New("no such table")
	errExpectDump = errors.New("the expect table has no option but the family")
	errOneOf      = errors.New("zero, dying and unconfirmed exclude one another")
)

// dumpOptions turns options into requests.
type dumpOptions flow.DumpOptions

// dumpPass is one of the requests that together are a dump, and the same without
// what of [flow.DumpOptions.Only] the kernel may refuse; nil if that is nothing.
type dumpPass struct {
	request, plain *request
}

func (o *dumpOptions) requests(table flow.Table) (passes []dumpPass, err error) {
	for _, narrowed := range o.narrowing(table) {
		plain := o.told(DumpFilter{family: narrowed.family})
		p := dumpPass{}
		if p.request, err = o.request(table, narrowed); err != nil {
			return nil, err
		}
		if plain != narrowed {
			if p.plain, err = o.request(table, plain); err != nil {
				return nil, err
			}
		}
		passes = append(passes, p)
	}
	return passes, nil
}

// narrowing is what the kernel compares in each pass.
func (o *dumpOptions) narrowing(table flow.Table) []DumpFilter {
	var f DumpFilter
	if !o.Zero {
		f = *CompileDump(o.Only)
	}
	switch {
	case o.Family == flow.FamilyUnspecified || o.Family == f.family:
	case f.family == flow.FamilyUnspecified:
		f.family = o.Family
	default: // nothing can pass; the filter's tuple is of the other family
		f.family, f.orig = o.Family, flow.Tuple{}
	}
	if table != flow.TableConntrack || o.Dying || o.Unconfirmed { // these know the family only
		f = DumpFilter{family: f.family}
	}
	f = o.told(f)
	return f.passes()
}

// told is a filter with what the options say themselves.
func (o *dumpOptions) told(f DumpFilter) DumpFilter {
	if o.Mark != nil {
		f.mark = o.Mark
	}
	if o.Status != nil {
		f.status = o.Status
	}
	if o.Zone != nil {
		f.zone = o.Zone
	}
	return f
}

// request makes a message of the options.
func (o *dumpOptions) request(table flow.Table, f DumpFilter) (*request, error) {
	q := &request{op: "dump", subject: table.String(), flags: unix.NLM_F_DUMP, family: byte(f.family), attrs: f.write}
	switch table {
	case flow.TableConntrack:
		q.subsystem, q.operation = unix.NFNL_SUBSYS_CTNETLINK, o.operation()
	case flow.TableExpect:
		q.subsystem, q.operation = unix.NFNL_SUBSYS_CTNETLINK_EXP, msgExpGet
		if *o != (dumpOptions{Family: o.Family, Only: o.Only}) {
			return nil, q.fail(errExpectDump)
		}
	default:
		return nil, q.fail(errTable)
	}
	if q.operation == 0 {
		return nil, q.fail(errOneOf)
	}
	return q, nil
}

// operation is the message that asks for the dump, or 0 if the options
// contradict one another.
func (o *dumpOptions) operation() uint16 {
	switch [3]bool{o.Zero, o.Dying, o.Unconfirmed} {
	case [3]bool{}:
		return msgCtGet
	case [3]bool{0: true}:
		return msgCtGetCtrZero
	case [3]bool{1: true}:
		return msgCtGetDying
	case [3]bool{2: true}:
		return msgCtGetUnconfirm
	}
	return 0
}
