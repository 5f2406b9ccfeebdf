package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/cmd/ctferry/connect"
	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
	"github.com/ctferry/ctferry/control"
)

// remoteHosts are the nodes that a command line of conntrack(8) names. An error
// is a text alone: an error number in it would be taken for the kernel's.
func remoteHosts(ctx context.Context, t frontend.Target) (frontend.Hosts, error) {
	hosts, err := dialHosts(ctx, t)
	if usage := (*conntrack.UsageError)(nil); errors.As(err, &usage) {
		return nil, usage
	}
	if err != nil {
		return nil, errors.New(err.Error())
	}
	return hosts, nil
}

func dialHosts(ctx context.Context, t frontend.Target) (frontend.Hosts, error) {
	target, err := connect.ThisHost().Find(connect.Options{Server: t.Server, Creds: t.Creds, Context: t.Context, Config: t.Config, Site: t.Site})
	if errors.Is(err, fs.ErrPermission) {
		return nil, err // nothing is wrong with the line
	}
	if err != nil {
		return nil, &conntrack.UsageError{Message: err.Error(), Code: exitUsage}
	}
	nc, err := target.Dial(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := hostsOver(nc, target, t)
	if err != nil {
		nc.Close()
	}
	return hosts, err
}

func hostsOver(nc *nats.Conn, target *connect.Target, t frontend.Target) (frontend.Hosts, error) {
	client, err := control.NewClient(nc, control.ClientOptions{
		Prefix: target.Subjects.Prefix, Site: target.Subjects.Site, User: connect.User(), Discover: t.Wait, Silence: t.Wait,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", target.From, err)
	}
	closed := func() error { nc.Close(); return nil }
	if t.Fleet {
		return frontend.Fleet(client.Fleet(t.Nodes...), closed), nil
	}
	callers := make([]control.Caller, len(t.Nodes))
	for i, name := range t.Nodes {
		callers[i] = client.Node(name)
	}
	return frontend.Nodes(t.Nodes, callers, closed), nil
}
