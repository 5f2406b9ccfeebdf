package encode

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds the bytes of every format to files, one a format with the
// whole corpus in it: what is published there must not change by accident.
func TestGolden(t *testing.T) {
	withID, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range Formats() {
		t.Run(name, func(t *testing.T) {
			var got []byte
			enc := format.NewEncoder(withID)
			for _, s := range corpus() {
				got = AppendFramed(got, format.Framing, enc.Append(nil, oneOf(t, s.name)))
			}
			file := filepath.Join("testdata", "corpus"+format.Extension)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compareRecords(t, format, got, want)
		})
	}
}

// TestNothingUnguardedIsRead compares a slot that holds an earlier event's
// values with a fresh one.
func TestNothingUnguardedIsRead(t *testing.T) {
	withID, err := NewProjection(nil, nil, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range Formats() {
		enc := format.NewEncoder(withID)
		for _, s := range corpus() {
			fresh := enc.Append(nil, newEvent(flow.NewBatch(1), s.fill))
			if reused := enc.Append(nil, oneOf(t, s.name)); !bytes.Equal(fresh, reused) {
				t.Errorf("%s: %s\n fresh %q\nreused %q", name, s.name, fresh, reused)
			}
		}
		// A slot that holds values and no bits has nothing to tell.
		b := flow.NewBatch(1)
		soil(b)
		empty := newEvent(b, func(*flow.Batch, *flow.Event) {})
		bare := newEvent(flow.NewBatch(1), func(*flow.Batch, *flow.Event) {})
		if a, b := enc.Append(nil, empty), enc.Append(nil, bare); !bytes.Equal(a, b) {
			t.Errorf("%s: got %q, want %q", name, a, b)
		}
	}
}

// compareRecords names the records that differ.
func compareRecords(t *testing.T, format Format, got, want []byte) {
	t.Helper()
	g, w := Records(bytes.NewReader(got), format.Framing), Records(bytes.NewReader(want), format.Framing)
	for _, s := range corpus() {
		a, errA := g.Next()
		b, errB := w.Next()
		if errA != nil || errB != nil {
			t.Fatalf("%s: %v, %v", s.name, errA, errB)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s\n got %q\nwant %q", s.name, a, b)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("the files differ")
	}
}

// TestGoldenFilesAreRead decodes the files as a later version will.
func TestGoldenFilesAreRead(t *testing.T) {
	for name, format := range Formats() {
		file, err := os.Open(filepath.Join("testdata", "corpus"+format.Extension))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		b := flow.NewBatch(len(corpus()))
		soil(b)
		dec, records := format.NewDecoder(), Records(file, format.Framing)
		for _, s := range corpus() {
			record, err := records.Next()
			if err != nil {
				t.Fatal(err)
			}
			if err := dec.Decode(b, record); err != nil {
				t.Errorf("%s: %s: %v", name, s.name, err)
			}
		}
		events := b.Events()
		if events[0].Origin != events[1].Origin {
			t.Errorf("%s: one origin was read as two", name)
		}
		if dump := events[19].Dump; dump == nil || dump.ID != 0xfedcba9876543210 {
			t.Errorf("%s: the dump's row has %v", name, dump)
		}
	}
}
