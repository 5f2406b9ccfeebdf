package encode

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// sizes of records around the edges of a varint, of the reader's first buffer and of its bound.
func framedRecords() [][]byte {
	var list [][]byte
	for _, size := range []int{1, 127, 128, 16383, 16384, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3, MaxRecord} {
		list = append(list, bytes.Repeat([]byte{'x'}, size))
	}
	return list
}

func framed(f Framing, records [][]byte) []byte {
	var file []byte
	for _, r := range records {
		file = AppendFramed(file, f, r)
	}
	return file
}

func TestRecordsComeBackFromAFile(t *testing.T) {
	records := framedRecords()
	for _, f := range []Framing{Lines, Delimited} {
		file := framed(f, records)
		for name, reader := range map[string]io.Reader{
			"plain": bytes.NewReader(file), "half": iotest.HalfReader(bytes.NewReader(file)), "data with EOF": iotest.DataErrReader(bytes.NewReader(file)),
		} {
			r := Records(reader, f)
			for i, want := range records {
				got, err := r.Next()
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("framing %d, %s, record %d: %d bytes, %v; want %d bytes", f, name, i, len(got), err, len(want))
				}
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("framing %d, %s: %v, want EOF", f, name, err)
			}
			if r.Offset() != int64(len(file)) {
				t.Errorf("framing %d, %s: offset %d, want %d", f, name, r.Offset(), len(file))
			}
		}
	}
}

// growing is a file that a writer still appends to.
type growing struct{ data []byte }

func (g *growing) Read(p []byte) (int, error) {
	if len(g.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, g.data)
	g.data = g.data[n:]
	return n, nil
}

// TestATornTailIsToldAndResumed cuts a file at every byte.
func TestATornTailIsToldAndResumed(t *testing.T) {
	first, second := bytes.Repeat([]byte{'a'}, 200), bytes.Repeat([]byte{'b'}, 300)
	for _, f := range []Framing{Lines, Delimited} {
		file := framed(f, [][]byte{first, second})
		edge := len(AppendFramed(nil, f, first))
		for cut := range len(file) {
			g := &growing{data: file[:cut]}
			r := Records(g, f)
			whole := 0
			var err error
			for err == nil {
				if _, err = r.Next(); err == nil {
					whole++
				}
			}
			start := 0
			if cut >= edge {
				start = edge
			}
			var torn *TornError
			switch {
			case cut == start:
				if err != io.EOF {
					t.Fatalf("framing %d, cut at %d: %v, want EOF", f, cut, err)
				}
			case !errors.As(err, &torn) || torn.Offset != int64(start) || torn.Bytes != cut-start:
				t.Fatalf("framing %d, cut at %d: %v, want a record torn at %d", f, cut, err, start)
			}
			g.data = file[cut:]
			for range 2 - whole {
				if _, err := r.Next(); err != nil {
					t.Fatalf("framing %d, cut at %d: resumed: %v", f, cut, err)
				}
			}
			if _, err := r.Next(); err != io.EOF {
				t.Fatalf("framing %d, cut at %d: %v, want EOF", f, cut, err)
			}
		}
	}
}

func TestRecordsNameTheOffsetOfAFault(t *testing.T) {
	failing := errors.New("disk on fire")
	for _, c := range []struct {
		name string
		f    Framing
		in   io.Reader
		want string
	}{
		{"long line", Lines, strings.NewReader("ab\n" + strings.Repeat("x", MaxRecord+1)), "offset 3: the line is longer than 4194304 bytes"},
		{"long ended line", Lines, strings.NewReader("ab\n" + strings.Repeat("x", MaxRecord+1) + "\n"), "offset 3: the line is longer than 4194304 bytes"},
		{"long record", Delimited, bytes.NewReader([]byte{1, 'a', 0x81, 0x80, 0x80, 2, 'x'}), "offset 2: the record has 4194305 bytes, at most 4194304 are read"},
		{"no varint", Delimited, strings.NewReader(strings.Repeat("\xff", 20)), "offset 0: the length is no varint"},
		{"reader", Lines, io.MultiReader(strings.NewReader("ab\ncd"), iotest.ErrReader(failing)), "offset 3: disk on fire"},
		{"empty reader", Delimited, lazy{}, "offset 0: multiple Read calls return no data or error"},
	} {
		r := Records(c.in, c.f)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestEmptyLinesArePassedOver(t *testing.T) {
	r := Records(strings.NewReader("\n\r\na\r\n\nb\n"), Lines)
	for _, want := range []string{"a", "b"} {
		if got, err := r.Next(); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func TestGroupsComeApartAgain(t *testing.T) {
	for _, list := range [][][]byte{nil, {[]byte("a")}, {[]byte("a"), bytes.Repeat([]byte("b"), 300), []byte("c")}} {
		for _, f := range []Framing{Lines, Delimited} {
			message := AppendGroup([]byte("before"), f, slices.Values(list))
			var got [][]byte
			for record, err := range SplitGroup(f, bytes.TrimPrefix(message, []byte("before"))) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, record)
			}
			if !slices.EqualFunc(got, list, bytes.Equal) {
				t.Errorf("framing %d: got %q, want %q", f, got, list)
			}
			for range SplitGroup(f, bytes.TrimPrefix(message, []byte("before"))) {
				break // a reader may stop early
			}
		}
	}
}

func TestGroupOfProtobufIsARecordBatch(t *testing.T) {
	record := recordDescriptor(t)
	batch := record.ParentFile().Messages().ByName("RecordBatch")
	enc := Formats()["protobuf"].NewEncoder(Projection{})
	var list [][]byte
	for _, s := range corpus() {
		list = append(list, enc.Append(nil, oneOf(t, s.name)))
	}
	m := dynamicpb.NewMessage(batch)
	if err := proto.Unmarshal(AppendGroup(nil, Delimited, slices.Values(list)), m); err != nil {
		t.Fatal(err)
	}
	records := m.Get(batch.Fields().ByName("records")).List()
	if records.Len() != len(list) {
		t.Fatalf("%d records, want %d", records.Len(), len(list))
	}
	for i, want := range list {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(records.Get(i).Message().Interface())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("record %d: %x, %v, want %x", i, got, err, want)
		}
	}
}

func TestSplitGroupErrors(t *testing.T) {
	for in, want := range map[string]string{
		"\x0a\x01a\x12\x01b": "record batch: offset 3: tag is 0x12, want 0xa",
		"\x0a\x01a\x0a\x05b": "record batch: offset 3: the record has 5 bytes and 1 are left",
		"\x0a":               "record batch: offset 0: the length is no varint",
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": "record batch: offset 0: the record has 18446744073709551615 bytes and 0 are left",
	} {
		var err error
		for _, err = range SplitGroup(Delimited, []byte(in)) {
		}
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}
