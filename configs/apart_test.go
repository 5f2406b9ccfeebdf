package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestApartByLinks has paths that links make one.
func TestApartByLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/log/in", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "log", "log/again": ".", "audit": "log/audit"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/log/audit", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := file(fmt.Sprintf(`
nats_server: {enabled: true}
control: {enabled: true, audit: {path: %[1]s/audit}}
sinks:
  a: {type: file, path: %[1]s/log/a}
  b: {type: file, path: %[1]s/link/a}
  c: {type: file, path: %[1]s/log/in/c-%%Y}
  d: {type: file, path: %[1]s/link/again/in/c-%%Y}
  e: {type: file, path: %[1]s/log/%%Y/none/e}
  f: {type: file, path: %[1]s/link/%%Y/none/e}
  g: {type: stdout, dead_letter: {path: %[1]s/link/in/../a}}
  h: {type: file, path: %[1]s/link/audit}
  i: {type: file, path: %[1]s/link/i, dead_letter: {path: %[1]s/link/none/i}}
`, dir))
	same(t, g.faults(t), fmt.Sprintf(`
a.yaml:6:19: sinks.b.path: "%[1]s/link/a", which is "%[1]s/log/a", is written by sinks.a.path already: expected another
a.yaml:8:19: sinks.d.path: "%[1]s/link/again/in/c-%%Y", which is "%[1]s/log/in/c-%%Y", is written by sinks.c.path already: expected another
a.yaml:10:19: sinks.f.path: "%[1]s/link/%%Y/none/e", which is "%[1]s/log/%%Y/none/e", is written by sinks.e.path already: expected another
a.yaml:11:35: sinks.g.dead_letter.path: "%[1]s/link/in/../a", which is "%[1]s/log/a", is written by sinks.a.path already: expected another
a.yaml:12:19: sinks.h.path: "%[1]s/link/audit", which is "%[1]s/log/audit", is written by control.audit.path already: expected another`, dir))
}
