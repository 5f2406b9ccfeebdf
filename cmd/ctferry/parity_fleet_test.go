package main

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/testnet"
)

// fleetLines are carried out by three nodes at once, each on its own tables.
// The connection of a node is in its table too, so each line selects.
func fleetLines() []string {
	return []string{
		"-L -s 10.0.0.0/8",
		"-L -s 10.0.0.0/8 -o extended",
		"-L -p udp -m 2",
		"-L -p tcp --state ESTABLISHED --dport 80",
		"-L -s 10.99.0.1",
		"-G -p udp -s 10.7.0.1 -d 10.8.0.2 --sport 1 --dport 53",
		"-U -p udp -s 10.7.0.1 -m 9",
		"-L -m 9",
		"-D -p tcp -s 10.7.0.0/16",
		"-D -p tcp -s 10.7.0.0/16",
		"-L -s 10.7.0.0/16",
		"-I -p sctp -s 10.7.0.1 -d 10.8.0.2 --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 300",
		"-I -p sctp -s 10.7.0.1 -d 10.8.0.2 --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 300",
		"-L -p sctp",
	}
}

// TestParityOfAFleet: what --fleet prints and does is what conntrack(8) prints
// and does in the namespaces one after the other, each row with its node.
func TestParityOfAFleet(t *testing.T) {
	hub, run := natstest.Start(t), tool(oracle(t), "conntrack")
	var theirs, ours [3]*testnet.Namespace
	for i := range ours {
		theirs[i], ours[i] = fleetNamespace(t, i), fleetNamespace(t, i)
		dir := t.TempDir()
		text := strings.Replace(remoteConfig, "netns: [%[4]s], ", "", 1)
		startFerry(t, ours[i], "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(text, fmt.Sprintf("edge-%d", i+1), forwarded(t, ours[i], hub), dir))).served(t)
	}
	path := asName(t, "conntrack")
	ferry := func(args ...string) outcome {
		o := runInside(t, nil, exec.Command(path, append(args, "--fleet", "--server", hub.ClientURL())...))
		return outcome{o.out, o.errOut, o.code}
	}
	for _, line := range fleetLines() {
		argv := strings.Fields(line)
		got := ferry(argv...)
		rows := byNode(got.stdout)
		sum, codes := 0, map[int]int{}
		for i := range theirs {
			want := run(t, theirs[i], &parityLine{argv: argv}, false)
			if problem := differ(line, want.stdout, rows[fmt.Sprintf("edge-%d", i+1)], closely); problem != "" {
				t.Error(problem)
			}
			sum += number(want.stderr)
			codes[want.code]++
		}
		if number(got.stderr) != sum && sum > 0 || codes[got.code] == 0 {
			t.Errorf("%s: code %d, %sconntrack's numbers add up to %d, codes %v", line, got.code, got.stderr, sum, codes)
		}
	}
}

// fleetNamespace is a namespace with entries of its own; two with the same
// number have the same.
func fleetNamespace(t *testing.T, n int) *testnet.Namespace {
	t.Helper()
	ns := loadedNamespace(t)
	run := tool(oracle(t), "conntrack")
	for _, line := range []string{
		"-I -p udp -s 10.7.0.1 -d 10.8.0.2 --sport 1 --dport 53 -t 600",
		fmt.Sprintf("-I -p udp -s 10.7.0.%d -d 10.8.0.2 --sport 7 --dport 53 -t 600 -m 2", n+2),
		fmt.Sprintf("-I -p tcp -s 10.7.0.1 -d 10.8.0.2 --sport %d --dport 80 --state ESTABLISHED -t 600", 1000+n),
		fmt.Sprintf("-I -p tcp -s 10.6.0.1 -d 10.8.0.2 --sport %d --dport 80 --state TIME_WAIT -t 600", 1000+n),
	}[:4-n] {
		if o := run(t, ns, &parityLine{argv: strings.Fields(line)}, false); o.code != 0 {
			t.Fatal(line, o)
		}
	}
	return ns
}

// forwarded listens inside ns and passes what connects on to the hub, which is
// outside. It gives the URL inside.
func forwarded(t *testing.T, ns *testnet.Namespace, hub *natstest.Broker) string {
	t.Helper()
	var l net.Listener
	if err := ns.Do(func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(hub.ClientURL(), "nats://"))
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	return "nats://" + l.Addr().String()
}

var nodePattern = regexp.MustCompile(` node=(\S+)`)

// byNode parts rows by the node that they name.
func byNode(text string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		if m := nodePattern.FindStringSubmatch(line); m != nil {
			rows[m[1]] += strings.Replace(line, m[0], "", 1)
		} else {
			rows[""] += line
		}
	}
	return rows
}

var numberPattern = regexp.MustCompile(`(\d+) flow entries have been`)

// number is how many entries a summary tells of.
func number(summary string) (n int) {
	if m := numberPattern.FindStringSubmatch(summary); m != nil {
		_, _ = fmt.Sscan(m[1], &n)
	}
	return n
}
