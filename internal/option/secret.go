package option

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

const redacted = "***"

// Secret is a string that never prints itself. Its value is read with Reveal.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(v string) Secret { return Secret{v} }

// Reveal gives the value.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// String hides the value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format writes the mask for every verb, also those that do not fit a string,
// which fmt would otherwise answer by printing the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value as it stands.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

// SecretFrom gives the secret itself or, if path is set, the file's content
// without the newline at its end. Files are read when a connection is made, so
// that a changed password counts.
func SecretFrom(s Secret, path string) (Secret, error) {
	if path == "" {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("secret file: %w", err)
	}
	return Secret{strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")}, nil
}
