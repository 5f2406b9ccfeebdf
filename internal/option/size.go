package option

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. People write it 512, 64KiB, 10GiB or 1MB.
type Size uint64

// The binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// unit is one suffix; longer ones stand first so that B does not hide KiB.
type unit struct {
	suffix string
	bytes  Size
}

func units() []unit {
	return []unit{
		{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
	}
}

// UnmarshalText reads a size. A bare number is bytes.
func (s *Size) UnmarshalText(text []byte) error {
	digits, factor := strings.TrimSpace(string(text)), Size(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a size: expected a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB", text)
	}
	if n > math.MaxInt64/uint64(factor) {
		return fmt.Errorf("%q is too large a size", text)
	}
	*s = Size(n) * factor
	return nil
}

// String writes the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range units()[:4] {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatUint(uint64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatUint(uint64(s), 10) + "B"
}

// MarshalText is the inverse of UnmarshalText.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
