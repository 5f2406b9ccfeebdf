package ctnetlink

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// Stats tells how full the conntrack table is and what it can hold
// (IPCTNL_MSG_CT_GET_STATS). The namespace's name is the caller's to fill in.
func (c *Conn) Stats(ctx context.Context) (flow.TableFill, error) {
	var fill flow.TableFill
	q := &request{op: "stats", subject: "conntrack", subsystem: unix.NFNL_SUBSYS_CTNETLINK, operation: msgCtGetStats}
	answered := false
	err := c.do(ctx, q, func(m *message) error {
		answered = true
		return tableFill(&fill, m)
	})
	if err == nil && !answered {
		err = q.fail(errSilent)
	}
	return fill, err
}

// tableFill decodes the attributes of a GET_STATS reply (enum ctattr_stats_global).
func tableFill(fill *flow.TableFill, m *message) error {
	if len(m.body) < genLen {
		return errGen
	}
	p := m.body[genLen:]
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		switch kind {
		case ctaStatsGlobalEntries:
			ok = get32(val, &fill.Entries)
		case ctaStatsGlobalMax:
			ok = get32(val, &fill.Max)
		}
		if !ok {
			return errLength
		}
	}
	return nil
}
