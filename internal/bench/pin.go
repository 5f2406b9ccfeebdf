package main

import (
	"fmt"
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
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var only unix.CPUSet
	for _, cpu := range cpus {
		only.Set(cpu)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &only); err != nil && err != unix.ESRCH {
			return fmt.Errorf("bind thread %d to CPU %v: %w", tid, cpus, err)
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
