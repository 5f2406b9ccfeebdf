package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// stateFile holds, in the state directory, until when each namespace was read.
const stateFile = "source.json"

// stateEvery is how often it is written, and so by how much the end of a run that
// was killed may lie before its true end.
const stateEvery = 5 * time.Second

// maxState bounds what is read back: 4,000 namespaces and more.
const maxState = 1 << 20

// state is the file's content.
type state struct {
	Version int              `json:"version"` // 1
	Run     string           `json:"run"`     // hex
	Clean   bool             `json:"clean"`   // the run ended in order, and read all
	Until   map[string]int64 `json:"until"`   // by namespace ("" the service's own): ns since the epoch
}

// notebook is the state directory, held by one process at a time. A nil notebook
// knows nothing and keeps nothing.
type notebook struct {
	dir  *os.File
	last state // of the run before
}

// openNotebook takes the directory and reads what the last run left. A file that
// is damaged is as good as none.
func openNotebook(path string, log *slog.Logger) (*notebook, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("source.state_dir: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("source.state_dir: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = fmt.Errorf("source.state_dir: %s: another process has it: %w", path, err)
		return nil, errors.Join(err, dir.Close())
	}
	n := &notebook{dir: dir}
	switch err := n.read(); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		log.Warn("cannot tell when the last run ended", "err", err)
	}
	return n, nil
}

func (n *notebook) path() string { return filepath.Join(n.dir.Name(), stateFile) }

func (n *notebook) read() error {
	f, err := os.Open(n.path())
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("state file: %s: %w", n.path(), err)
	}
	if s.Version != 1 {
		return fmt.Errorf("state file: %s: version %d is not known: expected 1", n.path(), s.Version)
	}
	n.last = s
	return nil
}

// until is when the last run read a namespace last, 0 if that is not known. It is
// told once.
func (n *notebook) until(netns string) int64 {
	if n == nil {
		return 0
	}
	at := n.last.Until[netns]
	delete(n.last.Until, netns)
	return max(at, 0)
}

// write puts the file in place of the old one, whole or not at all.
func (n *notebook) write(s *state) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	fresh := n.path() + ".new"
	if err := writeSynced(fresh, append(text, '\n')); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	if err := os.Rename(fresh, n.path()); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	if err := n.dir.Sync(); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (n *notebook) close() error {
	if n == nil {
		return nil
	}
	return n.dir.Close() // and the lock with it
}

// keepState writes the state now and then, and once more, for good, when the
// function that it gives is called. A disk that refuses is told once.
func (s *Source) keepState() (end func(clean bool) error) {
	if s.book == nil {
		return func(bool) error { return nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	writer.Go(func() { s.noteState(ctx) })
	return func(clean bool) error {
		cancel()
		writer.Wait()
		return errors.Join(s.book.write(s.state(clean)), s.book.close())
	}
}

func (s *Source) noteState(ctx context.Context) {
	t := time.NewTicker(stateEvery)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := s.book.write(s.state(false))
		if err != nil && !failing {
			s.log.Error("cannot note until when events were read", "err", err)
		}
		failing = err != nil
	}
}

// tellBlind hands on a gap record from the time at which a socket's namespace was
// read last, 0 if that is not known, to the time at which the socket joined its
// groups; s.mu is held.
func (s *Source) tellBlind(sock *socket, since int64, reason string) {
	joined := sock.joined()
	g := &flow.Gap{Scope: "restart", Source: sock.ns.String(), Reason: reason, Since: min(since, joined), Until: joined}
	s.emitGap(sock.origin, g, time.Now().UnixNano())
}

// The reasons of a restart's gap.
const (
	notRunning = "not_running" // nobody read before
	opened     = "opened"      // the namespace came while others were read
)

// state is until when each namespace was read.
func (s *Source) state(clean bool) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &state{Version: 1, Run: fmt.Sprintf("%x", s.id.Run), Clean: clean, Until: map[string]int64{}}
	for _, sock := range s.sockets {
		st.Until[sock.ns.name] = sock.until()
	}
	return st
}
