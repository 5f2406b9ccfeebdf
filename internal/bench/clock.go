package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processClock is the id of the clock that counts the CPU time of all threads of a
// process, those that have ended too: MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED of
// the kernel's include/linux/posix-timers.h, which is what clock_getcpuclockid(3) gives.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// cpuOf is the CPU time that a process has used.
func cpuOf(pid int) (time.Duration, error) { return clockTime(processClock(pid)) }

// cpuOfThread is the CPU time that the calling thread has used.
func cpuOfThread() (time.Duration, error) { return clockTime(unix.CLOCK_THREAD_CPUTIME_ID) }

func clockTime(id int32) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, fmt.Errorf("clock_gettime: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
