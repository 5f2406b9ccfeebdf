package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// The demo's traffic: a mixture spread over some seconds, and connections that
// the one NAT rule translates.
const (
	demoFlows   = 300
	demoOver    = 5 * time.Second
	demoNATed   = 20
	demoPort    = 8080 // what clients connect to ...
	demoServer  = 9090 // ... and where the rule sends them
	demoSettle  = 8 * time.Second
	demoSubject = "ctferry.v1.demo.evt.{node}.{table}.{event_type}"
)

// demoParts is everything that the demo starts.
type demoParts struct {
	ns      *testnet.Namespace
	console *console
	server  *natsconn.Server
	reader  *demoReader
	service *service
}

// runDemo runs inside the private namespace.
func runDemo(ctx context.Context, out io.Writer) error {
	d, err := startDemo(ctx, out)
	if err != nil {
		return err
	}
	defer d.server.Shutdown()
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- d.service.run(serving, nil, nil) }()
	tally, err := d.traffic(ctx)
	if err == nil {
		err = d.settle(ctx)
	}
	stop()
	err = errors.Join(err, <-served)
	d.reader.finish(ctx)
	return errors.Join(err, d.report(out, tally))
}

// startDemo sets the namespace, the server and the pipeline up.
func startDemo(ctx context.Context, out io.Writer) (*demoParts, error) {
	ns, err := demoNamespace()
	if err != nil {
		return nil, fmt.Errorf("private namespace: %w", err)
	}
	server, err := natsconn.NewServer(natsconn.ServerConfig{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	reader, err := newDemoReader(server)
	if err != nil {
		return nil, err
	}
	console := newConsole(out)
	service, err := newService(demoConfig(server, console), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "A private network namespace: tracking on, one NAT rule (tcp port %d goes to %d).\n", demoPort, demoServer)
	fmt.Fprintf(out, "%d flows over %s, IPv4 and IPv6; the kernel's events go to this console and to an in-process NATS server.\n\n",
		demoFlows+demoNATed, demoOver)
	return &demoParts{ns, console, server, reader, service}, nil
}

// demoNamespace turns tracking, counters and times on, and lets entries die
// soon, so that every flow's end is seen.
func demoNamespace() (*testnet.Namespace, error) {
	ns, err := testnet.Inherited()
	if err != nil {
		return nil, err
	}
	client, server := demoAddrs()
	if err := ns.Up(client, server); err != nil {
		return nil, err
	}
	if err := ns.Record(); err != nil {
		return nil, err
	}
	for _, timeout := range []string{"udp_timeout", "udp_timeout_stream", "icmp_timeout", "icmpv6_timeout",
		"tcp_timeout_time_wait", "tcp_timeout_close", "tcp_timeout_last_ack", "sctp_timeout_shutdown_ack_sent", "sctp_timeout_closed"} {
		if err := ns.Sysctl("net.netfilter.nf_conntrack_"+timeout, "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return ns, ns.Lay(testnet.Track(), demoRule())
}

// demoRule is the one NAT rule.
func demoRule() testnet.Rule {
	_, server := demoAddrs()
	return testnet.DestinationNAT(testnet.Match{Proto: unix.IPPROTO_TCP, Dst: server, DstPort: demoPort}, netip.AddrPortFrom(server, demoServer))
}

// demoNAT is traffic that the rule translates.
func demoNAT(ns *testnet.Namespace) testnet.Traffic {
	client, server := demoAddrs()
	return testnet.Traffic{NS: ns, Src: client, Dst: server, Port: demoPort, Listen: netip.AddrPortFrom(server, demoServer)}
}

func demoAddrs() (client, server netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 77, 0, 1}), netip.AddrFrom4([4]byte{10, 77, 0, 2})
}

// demoConfig is a configuration as a file would give it, but for the parts
// that live in this process.
func demoConfig(server *natsconn.Server, c *console) *configs.Config {
	src := source.Default()
	src.Buffer, src.Max = 4<<20, 8<<20 // what is allowed without root
	// Reading the table makes the kernel take entries out whose time is over;
	// no sink asks for the rows.
	src.Dump.Interval = time.Second
	return &configs.Config{Node: "demo", Source: src, Spool: sinks.NewSpoolConfig(), Sinks: []sinks.Config{demoConsole(c), demoNATS(server)}}
}

func demoConsole(c *console) sinks.Config {
	cfg, err := sinks.NewConfig("console", "stdout")
	if err != nil {
		panic(err) // stdout is one of our own kinds
	}
	cfg.Type, cfg.Options = "console", c
	return cfg
}

func demoNATS(server *natsconn.Server) sinks.Config {
	cfg, err := sinks.NewConfig("nats", "nats")
	if err != nil {
		panic(err) // nats is one of our own kinds
	}
	options := cfg.Options.(*sinks.NATSOptions)
	options.Subject = demoSubject
	options.InProcess = server.InProcess()
	return cfg
}

// traffic makes the flows and tells the console how many.
func (d *demoParts) traffic(ctx context.Context) (testnet.Tally, error) {
	tally, err := testnet.Mix{NS: d.ns, Flows: demoFlows, Over: demoOver, Progress: d.console.progress}.Run(ctx)
	if err != nil {
		return tally, err
	}
	n, err := demoNAT(d.ns).TCP(ctx, demoNATed)
	tally[testnet.Kind{Proto: "tcp", Family: 4}] += n
	d.console.progress(tally.Total())
	return tally, err
}

// settle waits until the table is empty, so that every flow's end was told.
func (d *demoParts) settle(ctx context.Context) error {
	conn, err := ctnetlink.Dial(ctnetlink.DialConfig{})
	if err != nil {
		return err
	}
	defer conn.Close()
	for deadline := time.Now().Add(demoSettle); time.Now().Before(deadline); {
		fill, err := conn.Stats(ctx)
		if err != nil || fill.Entries == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil // what lives on is in the account: its DESTROY is not
}

// kindOf is the tally's word for an event.
func kindOf(family flow.Family, proto uint8) testnet.Kind {
	k := testnet.Kind{Proto: flow.ProtoName(proto), Family: 4}
	if family == flow.IPv6 {
		k.Family = 6
	}
	return k
}
