package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ctferry/ctferry/cmd/ctferry/tap"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// newExecutor acts on the tables of the namespaces that the source reads, and
// of no other.
func newExecutor(s *service) *control.Executor {
	var run [16]byte  // its rows have a numbering of their own
	rand.Read(run[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return &control.Executor{
		Node: s.id.Node,
		Tap:  leases{s},
		Open: func(netns string) (control.Session, error) {
			conn, err := dialRead(s.source, netns)
			if err != nil {
				return nil, err // no nil of a type of its own
			}
			return conn, nil
		},
		Origin: func(netns string) *flow.Origin {
			o, ok := s.source.Origin(netns)
			if !ok {
				o = flow.Origin{Node: s.id.Node, NetNS: netns, Meta: s.id.Meta, BootID: s.id.BootID}
			}
			o.Run = run
			return &o
		},
	}
}

// dialRead opens the tables of a namespace that is read. One whose name has come to
// stand for another is not, until the source has found that: its rows would bear the
// flow ids of the one before.
func dialRead(src *source.Source, netns string) (*ctnetlink.Conn, error) {
	o, ok := src.Origin(netns)
	if !ok {
		return nil, notRead(netns)
	}
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: namespacePath(netns)})
	if err != nil {
		return nil, err
	}
	cookie, err := conn.Cookie()
	if err == nil && cookie != o.Cookie {
		err = notRead(netns)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func notRead(netns string) error {
	return fmt.Errorf("network namespace %q is not among those of source.netns: %w", netns, fs.ErrNotExist)
}

// The buffers of a lease's event socket.
const (
	leaseBuffer    = 8 * option.MiB
	leaseMaxBuffer = 64 * option.MiB
)

// leases are watches over NATS. Each is a run of its own, since its records are
// numbered by themselves.
type leases struct{ s *service }

// Watch implements control.Tap.
func (l leases) Watch(ctx context.Context, o control.WatchOptions, fn func(*flow.Batch) error) error {
	if _, ok := l.s.source.Origin(o.NetNS); !ok {
		return notRead(o.NetNS)
	}
	o.Buffer = min(o.Buffer, int(leaseMaxBuffer))
	id := l.s.id
	rand.Read(id.Run[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	t := tap.Tap{Identity: id, Log: l.s.log.With("part", "watch"), Buffer: leaseBuffer, Max: leaseMaxBuffer}
	return t.Watch(ctx, o, fn)
}

// connlabelText is the text that names label bits; without one they have numbers.
func connlabelText() string {
	text, err := os.ReadFile("/etc/xtables/connlabel.conf")
	if err != nil {
		return ""
	}
	return string(text)
}
