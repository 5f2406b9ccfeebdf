package systemd

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// mostExposure is what systemd-analyze may say about a unit, 0 to 10.
const mostExposure = 1.8

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// directives are a file's lines without comments and sections.
func directives(text string) (all []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line[0] != '[' {
			all = append(all, line)
		}
	}
	return all
}

func TestExposure(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testnet.Unavailable(t, "no systemd-analyze: %v", err)
	}
	level := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d)`)
	for _, unit := range []string{"ctferry.service", "ctferry@.service"} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "./"+unit).CombinedOutput()
		found := level.FindSubmatch(out)
		if found == nil {
			t.Fatalf("%s: %v: %s", unit, err, out)
		}
		if got, _ := strconv.ParseFloat(string(found[1]), 64); got > mostExposure {
			t.Errorf("%s: exposure %v, expected at most %v", unit, got, mostExposure)
		}
		t.Logf("%s", found[0])
	}
}

// TestInstanceIsTheSameService wants the two units to differ in names and
// folders only.
func TestInstanceIsTheSameService(t *testing.T) {
	names := strings.NewReplacer(
		"ctferry:", "ctferry %i:", "/etc/ctferry/ctferry.yaml", "/etc/ctferry/%i/ctferry.yaml", "Directory=ctferry", "Directory=ctferry-%i")
	var want []string
	for _, d := range directives(text(t, "ctferry.service")) {
		want = append(want, names.Replace(d))
	}
	if got := directives(text(t, "ctferry@.service")); !slices.Equal(got, want) {
		t.Errorf("ctferry@.service:\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The package makes the user before sysusers.conf is there, by the same line.
func TestUserIsTheSame(t *testing.T) {
	user := directives(text(t, "sysusers.conf"))
	if len(user) != 1 || !strings.Contains(text(t, "../package/preinstall.sh"), "\n"+user[0]+"\n") {
		t.Errorf("preinstall.sh does not have the line %q", user)
	}
}

// What an example says of itself: what it is for, and where it goes.
func TestExamples(t *testing.T) {
	files, err := os.ReadDir("examples")
	if err != nil || len(files) < 8 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		all := text(t, "examples/"+f.Name())
		if !strings.HasPrefix(all, "# ") {
			t.Errorf("%s: it does not say what it is for", f.Name())
		}
	}
}
