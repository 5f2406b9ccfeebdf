package ctnetlink

import (
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// decoder turns messages into events. It is used by one goroutine at a time.
type decoder struct {
	names interner
}

// decoded is what became of a datagram. It is of four words, so that it is handed
// over in registers.
type decoded struct {
	events  int32
	foreign int32  // messages that are no conntrack event
	rest    []byte // messages for which the batch had no slot; nil when all were read
}

// datagram decodes an event socket's datagram into free slots of b. When the
// batch is full it stops, and rest is to be given to the next call. On an error
// b is as it was before the call.
func (d *decoder) datagram(b *flow.Batch, p []byte) (decoded, error) {
	var out decoded
	var m message
	for len(p) > 0 {
		rest, err := m.cut(p)
		if err != nil {
			undo(b, out.events)
			return decoded{}, err
		}
		table, kind := m.event()
		if kind == flow.TypeUnspecified {
			out.foreign++
			p = rest
			continue
		}
		if b.Free() == 0 {
			out.rest = p
			return out, nil
		}
		if err := d.entry(b, &m, table, kind); err != nil {
			undo(b, out.events)
			return decoded{}, err
		}
		out.events++
		p = rest
	}
	return out, nil
}

func undo(b *flow.Batch, n int32) {
	for range n {
		b.Undo()
	}
}

// event says what an event socket's message reports, or TypeUnspecified when
// it is no event of either table.
func (m *message) event() (flow.Table, flow.Type) {
	var table flow.Table
	switch m.subsystem() {
	case unix.NFNL_SUBSYS_CTNETLINK:
		table = flow.TableConntrack
	case unix.NFNL_SUBSYS_CTNETLINK_EXP:
		table = flow.TableExpect
	default:
		return 0, flow.TypeUnspecified
	}
	// Both tables number their messages alike: 0 is NEW, 2 is DELETE.
	switch {
	case m.operation() == msgCtDelete:
		return table, flow.TypeDestroy
	case m.operation() != msgCtNew:
		return 0, flow.TypeUnspecified
	case m.created():
		return table, flow.TypeNew
	}
	return table, flow.TypeUpdate
}

// entry decodes one message into the next slot of b, which must have one. On an
// error the slot is taken back.
func (d *decoder) entry(b *flow.Batch, m *message, table flow.Table, kind flow.Type) error {
	if len(m.body) < genLen {
		return errGen
	}
	family := flow.Family(m.body[0]) // nfgen_family; version and res_id say nothing here
	if family != flow.IPv4 && family != flow.IPv6 {
		return errFamily
	}
	e := b.Next()
	e.Type, e.Table, e.Family = kind, table, family
	if m.pid != 0 && kind != flow.TypeDump {
		// In a dump it is the port of the socket that asked.
		e.PortID, e.Has = m.pid, flow.HasPortID
	}
	attrs := m.body[genLen:]
	var err error
	if table == flow.TableExpect {
		err = d.expect(b, e, attrs)
	} else {
		err = d.conntrack(b, e, attrs)
	}
	if err != nil {
		b.Undo()
	}
	return err
}
