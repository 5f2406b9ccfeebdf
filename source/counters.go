package source

import (
	"context"

	"github.com/ctferry/ctferry/source/flow"
)

// TableCounter is a figure that the kernel keeps of a namespace's conntrack
// table, over all CPUs, since the namespace was made.
type TableCounter struct {
	NetNS string
	Stat  flow.CPUStat
	Count uint64
}

// TableCounters asks each namespace for its figures (IPCTNL_MSG_CT_GET_STATS_CPU);
// one that does not answer is left out, as are figures that its kernel does not send.
func (s *Source) TableCounters() (all []TableCounter) {
	for _, sock := range s.spaces() {
		if cpus, err := sock.readCounters(); err == nil {
			all = append(all, sumCounters(sock.ns.name, cpus)...)
		}
	}
	return all
}

func (k *socket) readCounters() ([]flow.CPUStats, error) {
	conn, err := k.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), fillPatience)
	defer cancel()
	return conn.CPUStats(ctx, flow.TableConntrack)
}

// sumCounters adds CPUs up. Each wraps at 32 bits by itself; so then does the sum,
// at a place of its own, which readers of counters take for a restart.
func sumCounters(netns string, cpus []flow.CPUStats) (sums []TableCounter) {
	if len(cpus) == 0 {
		return nil
	}
	for _, stat := range cpus[0].Present() {
		c := TableCounter{NetNS: netns, Stat: stat}
		for i := range cpus {
			v, _ := cpus[i].Get(stat)
			c.Count += uint64(v)
		}
		sums = append(sums, c)
	}
	return sums
}
