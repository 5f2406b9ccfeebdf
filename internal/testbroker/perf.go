package testbroker

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// PerfTest is Kafka's own load generator, kafka-producer-perf-test: the Java producer, fed by one thread. It is what a sink's
// throughput is measured against.
type PerfTest struct {
	java      string
	classPath string
}

// Load is one run of a PerfTest.
type Load struct {
	Brokers []string
	Topic   string
	Payload string // a file of records, one a line, of which it takes any
	Records int
	Warmup  int               // the first of Records, which do not count: Java's compiler is at work
	Config  map[string]string // the producer's
}

// InstallPerfTest returns the tool, and downloads it first if it is not in the user's cache, which takes mvn, java and the network.
func InstallPerfTest(ctx context.Context) (*PerfTest, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("kafka's tools need java: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("kafka's tools need a cache folder: %w", err)
	}
	dir, err := installTools(ctx, filepath.Join(cache, "ctferry"))
	if err != nil {
		return nil, err
	}
	classPath, err := classPathOf(filepath.Join(dir, jarsFolder))
	return &PerfTest{java: java, classPath: classPath}, err
}

// installTools gives the folder of the tools. It appears under its name when it is complete.
func installTools(ctx context.Context, home string) (string, error) {
	version, err := toolsVersion()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(home, "kafka-tools-"+version)
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	held, err := lock(ctx, filepath.Join(home, "kafka.lock"))
	if err != nil {
		return "", fmt.Errorf("wait for another process to install kafka: %w", err)
	}
	defer held.Close() //nolint:errcheck // gives the lock back; nothing was written
	if exists(dir) {
		return dir, nil
	}
	partial, err := os.MkdirTemp(home, "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial) //nolint:errcheck // after the rename there is nothing left to remove
	if err := copyJars(ctx, "tools.xml", partial); err != nil {
		return "", fmt.Errorf("install kafka's tools: %w", err)
	}
	return dir, os.Rename(partial, dir)
}

func toolsVersion() (string, error) {
	content, err := assets.ReadFile("assets/tools.xml")
	if err != nil {
		return "", err
	}
	var project struct {
		Version string `xml:"version"`
	}
	if err := xml.Unmarshal(content, &project); err != nil {
		return "", fmt.Errorf("assets/tools.xml: %w", err)
	}
	return project.Version, nil
}

// NeedPerfTest is InstallPerfTest for a test. It skips or fails as NeedKafka does.
func NeedPerfTest(tb testing.TB) *PerfTest {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), installWait)
	defer cancel()
	p, err := InstallPerfTest(ctx)
	if err != nil {
		unavailable(tb, err)
	}
	return p
}

// Run sends the load and gives the records a second that the tool measured from the end of the warm-up to the last acknowledgement.
func (p *PerfTest) Run(ctx context.Context, l Load) (perSecond float64, err error) {
	args := []string{
		"-Xmx512m", "-cp", p.classPath, "org.apache.kafka.tools.ProducerPerformance",
		"--bootstrap-server", strings.Join(l.Brokers, ","), "--topic", l.Topic, "--payload-file", l.Payload,
		"--num-records", strconv.Itoa(l.Records), "--warmup-records", strconv.Itoa(l.Warmup), "--throughput", "-1",
	}
	if len(l.Config) > 0 {
		args = append(args, "--command-property")
	}
	for _, key := range slices.Sorted(maps.Keys(l.Config)) {
		args = append(args, key+"="+l.Config[key])
	}
	var out, said strings.Builder
	cmd := exec.Command(p.java, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, killWait
	if err := runProcess(ctx, cmd); err != nil {
		return 0, fmt.Errorf("kafka-producer-perf-test: %w\n%s", err, tail(said.String()))
	}
	return perfResult(out.String(), l)
}

// perfLine is what the tool says at its end, of all records and then of those behind the warm-up.
var perfLine = regexp.MustCompile(`(?m)^(\d+) (steady state )?records sent, ([0-9.]+) records/sec`)

// perfResult finds the summary. Records that the broker refused are not among those sent, which makes the run worthless.
func perfResult(out string, l Load) (float64, error) {
	for _, m := range perfLine.FindAllStringSubmatch(out, -1) {
		sent, err := strconv.Atoi(m[1])
		if err != nil || sent != l.Records-l.Warmup || l.Warmup > 0 && m[2] == "" {
			continue
		}
		return strconv.ParseFloat(m[3], 64)
	}
	return 0, fmt.Errorf("kafka-producer-perf-test: no summary of %d records in %q", l.Records-l.Warmup, tail(out))
}
