package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinned calls f on a thread that is bound to some CPUs, and then gives the thread those
// back that it had. A process that f starts inherits the binding.
func pinned(f func() error, cpus ...int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var former, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &former); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, cpu := range cpus {
		only.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("bind to CPU %v: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &former) //nolint:errcheck // they were ours
	return f()
}

// pinSelf binds every thread of this process to some CPUs; threads to come inherit it.
func pinSelf(cpus ...int) error {
	var only unix.CPUSet
	for _, cpu := range cpus {
		only.Set(cpu)
	}
	return eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &only) })
}

// hasten gives every thread of this process, and so what it starts, the precedence of a
// nice value, among all sessions too (sched(7), the autogroup feature). The system may refuse.
func hasten(nice int) error {
	if err := eachThread(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, nice) }); err != nil {
		return err
	}
	group, err := os.ReadFile("/proc/self/autogroup")
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(group) == 0 {
		return nil // a kernel without, or no session's group but the root's, which has no nice value: ours alone counts
	}
	if err != nil {
		return err
	}
	return os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(nice)), 0)
}

// eachThread does something to every thread of this process; one that has ended is no fault.
func eachThread(do func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := do(tid); err != nil && err != unix.ESRCH {
			return fmt.Errorf("thread %d: %w", tid, err)
		}
	}
	return nil
}

// cpus are the two CPUs that are used: of the generator and of what is measured.
// On a machine with one they are the same.
func cpus() (generator, subject int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, 0, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var have []int
	for cpu := 0; len(have) < 2 && cpu < len(set)*64; cpu++ {
		if set.IsSet(cpu) {
			have = append(have, cpu)
		}
	}
	return have[0], have[len(have)-1], nil
}
