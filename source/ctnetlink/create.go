package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

var (
	errBothTuples = errors.New("expected both tuples, of one family and one protocol")
	errTimeout    = errors.New("expected a timeout")
	errPorts      = errors.New("tuple: expected source and destination port")
	errICMP       = errors.New("tuple: expected ICMP type, code and id")
	errZones      = errors.New("expected one zone: of the entry, of its original or of its reply direction")
	errMaster     = errors.New("master: expected a whole tuple of the entry's family")
)

// Create makes one entry.
func (c *Conn) Create(ctx context.Context, n flow.Creation) error {
	q, err := (*creation)(&n).request()
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

// creation writes what is to be made.
type creation flow.Creation

func (n *creation) request() (*request, error) {
	q := &request{
		op: "create", subject: "conntrack entry", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtNew,
		flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, family: byte(n.Event.Orig.Family), attrs: n.write,
	}
	if n.Replace {
		q.flags = unix.NLM_F_CREATE
	}
	if err := n.check(); err != nil {
		return nil, q.fail(err)
	}
	return q, nil
}

// check refuses with words what the kernel would refuse without any (EINVAL).
func (n *creation) check() error {
	e := n.Event
	switch {
	case !e.Got(flow.HasOrig|flow.HasReply) || e.Orig.Family != e.Reply.Family || e.Orig.Proto != e.Reply.Proto:
		return errBothTuples
	case !e.Got(flow.HasTimeout):
		return errTimeout
	case zones(e) > 1:
		return errZones
	}
	if e.Got(flow.HasMaster) && (checkTuple(&e.Extra.Master) != nil || e.Extra.Master.Family != e.Orig.Family) {
		return errMaster
	}
	return errors.Join(checkTuple(&e.Orig), checkTuple(&e.Reply), (*natRange)(n.SrcNAT).check(e.Orig.Family), (*natRange)(n.DstNAT).check(e.Orig.Family))
}

// zones counts the zones of an entry; the kernel takes one.
func zones(e *flow.Event) (n int) {
	for _, has := range []bool{e.Got(flow.HasZone) && e.Zone != 0, e.Orig.Got(flow.HasTupleZone), e.Reply.Got(flow.HasTupleZone)} {
		if has {
			n++
		}
	}
	return n
}

// checkTuple refuses a tuple that lacks something that its protocol has.
func checkTuple(t *flow.Tuple) error {
	if err := (&entryKey{Tuple: *t}).check(); err != nil {
		return err
	}
	switch t.Proto {
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDPLite, flow.ProtoSCTP, flow.ProtoDCCP, flow.ProtoGRE:
		if !t.Got(flow.HasPorts) {
			return errPorts
		}
	case flow.ProtoICMP, flow.ProtoICMPv6:
		if !t.Got(flow.HasICMP) {
			return errICMP
		}
	}
	return nil
}

func (n *creation) write(w *writer) {
	w.putKey(n.Event)
	if n.Event.Got(flow.HasStatus) {
		w.put32(ctaStatus, n.Event.Status|flow.StatusConfirmed)
	}
	w.putSettable(n.Event)
	w.putNAT(ctaNATSrc, n.SrcNAT)
	w.putNAT(ctaNATDst, n.DstNAT)
}
