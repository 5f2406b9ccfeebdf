package option

import (
	"errors"
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

// Format hides the value from every verb, also from those that do not fit a
// text, which fmt would answer by printing the value.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) } //nolint:errcheck // fmt keeps it

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value as it stands.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

// maxSecretFile bounds, in bytes, what is read from a secret's file.
const maxSecretFile = 1 << 20

// SecretFrom gives the secret itself or, if path is set, the file's content
// without the newline at its end; any other white space belongs to the secret.
// Files are read when a connection is made, so that a changed password counts.
func SecretFrom(s Secret, path string) (Secret, error) {
	if path == "" {
		return s, nil
	}
	text, err := readSecret(path)
	if err != nil {
		return Secret{}, fmt.Errorf("secret file: %w", err)
	}
	return Secret{text}, nil
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("%s: larger than %d bytes", path, maxSecretFile)
	}
	text := strings.TrimSuffix(string(b), "\n")
	if text = strings.TrimSuffix(text, "\r"); text == "" {
		return "", errors.New(path + ": holds nothing")
	}
	return text, nil
}
