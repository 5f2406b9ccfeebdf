package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/source"
)

// bootIDFile names the boot: 32 hex digits in the form of a UUID.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// newIdentity is who this process is in its records.
func newIdentity(cfg *configs.Config) (source.Identity, error) {
	id := source.Identity{Node: cfg.Node, Meta: cfg.Meta, Version: version}
	rand.Read(id.Run[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	text, err := os.ReadFile(bootIDFile)
	if err != nil {
		return id, fmt.Errorf("boot id: %w", err)
	}
	digits := strings.ReplaceAll(strings.TrimSpace(string(text)), "-", "")
	if n, err := hex.Decode(id.BootID[:], []byte(digits)); err != nil || n != len(id.BootID) {
		return id, fmt.Errorf("boot id: %s holds %q: expected a UUID", bootIDFile, text)
	}
	return id, nil
}
