package ctnetlink

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// CPUStats reads the counters of each possible CPU, in the kernel's order
// (IPCTNL_MSG_CT_GET_STATS_CPU, IPCTNL_MSG_EXP_GET_STATS_CPU).
func (c *Conn) CPUStats(ctx context.Context, table flow.Table) (stats []flow.CPUStats, err error) {
	q := &request{
		op: "stats", subject: table.String() + " per CPU", flags: unix.NLM_F_DUMP,
		subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtGetStatsCPU,
	}
	switch table {
	case flow.TableConntrack:
	case flow.TableExpect:
		q.subsystem, q.operation = unix.NFNL_SUBSYS_CTNETLINK_EXP, msgExpGetStatsCPU
	default:
		return nil, q.fail(errTable)
	}
	sock, err := c.open(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sock.close()) }()
	if err := sock.send(q); err != nil {
		return nil, err
	}
	for {
		m, err := sock.receive(ctx, q)
		switch {
		case err != nil:
			return stats, err
		case m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE:
			return stats, q.verdict(&m)
		case m.operation() != q.operation:
			continue // not by the subsystem: the kernel gives the conntrack table's for both
		}
		one, err := cpuStats(&m, table)
		if err != nil {
			return stats, q.fail(err)
		}
		stats = append(stats, one)
	}
}

// cpuStats decodes one CPU's message, of which nfgenmsg.res_id is the CPU.
// Attributes that are not known are passed over.
func cpuStats(m *message, table flow.Table) (c flow.CPUStats, err error) {
	if len(m.body) < genLen {
		return c, errGen
	}
	c.CPU = binary.BigEndian.Uint16(m.body[2:])
	for p := m.body[genLen:]; len(p) > 0; {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return c, errAttr
		}
		p = rest
		stat, known := statOf(table, kind)
		if !known {
			continue
		}
		var v uint32
		if !get32(val, &v) {
			return c, errLength
		}
		c.Set(stat, v)
	}
	return c, nil
}

// statOf finds the counter of an attribute: enum ctattr_stats_cpu and, for the
// expect table, enum ctattr_expect_stats, both from 1 on.
func statOf(table flow.Table, kind uint16) (flow.CPUStat, bool) {
	stats := []flow.CPUStat{
		flow.StatSearched, flow.StatFound, flow.StatNew, flow.StatInvalid, flow.StatIgnore, flow.StatDelete,
		flow.StatDeleteList, flow.StatInsert, flow.StatInsertFailed, flow.StatDrop, flow.StatEarlyDrop, flow.StatError,
		flow.StatSearchRestart, flow.StatClashResolve, flow.StatChainTooLong,
	}
	if table == flow.TableExpect {
		stats = []flow.CPUStat{flow.StatExpectNew, flow.StatExpectCreate, flow.StatExpectDelete}
	}
	if kind == 0 || int(kind) > len(stats) {
		return 0, false
	}
	return stats[kind-1], true
}
