package sinks

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/encode"
	"golang.org/x/sys/unix"
)

func stdoutTo(t testing.TB, f *os.File, encoding string) *stdoutSink {
	t.Helper()
	s := &stdoutSink{env: Env{Format: encode.Formats()[encoding]}, fd: int(f.Fd())}
	must(t, s.Open(context.Background()))
	t.Cleanup(func() { must(t, s.Close(context.Background())) })
	return s
}

func TestStdoutFrames(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		r, w, err := os.Pipe()
		must(t, err)
		s := stdoutTo(t, w, encoding)
		must(t, s.Write(context.Background(), batchFrom(1, 3)))
		must(t, s.Write(context.Background(), batchFrom(4, 4)))
		must(t, w.Close())
		must(t, s.Close(context.Background()))
		data, err := io.ReadAll(r)
		must(t, err)
		if got := seqsOf(t, "pipe", s.env.Format.Framing, data); !slices.Equal(got, upTo(4)) {
			t.Errorf("%s: %v", encoding, got)
		}
	}
}

// TestStdoutShortWrite fills a pipe that does not wait: what did not fit comes
// later, and no record is cut or doubled.
func TestStdoutShortWrite(t *testing.T) {
	for _, encoding := range []string{"json", "protobuf"} {
		var fds [2]int
		must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
		w, r := os.NewFile(uintptr(fds[1]), "w"), os.NewFile(uintptr(fds[0]), "r")
		s := stdoutTo(t, w, encoding)
		// A deadline cuts the write short at whatever byte the pipe's room ends.
		must(t, s.Close(context.Background()))
		must(t, unix.SetNonblock(fds[1], true))
		must(t, s.Open(context.Background()))
		go func() { // once the pipe is full
			for full := 0; full < 60<<10; time.Sleep(time.Millisecond) {
				full, _ = unix.IoctlGetInt(fds[0], unix.TIOCINQ)
			}
			_ = s.file.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		}()
		b := batchFrom(1, 20_000)
		if err := s.Write(context.Background(), b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%v", err)
		}
		var rest Batch
		for i, rec := range b.Records {
			if !b.done[i] {
				rest.Records = append(rest.Records, rec)
			}
		}
		if len(rest.Records) == 0 || len(rest.Records) == len(b.Records) || s.cut == 0 {
			t.Fatalf("%d of %d records left, %d bytes of the next are out", len(rest.Records), len(b.Records), s.cut)
		}
		must(t, s.file.SetWriteDeadline(time.Time{}))
		all := make(chan []byte)
		go func() {
			data, _ := io.ReadAll(r)
			all <- data
		}()
		must(t, s.Write(context.Background(), &rest))
		must(t, s.Close(context.Background()))
		must(t, w.Close())
		if got := seqsOf(t, "pipe", s.env.Format.Framing, <-all); !slices.Equal(got, upTo(20_000)) {
			t.Errorf("%s: %d records came out", encoding, len(got))
		}
		must(t, r.Close())
	}
}

// TestStdoutReaderGone runs this test binary as a child whose standard output
// is closed by its reader: it must end by itself, telling why, and not by SIGPIPE.
func TestStdoutReaderGone(t *testing.T) {
	if os.Getenv("STDOUT_CHILD") == "1" {
		sink, err := NewStdoutOptions().New(Env{Format: encode.Formats()["json"]})
		must(t, err)
		o := outletFor(t, "out", sink, nil)
		offerUpTo(o, 1)
		ended := make(chan error, 1)
		go func() { ended <- o.Run(context.Background()) }()
		for seq := uint64(2); ; seq++ {
			select {
			case err := <-ended:
				if b := o.Books(); errors.Is(err, ErrReaderGone) && b.Balanced() && b.Held == 0 {
					os.Exit(42)
				}
				os.Exit(43)
			case <-time.After(time.Millisecond):
				o.Offer(recordNo(seq))
			}
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStdoutReaderGone$")
	cmd.Env = append(os.Environ(), "STDOUT_CHILD=1")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, 10)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "{\"seq\":1}\n" {
		t.Errorf("read %q, %v", line, err)
	}
	must(t, out.Close())
	guard := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer guard.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("the child ended with %v, expected 42", err)
	}
}

func TestStdoutClosed(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	fd := int(w.Fd())
	must(t, w.Close())
	s := &stdoutSink{fd: fd}
	if class, _ := judge(s.Open(context.Background())); class != Configuration {
		t.Errorf("class %v", class)
	}
}
