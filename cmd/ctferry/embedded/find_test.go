package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// fill writes files with their modes into a directory of keys.
func fill(t *testing.T, files map[string]fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "credentials")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, mode := range files {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]fs.FileMode
		want  string
	}{
		"all":            {map[string]fs.FileMode{"admin.json": 0o640, "admin.nk": 0o640, "viewer.json": 0o640, "viewer.nk": 0o640}, "admin.json"},
		"viewer":         {map[string]fs.FileMode{"viewer.json": 0o640, "viewer.nk": 0o640}, "viewer.json"},
		"without a seed": {map[string]fs.FileMode{"admin.json": 0o640, "operator.json": 0o640, "operator.nk": 0o640}, "operator.json"},
		"node only":      {map[string]fs.FileMode{"node.nk": 0o600}, ""},
		"nothing":        {nil, ""},
	} {
		dir := fill(t, tt.files)
		got, err := Find(dir)
		if tt.want == "" {
			if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		} else if err != nil || got != filepath.Join(dir, tt.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := Find(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// Who may not look says which group he must be in; one whose group has but the
// viewer's key comes as the viewer.
func TestFindWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "becoming somebody else needs root")
	}
	dir := fill(t, map[string]fs.FileMode{"admin.json": 0o640, "admin.nk": 0o640, "viewer.json": 0o644, "viewer.nk": 0o644})
	for path := filepath.Dir(dir); path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, 0, 54321); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		_, err := Find(dir)
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "you are not in group 54321") {
			t.Errorf("%v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if path, err := Find(dir); err != nil || filepath.Base(path) != "viewer.json" {
			t.Errorf("%s, %v", path, err)
		}
	})
}

// asNobody runs f as a user without rights.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	groups, err := syscall.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	steps := errors.Join(syscall.Setgroups(nil), syscall.Setegid(65534), syscall.Seteuid(65534))
	f()
	steps = errors.Join(steps, syscall.Seteuid(0), syscall.Setegid(0), syscall.Setgroups(groups))
	if steps != nil {
		t.Fatal(steps)
	}
}
