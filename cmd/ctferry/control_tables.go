package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"

	"github.com/ctferry/ctferry/cmd/ctferry/tap"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
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
			if _, ok := s.source.Origin(netns); !ok {
				return nil, notRead(netns)
			}
			return ctnetlink.Dial(ctnetlink.DialConfig{NetNS: namespacePath(netns)})
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
