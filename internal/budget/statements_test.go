package budget

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/ctferry/ctferry/"
	// workload in the environment makes TestWorkload run: receive, encoding, entries.
	workload = "CTFERRY_BUDGET_WORKLOAD"
)

// statements is how many statements of each package an event may execute, by what is
// received from and written as, with a tenth to spare. It is the nearest to an instruction
// count that is the same on every machine (of this module alone: tags and varints of
// protobuf are ours, and so in it): Go's own count of executed statements, of events
// that wait in the kernel before the first is read, so that every batch is full.
func statements() map[string]map[string]float64 {
	of := func(ctnetlink, flow, encode float64) map[string]float64 {
		return map[string]float64{"source/ctnetlink": ctnetlink, "source/flow": flow, "source": 25, "encode": encode, "sinks": 58}
	}
	return map[string]map[string]float64{
		"ring/json":       of(240, 120, 782),
		"socket/json":     of(230, 120, 782),
		"socket/protobuf": of(230, 135, 515),
		"socket/xml":      of(230, 120, 886),
	}
}

// TestStatementsAnEvent compiles this package's test once more, counting, and runs it with
// few and with many events: the difference is what events cost.
func TestStatementsAnEvent(t *testing.T) {
	newPath(t, "socket", "json") // skips where it cannot run
	binary := counting(t)
	for name, most := range statements() {
		t.Run(name, func(t *testing.T) {
			const few, many = 2_000, 10_000
			small, large := count(t, binary, name, few), count(t, binary, name, many)
			for _, pkg := range slices.Sorted(maps.Keys(large)) {
				got := float64(large[pkg]-small[pkg]) / (2 * (many - few))
				budget, ok := most[pkg]
				switch t.Logf("%-24s %7.1f statements an event, budget %v", pkg, got, budget); {
				case !ok && got > 0.5:
					t.Errorf("%s: %.1f statements an event and no budget", pkg, got)
				case got > budget+0.5:
					t.Errorf("%s: %.1f statements an event: the budget is %v", pkg, got, budget)
				case got < budget*0.8-1:
					t.Logf("%s: well below the budget: lower it, to keep what was gained", pkg)
				}
			}
		})
	}
}

// counting compiles the test with counters in the packages of the data path.
func counting(t *testing.T) string {
	t.Helper()
	var packages []string
	for _, p := range []string{"source", "source/flow", "source/ctnetlink", "encode", "sinks"} {
		packages = append(packages, module+p)
	}
	binary := filepath.Join(t.TempDir(), "counting.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-covermode", "count", "-coverpkg", strings.Join(packages, ","), "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return binary
}

// count runs the workload and gives the statements executed, by package.
func count(t *testing.T, binary, name string, entries int) map[string]int64 {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile")
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestWorkload$", "-test.coverprofile", profile)
	cmd.Env = append(os.Environ(), workload+"="+name+"/"+strconv.Itoa(entries), "REQUIRE_ALL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("workload: %v\n%s", err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := executed(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// executed adds up a coverage profile by package: its lines are "file:from,to statements times".
func executed(profile string) (map[string]int64, error) {
	sum := map[string]int64{}
	for line := range strings.Lines(profile) {
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		file, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		var span string
		var statements, times int64
		if _, err := fmt.Sscan(rest, &span, &statements, &times); err != nil {
			return nil, fmt.Errorf("profile line %q: %w", line, err)
		}
		sum[strings.TrimPrefix(filepath.Dir(file), module)] += statements * times
	}
	return sum, nil
}

// TestWorkload is what TestStatementsAnEvent runs in a process of its own.
func TestWorkload(t *testing.T) {
	words := strings.Split(os.Getenv(workload), "/")
	if len(words) != 3 {
		t.Skip("a part of TestStatementsAnEvent")
	}
	entries, err := strconv.Atoi(words[2])
	if err != nil {
		t.Fatal(err)
	}
	p := newPath(t, words[0], words[1])
	p.churn(entries)
	p.start()
	p.delivered(p.made)
}

func TestExecuted(t *testing.T) {
	got, err := executed("mode: count\n" + module + "encode/a.go:1.2,3.4 3 10\n" + module + "encode/b.go:1.2,3.4 1 5\n" + module + "sinks/c.go:9.9,9.9 2 0\n")
	if want := map[string]int64{"encode": 35, "sinks": 0}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := executed("mode: count\nnonsense\n"); err == nil {
		t.Error("nonsense was accepted")
	}
}
