package natsconn

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// maxSecretFile bounds, in bytes, what is read from a file named by the
// configuration; a credentials file is about 1 KiB, a certificate chain a few.
const maxSecretFile = 1 << 20

// Secret is a password or a token. However it is printed, logged or marshalled
// it shows as ***, or as nothing when it is empty; only Reveal gives the value.
// It decodes from text like any string.
type Secret string

// Reveal returns the value itself, for the one place that must send it.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format writes the mask for every verb, also those that do not fit a string,
// which fmt would otherwise answer by printing the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the mask; YAML and XML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns the mask as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// readFile reads at most maxSecretFile bytes of the file at path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSecretFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxSecretFile)
	}
	return data, nil
}

// readSecret reads a secret from a file and takes off one trailing newline, the
// one that editors and echo add; any other white space belongs to the secret.
func readSecret(path string) (Secret, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	text, found := strings.CutSuffix(string(data), "\n")
	if found {
		text = strings.TrimSuffix(text, "\r")
	}
	if text == "" {
		return "", errors.New(path + ": the file is empty")
	}
	return Secret(text), nil
}
