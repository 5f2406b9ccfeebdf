package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const smapsOfAProgram = `00400000-011f2000 r-xp 00000000 fe:00 1311 /opt/the program
Size:              14280 kB
Rss:                9096 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
011f2000-01fdc000 r--p 00df2000 fe:00 1311 /opt/the program
Rss:                9640 kB
Anonymous:             0 kB
01fdc000-020d4000 rw-p 01bdc000 fe:00 1311 /opt/the program
Rss:                 480 kB
Anonymous:             0 kB
020d4000-020d8000 r--p 01bdc000 fe:00 1311 /opt/the program
Rss:                   8 kB
Anonymous:             4 kB
020d8000-02103000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7efff0000000-7efff0004000 r--p 01bdc000 fe:00 1311 /opt/the program
Rss:                   8 kB
Anonymous:             0 kB
Swap:                  4 kB
SwapPss:               4 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 1312 /opt/the
Anonymous:             0 kB
`

// TestUnwritten has mappings that can be written, that somebody wrote into, and that are
// of something else: none of them may be given back.
func TestUnwritten(t *testing.T) {
	want := []mapping{{0x400000, 0x11f2000}, {0x11f2000, 0x1fdc000}}
	if got := unwritten(strings.NewReader(smapsOfAProgram), "/opt/the program"); !slices.Equal(got, want) {
		t.Errorf("%x, expected %x", got, want)
	}
	if got := unwritten(strings.NewReader("\n- -\nAnonymous: 3 kB\nzz-1 r--p 0 0 0 /p\n"), "/p"); len(got) > 0 {
		t.Errorf("%x of no mapping", got)
	}
}

// TestTrim gives this program's own pages back, and goes on.
func TestTrim(t *testing.T) {
	touched := touch(t)
	before := ofProgram(t)
	trim()
	after := ofProgram(t)
	if before == 0 || after > before*3/4 {
		t.Errorf("%d KiB of the program are resident, %d before", after, before)
	}
	if again := touch(t); again != touched {
		t.Errorf("the program reads %x, read %x before", again, touched)
	}
}

// touch reads all that could be given back, as its own memory has it.
func touch(t *testing.T) (sum uint64) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for _, m := range unwritten(strings.NewReader(string(smaps)), program) {
		b := make([]byte, m.to-m.from)
		n, err := mem.ReadAt(b, int64(m.from))
		if err != nil && n == 0 {
			t.Fatal(err)
		}
		for i, v := range b[:n] {
			sum = sum*31 + uint64(i)*uint64(v)
		}
	}
	if sum == 0 {
		t.Fatal("nothing of the program is found")
	}
	return sum
}

// ofProgram is how much of the program is mapped with pages, in KiB.
func ofProgram(t *testing.T) (kib int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			for _, c := range strings.TrimSpace(rest) {
				if c < '0' || c > '9' {
					break
				}
				kib = kib*10 + int(c-'0')
			}
		}
	}
	return kib
}
