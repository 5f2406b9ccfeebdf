package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
	"github.com/ctferry/ctferry/cmd/ctferry/tap"
	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// conntrackLine carries out a command line of conntrack(8), the program's name
// first, and gives its exit code.
func conntrackLine(argv []string, in io.Reader, out, errOut io.Writer) int {
	front := &frontend.Front{
		Program: filepath.Base(argv[0]), Version: strings.TrimPrefix(version, "v"),
		Names: frontend.ReadNames(), In: in, Out: out, Err: errOut,
	}
	front.Open = func(ctx context.Context, t frontend.Target) (frontend.Hosts, error) {
		if t.Remote() {
			return remoteHosts(ctx, t)
		}
		return thisHost(front, argv, t.NetNS)
	}
	return front.Run(context.Background(), argv[1:])
}

// eventBuffer is what the event socket of -E has from the start, bytes: room
// for 200,000 events while nobody reads its output. The kernel takes only what
// events need.
const eventBuffer = 256 * option.MiB

// thisHost is the host itself, or a network namespace of it.
func thisHost(front *frontend.Front, argv []string, netns string) (frontend.Hosts, error) {
	if err := knownNamespace(netns); err != nil {
		return nil, err
	}
	id, err := hostIdentity()
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.NewTextHandler(front.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	events := &tap.Tap{Identity: id, Log: quiet, Buffer: eventBuffer, Opened: front.Listening}
	tables := &localTables{netns: netns}
	executor := &control.Executor{
		Tap: events, Open: tables.open,
		Origin: func(netns string) *flow.Origin {
			return &flow.Origin{Node: id.Node, NetNS: netns, BootID: id.BootID, Run: id.Run, Cookie: tables.cookie()}
		},
	}
	written := &journal{Caller: executor, argv: argv, dial: systemLog(front.Program)}
	return frontend.Local(written, func() error { return errors.Join(tables.close(), written.close()) }), nil
}

// hostIdentity is who this host is in records that no configuration names.
func hostIdentity() (source.Identity, error) {
	name, err := os.Hostname()
	if err != nil {
		return source.Identity{}, fmt.Errorf("host name: %w", err)
	}
	return newIdentity(&configs.Config{Node: name})
}

// namespacePath is the file of a network namespace by its name under /run/netns.
func namespacePath(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join("/run/netns", name)
}

func knownNamespace(name string) error {
	if name == "" {
		return nil
	}
	if strings.Contains(name, "/") {
		return fmt.Errorf("--netns: %q is no name: expected that of a file in /run/netns", name)
	}
	if _, err := os.Stat(namespacePath(name)); err != nil {
		return fmt.Errorf("--netns: %v", err) // not the kernel's word about the table, which %w would make of it
	}
	return nil
}
