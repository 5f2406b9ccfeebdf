package top

import (
	"math"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1 000", count(12345678): "12 345 678", count(math.MaxUint64): "18 446 744 073 709 551 615",
		rate(0.01): "<0.1", rate(0.26): "0.3", rate(9.94): "9.9", rate(12.5): "13", rate(123456): "123 456", rate(1e300): "1.0e+300", rate(math.NaN()): "?", rate(math.Inf(1)): "+Inf",
		size(0): "0 B", size(1023): "1023 B", size(1024): "1.0 KiB", size(8 << 20): "8.0 MiB", size(512 << 20): "512 MiB", size(1 << 30): "1.0 GiB", size(-1): "?", size(0.5): "<1 B",
		span(59 * time.Second): "59s", span(3*time.Minute + 2*time.Second): "3m2s", span(26*time.Hour + time.Minute): "1d2h", span(61 * time.Minute): "1h1m", span(-time.Second): "0s",
		headroom(0.25): "0.2s", headroom(42): "42s", headroom(4000): "over 1h", headroom(math.NaN()): "?", headroom(-3): "0.0s",
		bar(0.5, 4): "██░░", bar(0, 2): "░░", bar(7, 2): "██", bar(-1, 2): "░░",
		short("abcdef", 4): "abc…", short("日本語", 4): "日…", short("abc", 0): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
