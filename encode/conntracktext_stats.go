package encode

import "github.com/ctferry/ctferry/source/flow"

// Stat is one of a CPU's counters by its name, see [StatName].
type Stat struct {
	Name  string
	Value uint32
}

// conntrackStats are the names of enum ctattr_stats_cpu, by its numbers.
var conntrackStats = [...]string{
	1: "searched", 2: "found", 3: "new", 4: "invalid", 5: "ignore", 6: "delete", 7: "delete_list", 8: "insert", 9: "insert_failed",
	10: "drop", 11: "early_drop", 12: "error", 13: "search_restart", 14: "clash_resolve", 15: "chaintoolong",
}

// expectStats are the names of enum ctattr_expect_stats, by its numbers.
var expectStats = [...]string{1: "expect_new", 2: "expect_create", 3: "expect_delete"}

// StatName is conntrack's name for a counter of a table by its attribute
// number (CTA_STATS_*, CTA_STATS_EXP_*), or "".
func StatName(table flow.Table, attr uint16) string {
	switch {
	case table == flow.TableConntrack && int(attr) < len(conntrackStats):
		return conntrackStats[attr]
	case table == flow.TableExpect && int(attr) < len(expectStats):
		return expectStats[attr]
	}
	return ""
}

// AppendStats appends a CPU's line of -S, without its end: the counters that
// the kernel sent, in its order. As in conntrack's lines a tab stands behind
// the CPU and a blank behind every counter.
func AppendStats(dst []byte, cpu uint16, stats []Stat) []byte {
	dst = append(dst, "cpu="...)
	at := len(dst)
	for dst = appendUint(dst, uint64(cpu)); len(dst) < at+4; {
		dst = append(dst, ' ')
	}
	dst = append(dst, '\t')
	for _, s := range stats {
		if s.Name != "" {
			dst = append(append(dst, s.Name...), '=')
			dst = append(appendUint(dst, uint64(s.Value)), ' ')
		}
	}
	return dst
}
