package sinks

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"

	"github.com/ctferry/ctferry/encode"
)

// maxTorn bounds what heal cuts off. One record is never nearly that long, so
// a longer rest was no record of ours.
const maxTorn = 1 << 20

// errForeign says that a file is not what this program writes. It is set
// aside, never cut.
var errForeign = errors.New("its end is no record")

// appendFrame appends a record to dst as it stands in a file.
func appendFrame(dst []byte, framing encode.Framing, record []byte) []byte {
	if framing == encode.Delimited {
		dst = binary.AppendUvarint(dst, uint64(len(record)))
		return append(dst, record...)
	}
	dst = append(dst, record...)
	return append(dst, '\n')
}

// heal cuts a record off that a crash left unfinished at the end of f, and
// tells the size then. A torn record was never acknowledged as durable and no
// reader can use it; finishing the line instead would leave a line that is no
// record. It gives errForeign, and changes nothing, for a file whose end cannot
// be understood.
func heal(f *os.File, framing encode.Framing) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size()
	whole := size
	if framing == encode.Delimited {
		whole, err = wholeFrames(io.NewSectionReader(f, 0, size), size)
	} else {
		whole, err = wholeLines(f, size)
	}
	if err != nil {
		return 0, err
	}
	if whole == size {
		return size, nil
	}
	if size-whole > maxTorn {
		return 0, errForeign
	}
	if err := f.Truncate(whole); err != nil {
		return 0, fmt.Errorf("cut off a torn record: %w", err)
	}
	return whole, nil
}

// wholeLines tells where the last complete line ends.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end := size; end > 0 && size-end <= maxTorn; {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// wholeFrames tells where the last complete frame ends. Frames can only be
// found from the start.
func wholeFrames(r io.Reader, size int64) (int64, error) {
	br := bufio.NewReaderSize(r, 256<<10)
	for whole := int64(0); ; {
		n, err := binary.ReadUvarint(br)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return whole, nil
		}
		// No record is empty: a length of 0 is a hole that a crash of the whole machine left.
		if err != nil || n == 0 || n > maxTorn {
			return 0, errForeign
		}
		next := whole + int64(uvarintLen(n)+int(n))
		if next > size {
			return whole, nil
		}
		if _, err := br.Discard(int(n)); err != nil {
			return 0, err
		}
		whole = next
	}
}

func uvarintLen(n uint64) int {
	return (bits.Len64(n|1) + 6) / 7
}
