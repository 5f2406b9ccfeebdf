package main

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// trim gives back the memory that only the start needed: the heap's, and the pages of the
// program itself. Whole neighbourhoods of those were mapped when one was touched, some 18
// MiB, of which the work needs less than 5; what it touches comes from the page cache.
func trim() {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, m := range unwritten(maps, program) {
		// It is advice, so no error matters. unix.Madvise wants a slice, which no part of the program is.
		unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) //nolint:errcheck
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unwritten finds the mappings of a file of which no page is the process's own, by
// proc_pid_smaps(5): a page that can be written, or into which a debugger or a probe
// wrote its breakpoint, would be lost.
func unwritten(smaps io.Reader, file string) (found []mapping) {
	var last *mapping // nil: of something else
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) >= 6 && !strings.HasSuffix(f[0], ":") {
			last = nil
			from, to, _ := strings.Cut(f[0], "-")
			a, errA := strconv.ParseUint(from, 16, 64)
			b, errB := strconv.ParseUint(to, 16, 64)
			if errA == nil && errB == nil && strings.Join(f[5:], " ") == file && !strings.Contains(f[1], "w") {
				found = append(found, mapping{uintptr(a), uintptr(b)})
				last = &found[len(found)-1]
			}
		}
		if last != nil && len(f) == 3 && (f[0] == "Anonymous:" || f[0] == "Swap:") && f[1] != "0" {
			found, last = found[:len(found)-1], nil
		}
	}
	return found
}
