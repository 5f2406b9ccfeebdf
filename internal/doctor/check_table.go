package doctor

import (
	"fmt"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// How full a table is a warning, and a fault, in percent. At 80 reliable mode
// lets go.
const (
	fillWarn = 80
	fillFail = 95
)

// checkTable asks how full the table is.
func checkTable() check {
	return check{
		id: "table", title: "room in the table",
		why: "a full table drops the packets of new connections; what the kernel ends early to make room is no end of the flow",
		look: func(f *Facts) []Finding {
			h := f.Host
			count, most := h.Sysctls["count"], h.Sysctls["max"]
			if most <= 0 {
				return unknown(errNoSysctl)
			}
			share := 100 * count / most
			found := fmt.Sprintf("%d of %d entries, %d %%", count, most, share)
			fix := fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most)
			switch {
			case share >= fillFail:
				return one(Fail, found, fix)
			case share >= fillWarn:
				return one(Warn, found, fix)
			}
			return good(found)
		},
	}
}

// maxPerBucket is how many entries a bucket may come to hold: each stands in the
// hash twice, so a lookup then goes through a chain of eight.
const maxPerBucket = 4

// checkBuckets compares the hash with what the table may hold.
func checkBuckets() check {
	return check{
		id: "buckets", title: "buckets of the table's hash", machine: true,
		why: "with few buckets each packet, and each dump, goes through long chains",
		look: func(f *Facts) []Finding {
			most, buckets := f.Host.Sysctls["max"], f.Host.Sysctls["buckets"]
			if most <= 0 || buckets <= 0 {
				return unknown(errNoSysctl)
			}
			found := fmt.Sprintf("%d for up to %d entries", buckets, most)
			if most > maxPerBucket*buckets {
				return one(Warn, found, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_buckets=%d", most))
			}
			return good(found)
		},
	}
}

// dropStats are the counters that tell of connections that were refused or cut.
func dropStats() []flow.CPUStat {
	return []flow.CPUStat{flow.StatDrop, flow.StatEarlyDrop, flow.StatInsertFailed, flow.StatChainTooLong}
}

// checkDrops reads the table's own counters.
func checkDrops() check {
	return check{
		id: "drops", title: "connections that the table refused or cut",
		why: "drop and insert_failed: the packet is gone; early_drop: a flow ended to make room; the counts are since the namespace was made",
		look: func(f *Facts) []Finding {
			h := f.Host
			if h.CPUsErr != nil {
				return unknown(h.CPUsErr)
			}
			var found []string
			for _, stat := range dropStats() {
				if n := sum(h.CPUs, stat); n > 0 {
					found = append(found, fmt.Sprintf("%s %d", stat, n))
				}
			}
			if len(found) == 0 {
				return good("none")
			}
			return one(Warn, strings.Join(found, ", "), fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*h.Sysctls["max"]))
		},
	}
}

func sum(cpus []flow.CPUStats, stat flow.CPUStat) (n uint64) {
	for i := range cpus {
		v, _ := cpus[i].Get(stat)
		n += uint64(v)
	}
	return n
}
