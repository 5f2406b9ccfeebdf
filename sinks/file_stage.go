package sinks

import (
	"unsafe"

	"github.com/ctferry/ctferry/encode"
)

// pageAlign is what the place of a direct write must be a multiple of, in the
// file, in memory and in length. Disks ask for 512 or 4096 bytes.
const pageAlign = 4096

// stage gathers framed records until they are written. It begins as far behind
// a multiple of pageAlign in memory as it will in the file, so that whole pages
// of the file are whole pages here, and a direct write needs no copy.
type stage struct {
	mem      []byte // begins on a page; its length is what it has room for
	from, to int    // what is staged
}

// newStage has room for so many bytes wherever they begin.
func newStage(room int) stage {
	size := room + pageAlign
	mem := make([]byte, size+pageAlign-1)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (pageAlign - 1)
	return stage{mem: mem[skip : skip+size : skip+size]}
}

// begin empties the stage; what is staged next stands at pos in the file.
func (s *stage) begin(pos int64) {
	s.from = int(pos & (pageAlign - 1))
	s.to = s.from
}

// size is how many bytes are staged.
func (s *stage) size() int { return s.to - s.from }

// fits reports whether n more bytes have room.
func (s *stage) fits(n int) bool { return len(s.mem)-s.to >= n }

// widen makes room for n bytes in an empty stage.
func (s *stage) widen(n int) {
	from := s.from
	*s = newStage(n)
	s.from, s.to = from, from
}

// add stages a record, for which there is room.
func (s *stage) add(framing encode.Framing, record []byte) {
	s.to = len(appendFrame(s.mem[:s.to], framing, record))
}

// bytes is what is staged.
func (s *stage) bytes() []byte { return s.mem[s.from:s.to] }

// parts is what is staged in three: up to the first page of the file, whole
// pages, and the rest.
func (s *stage) parts() (head, pages, tail []byte) {
	first := (s.from + pageAlign - 1) &^ (pageAlign - 1)
	last := s.to &^ (pageAlign - 1)
	if last <= first {
		return s.bytes(), nil, nil
	}
	return s.mem[s.from:first], s.mem[first:last], s.mem[last:s.to]
}
