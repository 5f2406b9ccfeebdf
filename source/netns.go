package source

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// netnsDir is where ip-netns(8) keeps its names.
const netnsDir = "/run/netns"

// scanInterval is how often namespaces are looked for.
const scanInterval = 2 * time.Second

// namespace is one to read: its own when name and path are empty.
type namespace struct {
	name, path string
	inode      uint64 // a name that is made anew is another namespace
}

// String is the namespace's name in logs and gap records.
func (n namespace) String() string {
	if n.name == "" {
		return "host"
	}
	return n.name
}

// errRemade is why a namespace is not asked by its name any more.
var errRemade = errors.New("the name stands for another namespace by now")

// dial opens a connection to the tables of the socket's namespace. Until the next
// scan its name may stand for another one, whose flows are none of this socket's.
func (k *socket) dial() (*ctnetlink.Conn, error) {
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: k.ns.path})
	if err != nil {
		return nil, err
	}
	cookie, err := conn.Cookie()
	if err == nil && cookie != k.origin.Cookie {
		err = errRemade
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// scan opens sockets in namespaces that are new and stops those whose
// namespace is gone: a socket would keep it alive. Before is when the last scan
// began; the zero time for the first.
func (s *Source) scan(before time.Time, start func(*socket)) {
	found := findNamespaces(netnsDir, s.cfg.NetNS)
	if before.IsZero() {
		for _, name := range Absent(s.cfg.NetNS) {
			s.log.Warn("there is no network namespace of this name yet", "netns", name, "dir", netnsDir)
		}
	}
	s.mu.Lock()
	maps.DeleteFunc(s.missed, func(ns namespace, _ blind) bool {
		_, ok := found[ns]
		return !ok
	})
	for _, sock := range s.sockets[1:] {
		if _, ok := found[sock.ns]; ok {
			delete(found, sock.ns)
			continue
		}
		sock.stop() // finish takes it out, once it is drained
	}
	s.mu.Unlock()
	for ns := range found {
		s.open(ns, before, start)
	}
}

// open reads one more namespace. The mutex is let go after each, because opening
// a ring takes some milliseconds, for which every reader waits.
func (s *Source) open(ns namespace, before time.Time, start func(*socket)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blindIn(ns, before)
	sock, err := s.openFound(ns)
	if err != nil {
		s.log.Error("cannot read network namespace", "netns", ns.name, "err", err)
		s.missed[ns] = b
		return
	}
	delete(s.missed, ns)
	s.sockets = append(s.sockets, sock)
	s.tellBlind(sock, b.since, b.reason)
	start(sock)
	s.log.Info("network namespace opened", "netns", ns.name)
}

// blind is since when a namespace was not read, and why.
type blind struct {
	since  int64 // 0 if that is not known
	reason string
}

// blindIn tells it of a namespace that a scan has found. One that could not be opened
// when it came is blind since then.
func (s *Source) blindIn(ns namespace, before time.Time) blind {
	if b, ok := s.missed[ns]; ok {
		return b
	}
	if before.IsZero() {
		return blind{s.book.until(ns.name), notRunning}
	}
	return blind{before.UnixNano(), opened}
}

// openFound opens a namespace that a scan has found, unless its name has come to
// stand for another meanwhile, or for one at all: ip-netns(8) makes the file first.
// The next scan would find that other one, and have it read twice.
func (s *Source) openFound(ns namespace) (*socket, error) {
	sock, err := s.openSocket(ns)
	if err != nil {
		return nil, err
	}
	if inode, ok := inodeOf(ns.path); !ok || inode != ns.inode {
		return nil, errors.Join(fmt.Errorf("source: %s: %w", ns, errRemade), closeAll(sock.shards))
	}
	return sock, nil
}

// finish closes a socket whose namespace is gone and keeps its account.
func (s *Source) finish(sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.sockets, sock)
	if i <= 0 || !sock.stopped {
		return
	}
	s.sockets = slices.Delete(s.sockets, i, i+1)
	if err := closeAll(sock.shards); err != nil {
		s.log.Error("cannot close event socket", "netns", sock.ns.String(), "err", err)
	}
	if sock.track != nil {
		sock.track.close()
	}
	s.retired = addBooks(s.retired, sock.sum())
	s.log.Info("network namespace closed", "netns", sock.ns.String())
}

// maxRetired bounds how many names of namespaces that are gone keep an account of their own.
const maxRetired = 64

// addBooks adds an account to that of the same name, so that namespaces which
// come and go under one name need no more room than one.
func addBooks(all []flow.SocketBooks, b flow.SocketBooks) []flow.SocketBooks {
	b.Buffer, b.Queued = 0, 0
	i := slices.IndexFunc(all, func(o flow.SocketBooks) bool { return o.NetNS == b.NetNS })
	if i < 0 && len(all) < maxRetired {
		return append(all, b)
	}
	if i < 0 { // the last account stands for all others
		i = len(all) - 1
		all[i].NetNS = "*"
	}
	addTo(&all[i], &b)
	return all
}

// addTo sums the counts of two accounts; what the buffer is like now stays.
func addTo(sum, b *flow.SocketBooks) {
	sum.Offered += b.Offered
	sum.Received += b.Received
	sum.Lost += b.Lost
	sum.Emitted += b.Emitted
	sum.Excluded += b.Excluded
	sum.Malformed += b.Malformed
	sum.Foreign += b.Foreign
	sum.Growths += b.Growths
	sum.LetGo += b.LetGo
	sum.KernelFilter = sum.KernelFilter || b.KernelFilter
	if b.Refused != nil && sum.Refused != nil {
		sum.Refused = new(*sum.Refused + *b.Refused)
	} else if b.KernelFilter {
		sum.Refused = nil
	}
	sum.Track.Add(&b.Track)
	sum.LastSeq = max(sum.LastSeq, b.LastSeq)
}

// findNamespaces matches the patterns against the folder's files.
func findNamespaces(dir string, patterns []string) map[namespace]struct{} {
	found := map[namespace]struct{}{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			continue // Validate has refused it
		}
		for _, path := range paths {
			if inode, ok := inodeOf(path); ok {
				found[namespace{filepath.Base(path), path, inode}] = struct{}{}
			}
		}
	}
	return found
}

// Absent gives the names among Config.NetNS that no network namespace has now. A
// pattern may match any, or none.
func Absent(patterns []string) []string {
	return absentIn(netnsDir, patterns)
}

func absentIn(dir string, patterns []string) (names []string) {
	for _, name := range patterns {
		if strings.ContainsAny(name, `*?[\`) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			names = append(names, name)
		}
	}
	return names
}

// inodeOf tells namespaces of one name apart; not ok: there is none.
func inodeOf(path string) (inode uint64, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Ino, true
}
