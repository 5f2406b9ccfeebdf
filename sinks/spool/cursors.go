package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The file of cursors: one line of JSON, then its CRC-32C as eight hexadecimal
// digits. It is replaced whole, so a crash leaves the old one or the new one.
const (
	cursorsFile    = "cursors"
	cursorsVersion = 2       // 1 had no revision, and nothing of what was told
	maxCursorsFile = 1 << 20 // bytes
)

// savedState is the file's content.
type savedState struct {
	Version int                    `json:"version"`
	Rev     uint64                 `json:"rev"` // see acks.go
	End     totals                 `json:"end"` // what had been appended when this was written
	Cursors map[string]savedCursor `json:"cursors"`
}

// savedCursor is where a sink stands. Every frame below Next has been
// acknowledged or counted as lost. Accounted is how much that is; it is more
// than stands below Next when the cap dropped frames behind some that were
// read and not acknowledged yet.
type savedCursor struct {
	Next      uint64 `json:"next"`
	Accounted Tally  `json:"accounted"`
	Losses    Losses `json:"losses"`
	Told      Told   `json:"told"`
	Written   int64  `json:"written"` // of the last frame that was acknowledged, ns since the epoch
}

// encodeState gives the file's bytes.
func encodeState(s *savedState) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	body = append(body, '\n')
	return fmt.Appendf(body, "%08x\n", crc32.Checksum(body, castagnoli())), nil
}

// decodeState reads what encodeState gave.
func decodeState(b []byte) (*savedState, error) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		return nil, damage("cursors: cut short")
	}
	if string(b[end:]) != fmt.Sprintf("%08x\n", crc32.Checksum(b[:end], castagnoli())) {
		return nil, damage("cursors: CRC differs")
	}
	var s savedState
	dec := json.NewDecoder(bytes.NewReader(b[:end]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	if s.Version == 1 {
		s.Version = cursorsVersion
		for name, c := range s.Cursors {
			c.Told = c.Losses.records() // nobody knows; twice would be wrong
			s.Cursors[name] = c
		}
	}
	return &s, s.check()
}

func (s *savedState) check() error {
	if s.Version != cursorsVersion {
		return fmt.Errorf("cursors: version %d: this program reads up to %d", s.Version, cursorsVersion)
	}
	if len(s.Cursors) > MaxCursors || len(s.End.Counts) > MaxCursors {
		return damage("cursors: more than there can be")
	}
	for name := range s.Cursors {
		if err := checkName(name); err != nil {
			return fmt.Errorf("cursors: %w", err)
		}
	}
	return nil
}

// readState reads the file. A spool that is new has none: then both are nil.
func readState(dir string) (*savedState, error) {
	f, err := os.Open(filepath.Join(dir, cursorsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCursorsFile))
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	return decodeState(b)
}

// writeState replaces the file: when it returns nil, the new one survives a
// power failure.
func writeState(dir string, s *savedState) error {
	b, err := encodeState(s)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, cursorsFile)
	if err := writeSynced(path+".new", b); err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	return syncDir(dir)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
