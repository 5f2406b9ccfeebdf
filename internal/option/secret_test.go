package option

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverShows(t *testing.T) {
	const value = "hunter2"
	s := NewSecret(value)
	conf := struct {
		User     string
		Password Secret
	}{"ann", s}
	shown := map[string]string{"String": s.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f", "%U"} {
		shown["Sprintf "+verb] = fmt.Sprintf(verb, s)
		shown["Sprintf of Config "+verb] = fmt.Sprintf(verb, conf)
	}
	for name, v := range map[string]any{"secret": s, "config": conf, "pointer": &conf, "map": map[string]Secret{"a": s}} {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown["json of "+name] = string(out)
		for kind, build := range map[string]func(*strings.Builder) slog.Handler{
			"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b strings.Builder
			slog.New(build(&b)).Info("x", "v", v)
			shown["slog "+kind+" of "+name] = b.String()
		}
	}
	out, err := xml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	shown["xml"] = string(out)
	for how, text := range shown {
		if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) {
			t.Errorf("%s: %s", how, text)
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%s: no mask in %s", how, text)
		}
	}
	if s.Reveal() != value || (Secret{}).String() != "" {
		t.Error("Reveal, or the empty secret, is wrong")
	}
}
