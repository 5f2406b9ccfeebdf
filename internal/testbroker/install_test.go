package testbroker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDistributionName(t *testing.T) {
	name, err := distributionName()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^kafka-4\.\d+\.\d+-[0-9a-f]{8}$`).MatchString(name) {
		t.Errorf("name %q", name)
	}
}

// java is the program's path, or the test is skipped.
func java(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("java")
	if err != nil {
		unavailable(t, err)
	}
	return path
}

func TestInstallWithoutMaven(t *testing.T) {
	path := java(t)
	home := t.TempDir()
	t.Setenv("PATH", "")
	_, err := installIn(bounded(t), home, path)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "maven") {
		t.Errorf("%v, want that maven is missing", err)
	}
	expectOnly(t, home, "kafka.lock")
}

// Maven without a network: its own words must be in the error, and nothing half made may stay.
func TestInstallOffline(t *testing.T) {
	path := java(t)
	if _, err := exec.LookPath("mvn"); err != nil {
		unavailable(t, err)
	}
	maven := t.TempDir()
	if err := os.MkdirAll(filepath.Join(maven, ".m2"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(maven, ".m2", "settings.xml"), []byte("<settings><offline>true</offline></settings>"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAVEN_OPTS", "-Duser.home="+maven)
	home := t.TempDir()
	_, err := installIn(bounded(t), home, path)
	if err == nil || !strings.Contains(err.Error(), "offline") {
		t.Errorf("%v, want what maven says about being offline", err)
	}
	expectOnly(t, home, "kafka.lock")
}

func TestInstallGivesUp(t *testing.T) {
	home := t.TempDir()
	held, err := tryLock(filepath.Join(home, "kafka.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() //nolint:errcheck // read only
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := installIn(ctx, home, "java"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's end", err)
	}
}

// Two at once into an empty home: one works, the other waits, both get a Kafka that starts. Jars come from Maven's own cache.
func TestInstallTwiceAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole installation: not with -short")
	}
	NeedKafka(t)
	home := t.TempDir()
	began := time.Now()
	var both sync.WaitGroup
	var found [2]*Distribution
	for i := range found {
		both.Go(func() {
			var err error
			if found[i], err = installIn(bounded(t), home, java(t)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("install %v", time.Since(began).Round(time.Millisecond))
	if *found[0] != *found[1] {
		t.Errorf("two distributions: %v and %v", found[0], found[1])
	}
	expectOnly(t, home, "kafka.lock", filepath.Base(found[0].dir))
	if info, err := os.Stat(found[0].archive()); err != nil || info.Size() < 1<<20 {
		t.Errorf("class data archive: %v, %v", info, err)
	}
	k, err := found[0].Start(bounded(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(); err != nil {
		t.Error(err)
	}
}

func expectOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}
