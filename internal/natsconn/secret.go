package natsconn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// maxSecretFile bounds, in bytes, what is read from a file named by the
// configuration; a credentials file is about 1 KiB, a certificate chain a few.
const maxSecretFile = 1 << 20

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
func readSecret(path string) (option.Secret, error) {
	data, err := readFile(path)
	if err != nil {
		return option.Secret{}, err
	}
	text, found := strings.CutSuffix(string(data), "\n")
	if found {
		text = strings.TrimSuffix(text, "\r")
	}
	if text == "" {
		return option.Secret{}, errors.New(path + ": the file is empty")
	}
	return option.NewSecret(text), nil
}
