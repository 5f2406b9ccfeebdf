package ctnetlink

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// parseFilter reads a filter that must be right.
func parseFilter(tb testing.TB, v any) *flow.Filter {
	tb.Helper()
	f, err := flow.ParseFilter(v)
	if err != nil {
		tb.Fatalf("%v: %v", v, err)
	}
	return f
}

// judge runs a kernel filter on a datagram and tells whether it passes.
type judge func(p []byte) bool

// pair is two connected datagram sockets: a filter on the second sees what the
// first sends from its first byte on, as one on an event socket does.
func pair(tb testing.TB) (from, to int) {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		unix.Close(fds[0])
	})
	return fds[0], fds[1]
}

// classicJudge has the kernel run the classic program.
func classicJudge(tb testing.TB, k *KernelFilter) judge {
	from, to := pair(tb)
	tb.Cleanup(func() { unix.Close(to) })
	if err := k.attach(to); err != nil {
		tb.Fatal(err)
	}
	buf := make([]byte, 4096)
	return func(p []byte) bool {
		if _, err := unix.Write(from, p); err != nil {
			tb.Fatal(err)
		}
		n, err := unix.Read(to, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			tb.Fatal(err)
		}
		if err == nil && string(buf[:n]) != string(p) {
			tb.Fatalf("%d bytes came out as %d", len(p), n)
		}
		return err == nil
	}
}

// loading is a ring whose program is exchanged: making a ring takes the kernel
// much longer than loading a program.
func loading(tb testing.TB) *ring {
	needRing(tb)
	r, err := newRing(1<<20, false, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// ringJudge has the kernel run the ring's program.
func ringJudge(tb testing.TB, r *ring, k *KernelFilter) judge {
	from, to := pair(tb)
	prog, err := ebpf.NewProgram(ringProgram(r.rings, r.count.m, false, k))
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	tb.Cleanup(func() {
		prog.Close()
		unix.Close(to)
	})
	if err := unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, prog.FD()); err != nil {
		tb.Fatal(err)
	}
	refused := r.count.load(countRefused)
	return func(p []byte) bool {
		if _, err := unix.Write(from, p); err != nil {
			tb.Fatal(err)
		}
		got, err := r.next()
		now := r.count.load(countRefused)
		if err != nil || uint64(len(got))+now-refused != 1 || len(got) == 1 && string(got[0].data) != string(p) {
			tb.Fatalf("%d datagrams, %d refused: %v", len(got), now-refused, err)
		}
		refused = now
		return len(got) == 1
	}
}

// machineJudge runs the classic program in another machine than the kernel's,
// nil where the program asks what only the kernel has.
func machineJudge(tb testing.TB, k *KernelFilter) judge {
	program, ok := bpf.Disassemble(k.classic)
	if !ok {
		tb.Fatal("the program cannot be read back")
	}
	for _, ins := range program {
		if e, ok := ins.(bpf.LoadExtension); ok && e.Num != bpf.ExtLen {
			return nil
		}
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		tb.Fatal(err)
	}
	return func(p []byte) bool {
		n, err := vm.Run(p)
		if err != nil {
			tb.Fatal(err)
		}
		return n > 0
	}
}

// judges are all the ways to run a kernel filter here.
func judges(tb testing.TB, r *ring, k *KernelFilter) map[string]judge {
	all := map[string]judge{"classic": classicJudge(tb, k), "ring": ringJudge(tb, r, k)}
	if vm := machineJudge(tb, k); vm != nil {
		all["machine"] = vm
	}
	return all
}

// passes is user space's verdict: whether any event of the datagram passes the
// filter. What cannot be decoded passes nowhere.
func passes(f *flow.Filter, d *decoder, b *flow.Batch, p []byte) bool {
	b.Reset()
	if _, err := d.datagram(b, p); err != nil {
		return false
	}
	for i := range b.Events() {
		if f.Match(&b.Events()[i]) {
			return true
		}
	}
	return false
}
