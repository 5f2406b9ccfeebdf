package budget

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// spent is what an event may take in a file and a batch in calls.
type spent struct {
	bytes  float64 // of the file, an event of the generator's mix
	writes float64 // write system calls, a full batch of the sink; the runtime's own (wake-ups) are among them
}

// budgets of the encodings. Records differ a little in length by what the kernel draws
// (ids) and by who asks (numbers of processes).
func budgets() map[string]spent {
	return map[string]spent{"json": {850, 6}, "protobuf": {256, 10}, "xml": {1220, 6}}
}

// TestBytesAndWrites counts what reaches the file, and in how many calls.
func TestBytesAndWrites(t *testing.T) {
	for encoding, budget := range budgets() {
		t.Run(encoding, func(t *testing.T) {
			const entries = 10_000
			p := newPath(t, "socket", encoding)
			p.churn(entries)
			before := written(t)
			p.start()
			p.delivered(p.made)
			writes := written(t) - before
			size := float64(p.size()) / float64(p.out.Books().Delivered)
			calls := float64(writes) / p.batches(2*entries, p.size())
			t.Logf("%.1f bytes an event, %.2f writes a batch", size, calls)
			if size > budget.bytes {
				t.Errorf("%.1f bytes an event: the budget is %v", size, budget.bytes)
			}
			if calls > budget.writes {
				t.Errorf("%.2f writes a batch: the budget is %v", calls, budget.writes)
			}
		})
	}
}

// written is how many calls such as write(2) and pwritev(2) this process has made: syscw of /proc/self/io.
func written(t *testing.T) int { return figure(t, "/proc/self/io", "syscw") }

// figure finds "name: number" in a file of /proc, or -1.
func figure(t *testing.T, path, name string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return -1
}

// filterSteps is how many instructions the kernel's verifier goes through in the filter
// that fills the ring: each event's sender executes a part of them.
const filterSteps = 420

func TestFilterSteps(t *testing.T) {
	newPath(t, "ring", "json")
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if _, err := os.Stat(name); err != nil || figure(t, name, "prog_type") < 0 {
			continue
		}
		found++
		steps := figure(t, name, "verified_insns")
		if steps < 0 {
			t.Skip("the kernel does not tell: verified_insns came with Linux 5.16")
		}
		t.Logf("%d steps", steps)
		if steps > filterSteps {
			t.Errorf("the verifier goes through %d instructions: the budget is %d", steps, filterSteps)
		}
	}
	if found != 1 {
		t.Errorf("%d eBPF programs: expected the ring's filter", found)
	}
}
