package option

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretNeverShows(t *testing.T) {
	s := NewSecret("hunter2")
	outer := struct{ S Secret }{s}
	pointer := &outer
	texts := []string{s.String(), fmt.Sprint(s), fmt.Sprint(outer), fmt.Sprintf("%v", pointer)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%e", "%b", "%o"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, outer), fmt.Sprintf(verb, []Secret{s}))
	}
	j, err := json.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	x, err := xml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", s, "o", outer)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "o", outer)
	for _, text := range append(texts, string(j), string(x), log.String()) {
		for _, leak := range []string{"hunter2", "68756e74657232", "68756E74657232", "104"} {
			if strings.Contains(text, leak) {
				t.Errorf("%q shows the secret", text)
			}
		}
	}
	if s.Reveal() != "hunter2" || s.IsZero() {
		t.Error("the value is lost")
	}
}

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
