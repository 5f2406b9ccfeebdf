package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The file of acknowledgements: a slot for each cursor, written in its place
// whenever one moves. That costs one write(2) and no sync, and survives the
// death of the process. The file of cursors, which is synced once a second, is
// what a power failure leaves; of the two, a cursor is where the higher
// revision says. A slot lies in one page of memory, so a death leaves it whole;
// what a power failure tears fails its CRC and is passed over.
//
//	  0  4  CRC-32C of the rest
//	  4  1  format version, 1
//	  5  1  bytes of the name, 1 to 64
//	  6  2  zero
//	  8  8  revision
//	 16  8  next
//	 24 24  accounted: frames, records, bytes
//	 48 72  losses: dropped, damaged, refused, each as accounted
//	120 24  told: records dropped, damaged, refused
//	144  8  written, ns since the epoch
//	152 64  name, the rest zero
//	216 40  zero
const (
	acksFile    = "acks"
	acksVersion = 1
	slotSize    = 256
	slotName    = 152
)

// slot is what one acknowledgement leaves.
type slot struct {
	name   string
	at     int // place in the file
	rev    uint64
	cursor savedCursor
}

// appendSlot appends a slot's bytes.
func appendSlot(dst []byte, s *slot) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, 0, 0, 0, 0, acksVersion, byte(len(s.name)), 0, 0)
	dst = le.AppendUint64(dst, s.rev)
	dst = le.AppendUint64(dst, s.cursor.Next)
	l := &s.cursor.Losses
	for _, t := range []Tally{s.cursor.Accounted, l.Dropped, l.Damaged, l.Refused} {
		dst = le.AppendUint64(le.AppendUint64(le.AppendUint64(dst, t.Frames), t.Records), t.Bytes)
	}
	for _, n := range []uint64{s.cursor.Told.Dropped, s.cursor.Told.Damaged, s.cursor.Told.Refused, uint64(s.cursor.Written)} {
		dst = le.AppendUint64(dst, n)
	}
	dst = append(dst, s.name...)
	dst = append(dst, make([]byte, start+slotSize-len(dst))...)
	le.PutUint32(dst[start:], crc32.Checksum(dst[start+4:], castagnoli()))
	return dst
}

// decodeSlot reads what appendSlot gave.
func decodeSlot(b []byte) (s slot, err error) {
	le := binary.LittleEndian
	if len(b) != slotSize || le.Uint32(b) != crc32.Checksum(b[4:], castagnoli()) {
		return s, damage("acks: CRC differs")
	}
	n := int(b[5])
	if b[4] != acksVersion || n == 0 || n > MaxName || b[6]|b[7] != 0 || strings.Trim(string(b[slotName+n:]), "\x00") != "" {
		return s, damage("acks: a slot with values that cannot be")
	}
	at := 8
	next := func() uint64 { at += 8; return le.Uint64(b[at-8:]) }
	tally := func() Tally { return Tally{next(), next(), next()} }
	s.rev, s.cursor.Next = next(), next()
	s.cursor.Accounted = tally()
	s.cursor.Losses = Losses{tally(), tally(), tally()}
	s.cursor.Told = Told{next(), next(), next()}
	s.cursor.Written = int64(next())
	s.name = string(b[slotName : slotName+n])
	return s, nil
}

// readAcks gives the newest slot of each name, and the highest revision. There
// may be no file, and slots that were never written, or torn.
func readAcks(dir string) (newest map[string]slot, highest uint64, err error) {
	f, err := os.Open(filepath.Join(dir, acksFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("acks: %w", err)
	}
	defer f.Close()
	newest = map[string]slot{}
	b := make([]byte, slotSize)
	for at := range MaxCursors {
		if _, err := io.ReadFull(f, b); err != nil {
			break // the file's end; a shorter one is of no consequence
		}
		if s, err := decodeSlot(b); err == nil && s.rev >= newest[s.name].rev {
			s.at = at
			newest[s.name], highest = s, max(highest, s.rev)
		}
	}
	return newest, highest, nil
}

// renew puts each cursor where its slot says, if that is newer than the file
// of cursors. Slots of cursors that are not in that file are of the past.
func (s *savedState) renew(newest map[string]slot) {
	for name := range s.Cursors {
		if a, ok := newest[name]; ok && a.rev > s.Rev {
			s.Cursors[name] = a.cursor
		}
	}
}

// openAcks makes the file, whole, so that writing a slot needs no room on the disk.
func openAcks(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, acksFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("acks: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < MaxCursors*slotSize {
		_, err = f.WriteAt(make([]byte, MaxCursors*slotSize-info.Size()), info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("acks: %w", err), f.Close())
	}
	return f, nil
}

// note writes a cursor's slot. An error is counted; the file of cursors has
// the same a second later.
func (c *Cursor) note() {
	s := c.s
	s.noting.Lock()
	defer s.noting.Unlock()
	s.mu.Lock()
	if c.removed || s.gone || s.acks == nil {
		s.mu.Unlock()
		return
	}
	s.rev++
	a := slot{name: c.name, rev: s.rev, cursor: c.saved()}
	at, file := int64(c.slot)*slotSize, s.acks
	s.mu.Unlock()
	s.slot = appendSlot(s.slot[:0], &a)
	if _, err := file.WriteAt(s.slot, at); err != nil {
		s.fault(&s.faults.Saves, fmt.Errorf("acks: %w", err))
	}
}

// freeSlot finds a slot that no cursor has; mu is held.
func (s *Spool) freeSlot() int {
	var used [MaxCursors]bool
	for _, c := range s.cursors {
		used[c.slot] = true
	}
	for i, u := range used {
		if !u {
			return i
		}
	}
	return 0 // never: there are no more cursors than slots
}
