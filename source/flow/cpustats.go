package flow

// CPUStat is one of the counters that the kernel keeps for each CPU.
type CPUStat uint8

// The counters of the conntrack table (enum ctattr_stats_cpu), then those of
// the expect table (enum ctattr_expect_stats). The first five are of older
// kernels; Linux 6.18 does not send them.
const (
	StatSearched CPUStat = iota
	StatNew
	StatIgnore
	StatDelete
	StatDeleteList
	StatFound
	StatInvalid
	StatInsert
	StatInsertFailed
	StatDrop
	StatEarlyDrop
	StatError
	StatSearchRestart
	StatClashResolve
	StatChainTooLong
	StatExpectNew
	StatExpectCreate
	StatExpectDelete
	cpuStats // how many there are
)

var cpuStatNames = [cpuStats]string{
	"searched", "new", "ignore", "delete", "delete_list", "found", "invalid", "insert", "insert_failed", "drop",
	"early_drop", "error", "search_restart", "clash_resolve", "chaintoolong", "expect_new", "expect_create", "expect_delete",
}

// String gives conntrack(8)'s word for the counter, or "".
func (s CPUStat) String() string {
	if s < cpuStats {
		return cpuStatNames[s]
	}
	return ""
}

// CPUStats are one CPU's counters of one table, in a network namespace. They
// count since the namespace was made and wrap at 32 bits.
type CPUStats struct {
	CPU    uint16
	has    uint32
	values [cpuStats]uint32
}

// Set gives a counter its value. A counter that is none is passed over.
func (c *CPUStats) Set(s CPUStat, v uint32) {
	if s < cpuStats {
		c.values[s] = v
		c.has |= 1 << s
	}
}

// Get gives a counter's value, and whether the kernel told it.
func (c *CPUStats) Get(s CPUStat) (uint32, bool) {
	if s >= cpuStats || c.has>>s&1 == 0 {
		return 0, false
	}
	return c.values[s], true
}

// Present lists the counters that the kernel told, in the order of the
// constants, which is conntrack(8)'s.
func (c *CPUStats) Present() (present []CPUStat) {
	for s := range cpuStats {
		if c.has>>s&1 != 0 {
			present = append(present, s)
		}
	}
	return present
}
