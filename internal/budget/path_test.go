package budget

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

// linger is how long a batch waits to become full: longer than by default, so that
// batches are full, and their number follows from what is in them.
const linger = 200 * time.Millisecond

// path is the whole way of an event in this process: socket, decoder, source, fanout,
// encoder, queue, file.
type path struct {
	tb   testing.TB
	ns   *testnet.Namespace
	file string
	run  func(context.Context) error // the source's
	out  *sinks.Outlet
	full sinks.Flush // when a batch is full
	fd   int         // of the file, to ask for its size without allocating
	made int         // events so far
}

// newPath builds the path with one file sink. The event socket is open, and nothing is read
// before start: until then events queue in the kernel, so that the reader later finds
// batches that are full whatever the machine does.
func newPath(tb testing.TB, receive, encoding string) *path {
	tb.Helper()
	if os.Getuid() != 0 || testnet.Reexecuted() {
		testnet.Unavailable(tb, "a receive buffer of 64 MiB and the ring need root")
	}
	p := &path{tb: tb, ns: testnet.New(tb), file: filepath.Join(tb.TempDir(), "out"), fd: -1}
	p.must(errors.Join(p.ns.Up(), p.ns.Record()))
	cfg, err := sinks.NewConfig("out", "file")
	p.must(err)
	cfg.Encoding, cfg.Memory = encoding, 64*option.MiB
	cfg.Flush.Linger = linger
	options := cfg.Options.(*sinks.FileOptions)
	p.full = cfg.Flush
	options.Path, options.Rotate.Size = p.file, 0
	p.must(cfg.Validate())
	log := slog.New(slog.DiscardHandler)
	p.out, err = sinks.NewOutlet(cfg, "edge-1", [16]byte{1}, log)
	p.must(err)
	from := source.Default()
	from.Receive, from.Buffer, from.Max = receive, 128*option.MiB, 128*option.MiB
	p.must(from.Validate())
	src, err := source.NewIn(p.ns.Path(), from, source.Identity{Node: "edge-1", BootID: [16]byte{2}, Run: [16]byte{1}, Version: "1"},
		cfg.Types(), sinks.NewFanout(p.out), log)
	p.must(err)
	p.run = src.Run
	return p
}

func (p *path) must(err error) {
	p.tb.Helper()
	if err != nil {
		p.tb.Fatal(err)
	}
}

// start lets everything run until the test ends.
func (p *path) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- p.run(ctx) }()
	go func() { ended <- p.out.Run(ctx) }()
	p.tb.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				p.tb.Error(err)
			}
		}
	})
	for p.fd < 0 {
		if fd, err := unix.Open(p.file, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			p.fd = fd
		}
		time.Sleep(time.Millisecond)
	}
	p.tb.Cleanup(func() { unix.Close(p.fd) })
}

// churn raises two events for each entry.
func (p *path) churn(entries int) {
	p.tb.Helper()
	made, err := testnet.Churn{NS: p.ns, Entries: entries}.Run(context.Background())
	p.must(err)
	p.made += made.Events()
}

// size is the file's. It allocates nothing.
func (p *path) size() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(p.fd, &st); err != nil {
		return -1
	}
	return st.Size
}

// delivered waits until so many records have been written since the path was made, and
// tells how often it had to ask for the books, which allocates.
func (p *path) delivered(records int) (asked int) {
	p.tb.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		asked++
		switch b := p.out.Books(); {
		case b.DroppedTotal() != 0:
			p.tb.Fatalf("dropped: %+v", b)
		case int(b.Delivered) >= records:
			return asked
		case time.Now().After(deadline):
			p.tb.Fatalf("%d records delivered, expected %d: %+v", b.Delivered, records, b)
		}
	}
}

// batches is in how many batches so many records and bytes go to the sink, if all are full.
func (p *path) batches(records int, bytes int64) float64 {
	return max(float64(records)/float64(p.full.Count), float64(bytes)/float64(p.full.Bytes), 1)
}
