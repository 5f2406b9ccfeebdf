package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// A Taker takes batches of events. It is never called by two goroutines at
// once and must not wait: the reader stands still while it runs. The batch is
// the caller's again when Take returns. What it answers is how full the
// fullest queue behind it is, 0 to 1: the event reader does not care, a dump
// slows down.
type Taker interface {
	Take(b *flow.Batch) (fill float64)
}

// Identity is who reads.
type Identity struct {
	Node    string
	Meta    []flow.Pair // sorted by key
	BootID  [16]byte
	Run     [16]byte
	Version string
}

// Source reads the kernel's events and dumps and hands them on, stamped and in
// order. Run may be called once.
type Source struct {
	cfg   Config
	id    Identity
	out   Taker
	log   *slog.Logger
	begun time.Time
	names *labelNames
	procs *progNames
	clock *clock
	book  *notebook   // until when was read, for the next run; nil: nowhere
	news  chan string // reasons for a status record out of turn; room for one
	told  bool        // why there is no ring

	kernel     []*ctnetlink.KernelFilter // what of cfg.Filter the kernel runs, by shard
	toldFilter bool                      // why it does not

	// mu serialises what is handed on, so that sequence numbers rise in the
	// order of delivery, and guards everything below.
	mu      sync.Mutex
	seq     uint64
	kinds   tally
	wanted  flow.Types          // of the sinks
	budget  budget              // of tracked flows
	sockets []*socket           // a lead a namespace, the service's own first
	retired []flow.SocketBooks  // accounts of namespaces that are gone
	missed  map[namespace]blind // that are there and could not be opened
	notes   *flow.Batch         // for gap and status records
}

// New opens the event socket of the service's own namespace; events is what
// the sinks together want. Other namespaces are opened by Run, because they
// come and go.
func New(cfg Config, id Identity, events flow.Types, out Taker, log *slog.Logger) (*Source, error) {
	return newIn(namespace{}, cfg, id, events, out, log)
}

// NewIn is New with a network namespace of /run/netns in the place of the
// service's own, by its name there; a name with a slash is a file's path. Where
// it cannot be read, Run ends. "" is New.
func NewIn(netns string, cfg Config, id Identity, events flow.Types, out Taker, log *slog.Logger) (*Source, error) {
	own := namespace{name: netns, path: netns}
	if netns != "" && !strings.Contains(netns, "/") {
		own.path = filepath.Join(netnsDir, netns)
	}
	return newIn(own, cfg, id, events, out, log)
}

// newIn is New with another namespace in the place of the service's own.
func newIn(own namespace, cfg Config, id Identity, events flow.Types, out Taker, log *slog.Logger) (*Source, error) {
	s := &Source{
		cfg: cfg, id: id, out: out, log: log, begun: time.Now(), wanted: events, budget: budget{max: cfg.Track.MaxFlows},
		kinds: newTally(), names: loadLabelNames(connlabelConf), procs: newProgNames(), clock: newClock(), notes: flow.NewBatch(4), news: make(chan string, 1), missed: map[namespace]blind{},
	}
	s.kernel = cfg.kernelFilters()
	var err error
	if s.book, err = openNotebook(cfg.StateDir, log); err != nil {
		return nil, err
	}
	sock, err := s.openSocket(own)
	if err != nil {
		return nil, errors.Join(err, s.book.close())
	}
	s.sockets = []*socket{sock}
	return s, nil
}

// Run reads until ctx ends, then leaves the kernel's groups, hands on what was
// still queued, and returns nil. Any other end is an error.
func (s *Source) Run(ctx context.Context) error {
	s.Status("start")
	s.mu.Lock()
	s.tellBlind(s.sockets[0], s.book.until(""), notRunning)
	s.mu.Unlock()
	stopKeeping := s.keepState()
	var readers sync.WaitGroup
	failed := make(chan error, 1)
	start := func(sock *socket) {
		readers.Go(func() {
			sock.runAll(ctx, func(err error) { s.fail(sock, err, failed) })
			s.finish(sock)
		})
	}
	start(s.sockets[0])
	err := s.tick(ctx, start, failed)
	s.interrupt()
	readers.Wait() // each has left its groups and drained: the accounts are whole
	s.Status("stop")
	return errors.Join(err, stopKeeping(err == nil), s.close())
}

// fail ends the run if the service's own socket is broken; another namespace's
// is closed, and opened again by the next scan.
func (s *Source) fail(sock *socket, err error, failed chan<- error) {
	if !s.isOwn(sock) {
		s.log.Error("cannot read network namespace", "netns", sock.ns.name, "err", err)
		s.mu.Lock()
		sock.stop()
		s.mu.Unlock()
		return
	}
	select {
	case failed <- err:
	default:
	}
}

func (s *Source) isOwn(sock *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets[0] == sock
}

// tick does what time brings: status records, and namespaces that come and go.
func (s *Source) tick(ctx context.Context, start func(*socket), failed <-chan error) error {
	second := time.NewTimer(s.toBeat())
	defer second.Stop()
	lastStatus, lastScan := time.Now(), time.Time{}
	for {
		if len(s.cfg.NetNS) > 0 && time.Since(lastScan) >= scanInterval {
			before := lastScan
			lastScan = time.Now()
			s.scan(before, start)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case reason := <-s.news:
			s.Status(reason)
			continue
		case <-second.C:
		}
		second.Reset(s.toBeat())
		s.clock.tick()
		if time.Since(lastStatus) >= statusInterval {
			s.Status("interval")
			lastStatus = time.Now()
		}
	}
}

// statusInterval is how often every sink is told the books.
const statusInterval = time.Minute

func (s *Source) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sock := range s.sockets {
		sock.stop()
	}
}

func (s *Source) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, sock := range s.sockets {
		errs = append(errs, closeAll(sock.shards))
	}
	return errors.Join(errs...)
}

// Wants changes which of the kernel's events are asked for, after a reload.
func (s *Source) Wants(events flow.Types) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sock := range s.sockets {
		for _, k := range sock.shards {
			if k.stopped { // it has left its groups, or will, and reads what is left
				continue
			}
			if err := k.listener.SetGroups(s.groupsOf(events)); err != nil {
				return fmt.Errorf("source: %s: %w", sock.ns, err)
			}
		}
	}
	s.wanted = events
	return nil
}

// wants tells whether a sink asked for records of that type.
func (s *Source) wants(t flow.Type) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted.Has(t)
}

// groupsOf turns record types into the kernel's groups, table by table. Tracked
// flows need every event of theirs, whether or not a sink wants it.
func (s *Source) groupsOf(events flow.Types) ctnetlink.Groups {
	var groups ctnetlink.Groups
	for _, table := range s.cfg.Tables {
		want := events & s.cfg.Events
		if s.cfg.Track.Enabled && table == flow.TableConntrack {
			want = s.cfg.Events
		}
		groups |= ctnetlink.GroupsOf(table, want)
	}
	return groups
}

// Books gives every namespace's account; it balances at every moment.
func (s *Source) Books() []flow.SocketBooks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books()
}

// Account gives every namespace's account, and what they received by kind, at one moment.
func (s *Source) Account() ([]flow.SocketBooks, []flow.EventCount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books(), s.kinds.counts()
}

func (s *Source) books() []flow.SocketBooks {
	var books []flow.SocketBooks
	for _, sock := range s.sockets {
		books = append(books, sock.sum())
	}
	return append(books, s.retired...)
}
