package encode

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// need finds a program, or skips; with REQUIRE_ALL=1 it fails instead.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("%s is not installed, and REQUIRE_ALL=1", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// TestBufLint holds the .proto to buf's STANDARD rules.
func TestBufLint(t *testing.T) {
	buf := findBuf(t)
	cmd := exec.Command(buf, "lint", "schemas")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("buf lint: %v\n%s", err, out)
	}
	cmd = exec.Command(buf, "format", "--exit-code", "--diff", "schemas")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("buf format: %v\n%s", err, out)
	}
}

// findBuf looks for buf where go install and npm install put it.
func findBuf(t *testing.T) string {
	t.Helper()
	places := []string{filepath.Join("..", "node_modules", ".bin", "buf"), filepath.Join("..", "bin", "node_modules", ".bin", "buf")}
	if out, err := exec.Command("go", "env", "GOPATH").Output(); err == nil {
		places = append(places, filepath.Join(strings.TrimSpace(string(out)), "bin", "buf"))
	}
	for _, place := range places {
		if abs, err := filepath.Abs(place); err == nil {
			if _, err := os.Stat(abs); err == nil {
				return abs
			}
		}
	}
	return need(t, "buf")
}

// TestProtoc holds the .proto to what protoc accepts.
func TestProtoc(t *testing.T) {
	protoc := need(t, "protoc")
	cmd := exec.Command(protoc, "-Ischemas", "--descriptor_set_out="+filepath.Join(t.TempDir(), "out"), "ctferry/v1/record.proto")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("protoc: %v\n%s", err, out)
	}
}
