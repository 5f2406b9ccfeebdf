package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestAcksSurviveDeath copies the directory of a running spool, as a death
// would leave it, after every acknowledgement: nothing that was acknowledged
// comes again, although the file of cursors was never written meanwhile.
func TestAcksSurviveDeath(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Max = 64 * MinSegmentSize
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustCursor(t, s, strings.Repeat("n", MaxName), Now)
	mustAppend(t, s, 0, 40, 20000)
	for seq := range uint64(40) {
		if f, err := a.Poll(); err != nil || f == nil || f.Seq != seq {
			t.Fatal(f, err)
		}
		a.Ack(seq)
		c := cfg
		c.Dir = copyDir(t, cfg.Dir)
		st, err := ReadStatus(c.Dir)
		if err != nil || st.Cursors[0].Next != seq+1 || st.Cursors[0].Lag.Records != 10*(39-seq) {
			t.Fatalf("after frame %d: %+v %v", seq, st.Cursors, err)
		}
		dead := mustOpen(t, c)
		wantSeqs(t, drain(t, mustCursor(t, dead, "a", Now), true), run(seq+1, 40))
		wantSeqs(t, drain(t, mustCursor(t, dead, strings.Repeat("n", MaxName), Now), true), run(0, 40))
		dead.Close()
	}
}

// TestAcksGoWithTheirCursor removes cursors and makes others of their names and
// in their slots: each begins where it must.
func TestAcksGoWithTheirCursor(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a, b := mustCursor(t, s, "a", Now), mustCursor(t, s, "b", Now)
	mustAppend(t, s, 0, 10, 1000)
	drain(t, a, true)
	b.Ack(99) // nothing was given
	if err := s.Remove("a"); err != nil {
		t.Fatal(err)
	}
	a.Ack(9)
	c := mustCursor(t, s, "c", Oldest) // in the slot that a had
	if c.slot != a.slot {
		t.Errorf("slot %d, expected %d", c.slot, a.slot)
	}
	again := mustCursor(t, s, "a", Oldest)
	if again.slot == c.slot || again.slot == b.slot {
		t.Error("a slot of two cursors")
	}
	dead := cfg
	dead.Dir = copyDir(t, cfg.Dir)
	d := mustOpen(t, dead)
	for _, name := range []string{"a", "b", "c"} {
		wantSeqs(t, drain(t, mustCursor(t, d, name, Now), true), run(0, 10))
	}
}

// TestAcksDamaged cuts the file, spoils each byte of a slot and takes the file
// away: the cursor then stands where the file of cursors says.
func TestAcksDamaged(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 10, 1000)
	wantSeqs(t, drain(t, a, false), run(0, 10))
	a.Ack(3)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	a.Ack(7)
	next := func(spoil func(path string)) uint64 {
		dir := copyDir(t, cfg.Dir)
		defer os.RemoveAll(dir)
		spoil(filepath.Join(dir, acksFile))
		st, err := ReadStatus(dir)
		if err != nil || st.Damaged {
			t.Fatal(st, err)
		}
		return st.Cursors[0].Next
	}
	if n := next(func(string) {}); n != 8 {
		t.Fatalf("next %d", n)
	}
	whole := mustRead(t, filepath.Join(cfg.Dir, acksFile))
	if len(whole) != MaxCursors*slotSize {
		t.Errorf("%d bytes", len(whole))
	}
	for i := range slotSize {
		if n := next(func(path string) {
			b := bytes.Clone(whole)
			b[i] ^= 0x40
			mustWrite(t, path, b)
		}); n != 4 {
			t.Errorf("byte %d: next %d", i, n)
		}
	}
	if n := next(func(path string) { mustWrite(t, path, whole[:slotSize-1]) }); n != 4 {
		t.Errorf("cut: next %d", n)
	}
	if n := next(func(path string) { os.Remove(path) }); n != 4 {
		t.Errorf("no file: next %d", n)
	}
}

// TestAcksOfFramesThatAreGone has a power failure take frames whose
// acknowledgement it leaves: what is appended then waits, all of it.
func TestAcksOfFramesThatAreGone(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 5, 1000)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	synced := mustRead(t, segmentsOf(t, cfg.Dir)[0])
	mustAppend(t, s, 5, 10, 1000)
	wantSeqs(t, drain(t, a, true), run(0, 10))
	dead := cfg
	dead.Dir = copyDir(t, cfg.Dir)
	mustWrite(t, segmentsOf(t, dead.Dir)[0], synced)
	d := mustOpen(t, dead)
	a = mustCursor(t, d, "a", Now)
	mustAppend(t, d, 10, 13, 1000)
	if lag := a.Lag(); lag.Frames != 3 || lag.Records != 30 || lag.Bytes == 0 {
		t.Errorf("lag %+v", lag)
	}
	wantSeqs(t, drain(t, a, true), run(10, 13))
	if l, lag := a.Losses(), a.Lag(); l != (Losses{}) || !lag.IsZero() {
		t.Errorf("losses %+v, lag %+v", l, lag)
	}
}

// TestAcksKeepTheirSlots starts where no file of cursors can be written: what
// one sink acknowledges then must not take another's place from it.
func TestAcksKeepTheirSlots(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	names := []string{"a", "b", "c", "d", "e"}
	var cursors []*Cursor
	for _, name := range names {
		cursors = append(cursors, mustCursor(t, s, name, Now))
	}
	mustAppend(t, s, 0, 10, 1000)
	for _, c := range cursors {
		wantSeqs(t, drain(t, c, true), run(0, 10))
	}
	for _, first := range names {
		full := cfg
		full.Dir = copyDir(t, cfg.Dir)
		obstacle := filepath.Join(full.Dir, cursorsFile+".new")
		if err := os.Mkdir(obstacle, 0o700); err != nil {
			t.Fatal(err)
		}
		mustCursor(t, mustOpen(t, full), first, Now).Ack(0)
		dead := cfg
		dead.Dir = copyDir(t, full.Dir)
		if err := os.Remove(filepath.Join(dead.Dir, cursorsFile+".new")); err != nil {
			t.Fatal(err)
		}
		d := mustOpen(t, dead)
		for _, name := range names {
			if lag := mustCursor(t, d, name, Now).Lag(); !lag.IsZero() {
				t.Errorf("%s, after %s was acknowledged: lag %+v", name, first, lag)
			}
		}
	}
}

// TestAcksCannotBeMade has a directory where the file would be: that is counted,
// and cursors are saved once a second only.
func TestAcksCannotBeMade(t *testing.T) {
	cfg := small(t.TempDir())
	if err := os.MkdirAll(filepath.Join(cfg.Dir, acksFile), 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	mustAppend(t, s, 0, 5, 100)
	wantSeqs(t, drain(t, a, true), run(0, 5))
	if st, err := s.Status(); err != nil || st.Faults.Saves != 1 || !strings.Contains(st.Faults.Last, "acks: ") {
		t.Errorf("%+v %v", st.Faults, err)
	}
	s.Close()
	wantSeqs(t, drain(t, mustCursor(t, mustOpen(t, cfg), "a", Now), true), nil)
}

// TestTold notes what a sink was told of its losses; what it was not told of is
// there after a death, for it to be told then.
func TestTold(t *testing.T) {
	cfg := small(t.TempDir())
	s := mustOpen(t, cfg)
	a := mustCursor(t, s, "a", Now)
	for seq := range uint64(100) {
		mustAppend(t, s, seq, seq+1, 20000)
	}
	lost := a.Losses().Dropped.Records
	if u := a.Untold(); lost < 100 || u != (Told{Dropped: lost}) {
		t.Fatalf("%d lost, untold %+v", lost, u)
	}
	if rest := a.Tell(Told{Dropped: 30}); !rest.IsZero() {
		t.Errorf("rest %+v", rest)
	}
	died := func() *Cursor {
		c := cfg
		c.Dir = copyDir(t, cfg.Dir)
		return mustCursor(t, mustOpen(t, c), "a", Now)
	}
	if u := died().Untold(); u != (Told{Dropped: lost - 30}) {
		t.Errorf("untold %+v of %d", u, lost)
	}
	if rest := a.Tell(Told{Dropped: lost, Refused: 5}); rest != (Told{Dropped: 30, Refused: 5}) {
		t.Errorf("rest %+v", rest)
	}
	if u := died().Untold(); !u.IsZero() {
		t.Errorf("untold %+v", u)
	}
}

// TestCursorsOfVersion1 reads what an earlier version of the file says.
func TestCursorsOfVersion1(t *testing.T) {
	b := withSum(fmt.Appendf(nil, `{"version":1,"end":{"frames":7,"records":70,"bytes":700,"counts":{"a":3},"written":9},`+
		`"cursors":{"a":{"next":3,"accounted":{"frames":3,"records":2,"bytes":1},"losses":{"dropped":{"frames":1,"records":4,"bytes":1},`+
		`"damaged":{"frames":0,"records":0,"bytes":0},"refused":{"frames":0,"records":0,"bytes":0}},"written":5}}}`+"\n"))
	s, err := decodeState(b)
	if err != nil {
		t.Fatal(err)
	}
	want := savedCursor{Next: 3, Accounted: Tally{3, 2, 1}, Losses: Losses{Dropped: Tally{1, 4, 1}}, Told: Told{Dropped: 4}, Written: 5}
	if s.Version != cursorsVersion || s.Cursors["a"] != want {
		t.Errorf("%+v", s)
	}
	if _, err := decodeState(withSum([]byte(`{"version":3,"rev":1,"end":{},"cursors":{}}` + "\n"))); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("%v", err)
	}
}

// FuzzSlot decodes what may be a slot. What is accepted encodes to the same bytes.
func FuzzSlot(f *testing.F) {
	for _, s := range []slot{{name: "a"}, {name: strings.Repeat("z", MaxName), rev: 1 << 60, cursor: savedCursor{
		Next: 3, Accounted: Tally{3, 2, 1}, Losses: Losses{Tally{1, 2, 3}, Tally{4, 5, 6}, Tally{7, 8, 9}}, Told: Told{10, 11, 12}, Written: -5}}} {
		b := appendSlot(nil, &s)
		if again, err := decodeSlot(b); err != nil || !reflect.DeepEqual(again, s) {
			f.Fatalf("%+v %v", again, err)
		}
		f.Add(b, true)
	}
	f.Add([]byte("too short"), false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) == slotSize {
			b = withSlotSum(b)
		}
		s, err := decodeSlot(b)
		if err != nil {
			return
		}
		if again := appendSlot(nil, &s); !bytes.Equal(b[:216], again[:216]) {
			t.Fatalf("%x\nencodes to\n%x", b, again)
		}
	})
}

func withSlotSum(b []byte) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli()))
	return b
}

// BenchmarkAck is what one acknowledgement costs.
func BenchmarkAck(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir(), Max: 4 * MaxSegmentSize, SegmentSize: MaxSegmentSize, Sync: SyncNone, Compress: CompressNone})
	a := mustCursor(b, s, "a", Now)
	f := frameOf(0, 100)
	for b.Loop() {
		b.StopTimer()
		if err := s.Append(f); err != nil {
			b.Fatal(err)
		}
		got, err := a.Poll()
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		a.Ack(got.Seq)
	}
}
