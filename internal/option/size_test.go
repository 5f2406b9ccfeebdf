package option

import (
	"testing"
	"testing/quick"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "512": 512, "512B": 512, "1KiB": KiB, "64MiB": 64 * MiB, " 64 MiB ": 64 * MiB, "10GiB": 10 * GiB, "2TiB": 2 * TiB,
		"1kB": 1000, "1KB": 1000, "3MB": 3_000_000, "1GB": 1_000_000_000, "1TB": 1_000_000_000_000,
		"9223372036854775807": 1<<63 - 1, "8388607TiB": 8388607 * TiB,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "1 MiB 2", "64mib", "64 apples", "0x10", "1_000", "8388608TiB", "99999999999999999999", "9223372036854775808", "+1"} {
		s := Size(7)
		if err := s.UnmarshalText([]byte(text)); err == nil || s != 7 {
			t.Errorf("%q: accepted as %d", text, s)
		}
	}
}

func TestSizeString(t *testing.T) {
	for s, want := range map[Size]string{0: "0B", 1: "1B", 1023: "1023B", KiB: "1KiB", 1025: "1025B", 1536 * KiB: "1536KiB", 900 * KiB: "900KiB", 3 * TiB: "3TiB", 1_000_000: "1000000B"} {
		if got := s.String(); got != want {
			t.Errorf("%d: %s, want %s", s, got, want)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	f := func(n uint64, shift uint8) bool {
		s := Size(n >> 1 >> (shift % 63) << (shift % 40) &^ (1 << 63))
		text, err := s.MarshalText()
		if err != nil {
			return false
		}
		var back Size
		return back.UnmarshalText(text) == nil && back == s
	}
	if err := quick.Check(f, nil); err != nil {
		t.Error(err)
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"", "64MiB", "1B", " 2 KiB", "99999999999TiB", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, back Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("%q is %d, which prints %s, which is %d, %v", text, s, s, back, err)
		}
	})
}
