package ctnetlink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// Creation is an entry that is to be made in the conntrack table.
//
// Of Event count the values that are present and that a process may set: both
// tuples and the timeout (needed), the status, mark, zone, labels, protocol
// state, helper, master, sequence adjustments and SYN proxy. All else that it
// has, such as counters and times, is the kernel's own and is passed over, so a
// row of a dump may serve as it is. A zone that holds in one direction only is
// that direction's Tuple.Zone, and then Event.Zone must be absent.
//
// Of the status the kernel takes neither EXPECTED (which a master gives) nor
// DYING: unix.EBUSY. CONFIRMED, without which it takes none, is added. Labels
// are passed over by the kernel, without a word, while no rule of the
// namespace uses labels. There is no security mark: no kernel takes one.
//
// The errors of the kernel's are unix.EEXIST where there is such an entry,
// unix.ENOENT where the master is not, unix.EOPNOTSUPP for a helper that it has
// not, unix.ENOMEM for a full table, unix.EPERM without CAP_NET_ADMIN.
type Creation struct {
	Event          *flow.Event
	SrcNAT, DstNAT *NATRange // nil is none

	// Replace has an entry that exists already updated (no NLM_F_EXCL) with the
	// values of Event. NAT and a master cannot be updated: unix.EOPNOTSUPP.
	Replace bool
}

var (
	errBothTuples = errors.New("expected both tuples, of one family and one protocol")
	errTimeout    = errors.New("expected a timeout")
	errPorts      = errors.New("tuple: expected source and destination port")
	errICMP       = errors.New("tuple: expected ICMP type, code and id")
	errZones      = errors.New("expected one zone: of the entry, of its original or of its reply direction")
	errMaster     = errors.New("master: expected a whole tuple of the entry's family")
)

// Create makes one entry.
func (c *Conn) Create(ctx context.Context, n Creation) error {
	q, err := n.request()
	if err != nil {
		return err
	}
	return c.do(ctx, q, nil)
}

func (n *Creation) request() (*request, error) {
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
func (n *Creation) check() error {
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
	return errors.Join(checkTuple(&e.Orig), checkTuple(&e.Reply), n.SrcNAT.check(e.Orig.Family), n.DstNAT.check(e.Orig.Family))
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
	if err := (&Key{Tuple: *t}).check(); err != nil {
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

func (n *Creation) write(w *writer) {
	w.putKey(n.Event)
	if n.Event.Got(flow.HasStatus) {
		w.put32(ctaStatus, n.Event.Status|flow.StatusConfirmed)
	}
	w.putSettable(n.Event)
	w.putNAT(ctaNATSrc, n.SrcNAT)
	w.putNAT(ctaNATDst, n.DstNAT)
}
