package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// A dump is given up after this time, or when so many rows came past the
// kernel's own filter: then it has none.
const (
	dumpPatience = 2 * time.Second
	dumpRows     = 4096
)

// statusOffload is IPS_OFFLOAD; what the hardware has (IPS_HW_OFFLOAD) has it too.
const statusOffload = 1 << 14

// readTable asks ctnetlink: how full the table is, the counters of each CPU, and
// where a plan wants it whether certain entries are there.
func (h *Host) readTable(ctx context.Context, w Wants) {
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{})
	if err != nil {
		h.FillErr, h.CPUsErr, h.OffloadedErr = err, err, err
		return
	}
	defer conn.Close()
	h.Fill, h.FillErr = conn.Stats(ctx)
	h.CPUs, h.CPUsErr = conn.CPUStats(ctx, flow.TableConntrack)
	if w.Quick {
		h.OffloadedErr = errQuick
		return
	}
	h.Offloaded, h.OffloadedErr = anyRow(ctx, conn, flow.DumpOptions{Status: &flow.Masked{Value: statusOffload, Mask: statusOffload}},
		func(e *flow.Event) bool { return e.Status&statusOffload != 0 })
	h.ZonesSeen = map[uint16]bool{}
	for _, zone := range w.Zones {
		seen, err := anyRow(ctx, conn, flow.DumpOptions{Zone: &zone}, func(e *flow.Event) bool { return e.Any(flow.HasZone) && e.Zone == zone })
		if err == nil {
			h.ZonesSeen[zone] = seen
		}
	}
}

var (
	errQuick = errors.New("it was not asked, for the time that it takes")
	errFound = errors.New("found")
	errMany  = errors.New("the table is too large to be looked through")
)

// anyRow tells whether the table has an entry that matches.
func anyRow(ctx context.Context, conn *ctnetlink.Conn, o flow.DumpOptions, match func(*flow.Event) bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dumpPatience)
	defer cancel()
	rows := 0
	_, err := conn.Dump(ctx, flow.TableConntrack, o, func(b *flow.Batch) error {
		for i := range b.Events() {
			if match(&b.Events()[i]) {
				return errFound
			}
		}
		if rows += b.Len(); rows > dumpRows {
			return errMany
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return true, nil
	case errors.Is(err, flow.ErrInterrupted):
		return false, nil
	}
	return false, err
}
