package option

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretEmptyShowsNothing(t *testing.T) {
	var s Secret
	if s.String() != "" || fmt.Sprint(s) != "" || !s.IsZero() {
		t.Errorf("%q", s.String())
	}
}

func TestSecretFrom(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ name, content, want string }{
		{"plain", "pw", "pw"},
		{"newline", "pw\n", "pw"},
		{"windows", "pw\r\n", "pw"},
		{"one newline only", "pw\n\n", "pw\n"},
		{"spaces stay", " p w ", " p w "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := SecretFrom(NewSecret("other"), write(c.name, c.content))
			if err != nil || got.Reveal() != c.want {
				t.Errorf("%q, %v", got.Reveal(), err)
			}
		})
	}
	if got, err := SecretFrom(NewSecret("itself"), ""); err != nil || got.Reveal() != "itself" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
	for name, path := range map[string]string{
		"absent": filepath.Join(dir, "absent"), "empty": write("empty", ""), "a newline": write("nl", "\n"),
		"large": write("large", strings.Repeat("x", maxSecretFile+1)), "folder": dir,
	} {
		if _, err := SecretFrom(Secret{}, path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
