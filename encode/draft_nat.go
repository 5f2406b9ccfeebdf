package encode

import (
	"errors"

	"github.com/ctferry/ctferry/source/flow"
)

// nat notes that values of the translation are told.
func (d *draft) nat(bits flow.NATHas) *flow.ToldNAT {
	d.told.Has |= bits
	return &d.told
}

func (d *draft) natPort(bit flow.NATHas) *flow.ToldNAT {
	d.told.Ports = true
	return d.nat(bit)
}

func (d *draft) natAddr(bit flow.NATHas, a *flow.Addr, v *value) {
	if d.told.Has&(flow.HasNATSrc|flow.HasNATDst) != 0 && d.told.Family != v.family {
		d.fault = errors.New("is of another family than the translation's other address")
	}
	d.told.Family = v.family
	d.nat(bit)
	*a = v.bytes
}

// finishNAT keeps what is told of a translation, if the tuples do not tell it
// all themselves: a projection has cut them down.
func (d *draft) finishNAT() {
	e := d.e
	whole := e.Got(flow.HasOrig|flow.HasReply) && e.Orig.Got(flow.HasAddrs) && e.Reply.Got(flow.HasAddrs)
	if d.told.Has == 0 || whole {
		return
	}
	d.extra(flow.HasNAT).NAT = d.told
}
