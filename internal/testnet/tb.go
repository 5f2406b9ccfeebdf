package testnet

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// TB is what this package needs of a test; *testing.T, *testing.B and *testing.F have it.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// New makes an empty network namespace for a test and closes it when the test ends.
// It skips the test where the machine refuses (see [Unavailable]). Packages whose
// tests should run without root too call [Main] in their TestMain.
func New(tb TB) *Namespace {
	tb.Helper()
	ns, err := Create()
	if errors.Is(err, unix.EPERM) {
		Unavailable(tb, "private network namespaces need root or unprivileged user namespaces: %v", err)
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := ns.Close(); err != nil {
			tb.Fatalf("close network namespace: %v", err)
		}
	})
	return ns
}

// NewNamed is New with a name under /run/netns; it skips where mounting is refused.
func NewNamed(tb TB, name string) *Namespace {
	tb.Helper()
	ns := New(tb)
	err := ns.Bind(name)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		Unavailable(tb, "named network namespaces need root: %v", err)
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return ns
}

// Unavailable skips a test for something that the machine lacks; with REQUIRE_ALL=1
// in the environment it fails the test instead.
func Unavailable(tb TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		tb.Fatalf("REQUIRE_ALL=1: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// Main runs a package's tests and returns the exit code for os.Exit: call it in
// TestMain. If the process may not make namespaces, it runs the tests in a copy of
// itself that owns a new user and network namespace; if the machine refuses that too,
// it runs them here, and [New] skips.
func Main(m interface{ Run() int }) int {
	ns, err := Create()
	if err == nil {
		ns.Close()
		return m.Run()
	}
	if os.Getenv(marker) != "" || !errors.Is(err, unix.EPERM) {
		return m.Run()
	}
	cmd, err := Reexec(context.Background(), os.Args[1:]...)
	if err != nil || cmd.Start() != nil {
		return m.Run()
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode()
	}
	if err != nil {
		return 1
	}
	return 0
}
