package sinks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"golang.org/x/sys/unix"
)

// split reads a file's records back, and what is left behind the last.
func split(framing encode.Framing, data []byte) (records [][]byte, rest []byte) {
	for len(data) > 0 {
		if framing == encode.Lines {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				return records, data
			}
			records, data = append(records, data[:i]), data[i+1:]
			continue
		}
		n, k := binary.Uvarint(data)
		if k <= 0 || uint64(len(data)-k) < n {
			return records, data
		}
		records, data = append(records, data[k:k+int(n)]), data[k+int(n):]
	}
	return records, nil
}

func samples() [][]byte {
	return [][]byte{[]byte(`{"a":1}`), bytes.Repeat([]byte("x"), 127), bytes.Repeat([]byte("y"), 128), []byte("z"), bytes.Repeat([]byte("w"), 300)}
}

// healed puts data into a file, heals it and tells what is left.
func healed(t testing.TB, framing encode.Framing, data []byte) ([]byte, error) {
	t.Helper()
	fd, err := unix.MemfdCreate("heal", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "heal")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	size, err := heal(f, framing)
	left, readErr := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err == nil && size != int64(len(left)) {
		t.Errorf("heal says %d bytes, the file has %d", size, len(left))
	}
	return left, err
}

// TestHealAtEveryByte cuts a file at every byte: what is whole stays, the rest goes.
func TestHealAtEveryByte(t *testing.T) {
	for _, framing := range []encode.Framing{encode.Lines, encode.Delimited} {
		var whole []byte
		for _, s := range samples() {
			whole = appendFrame(whole, framing, s)
		}
		for cut := range len(whole) + 1 {
			want, _ := split(framing, whole[:cut])
			left, err := healed(t, framing, whole[:cut])
			got, rest := split(framing, left)
			if err != nil || len(rest) != 0 || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("framing %d cut at %d of %d: %v, %d records, expected %d, rest %q", framing, cut, len(whole), err, len(got), len(want), rest)
			}
		}
	}
}

// TestHealLeavesWhatIsForeign: a file that is not ours is not cut.
func TestHealLeavesWhatIsForeign(t *testing.T) {
	long := bytes.Repeat([]byte{'a'}, maxTorn+2)
	tests := []struct {
		name    string
		framing encode.Framing
		data    []byte
		err     error
	}{
		{"one endless line", encode.Lines, long, errForeign},
		{"an endless line behind a good one", encode.Lines, append([]byte("{}\n"), long...), errForeign},
		{"zeros in place of a length", encode.Delimited, []byte{1, 'a', 0, 0, 0}, errForeign},
		{"a length that no record has", encode.Delimited, []byte{1, 'a', 0xff, 0xff, 0xff, 0x7f}, errForeign},
		{"a length of more than 64 bits", encode.Delimited, bytes.Repeat([]byte{0xff}, 12), errForeign},
		{"zeros behind the last line", encode.Lines, []byte("{}\n\x00\x00"), nil},
		{"empty", encode.Delimited, nil, nil},
	}
	for _, tt := range tests {
		left, err := healed(t, tt.framing, tt.data)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, expected %v", tt.name, err, tt.err)
		}
		if err != nil && !bytes.Equal(left, tt.data) {
			t.Errorf("%s: the file was changed", tt.name)
		}
	}
}

// FuzzHeal: whatever stood in the file, what heal leaves reads as whole records,
// is how the file began, and is left alone the second time.
func FuzzHeal(f *testing.F) {
	f.Add(true, []byte("{}\n{\"a\""))
	f.Add(false, []byte{3, 1, 2, 3, 200, 1, 5})
	f.Fuzz(func(t *testing.T, lines bool, data []byte) {
		framing := encode.Delimited
		if lines {
			framing = encode.Lines
		}
		left, err := healed(t, framing, data)
		if err != nil {
			if !errors.Is(err, errForeign) || !bytes.Equal(left, data) {
				t.Fatalf("%v", err)
			}
			return
		}
		if _, rest := split(framing, left); len(rest) != 0 || !bytes.HasPrefix(data, left) {
			t.Fatalf("%q became %q", data, left)
		}
		if again, err := healed(t, framing, left); err != nil || !bytes.Equal(again, left) {
			t.Fatalf("healing %q again gave %q, %v", left, again, err)
		}
	})
}
