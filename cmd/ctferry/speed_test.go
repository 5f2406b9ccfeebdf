package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// BenchmarkAgainstConntrack lists 200,000 entries and deletes 100,000 by a
// filter, with conntrack(8) and with the program, in one run:
//
//	go test -run x -bench AgainstConntrack -benchtime 5x ./cmd/ctferry
func BenchmarkAgainstConntrack(b *testing.B) {
	const listed, deleted = 200_000, 100_000
	tools := []struct{ name, path string }{{"conntrack", oracle(b)}, {"ctferry", asName(b, "conntrack")}}
	ns := loadedNamespace(b)
	saved := b.TempDir() + "/saved"
	writeSaved(b, saved, 10_000)
	for _, c := range []struct {
		argv    string
		entries int
		fill    testnet.Churn // before each
	}{
		{"-L", listed, testnet.Churn{Entries: listed}},
		{"-L -o extended,id", listed, testnet.Churn{Entries: listed}},
		{"-L -o xml", listed, testnet.Churn{Entries: listed}},
		{"-L -m 7", listed, testnet.Churn{Entries: listed}},
		{"-D -m 9", deleted, testnet.Churn{Entries: deleted, Mark: 9}},
		{"-R " + saved, 10_000, testnet.Churn{}},
	} {
		for _, tool := range tools {
			b.Run(strings.ReplaceAll(strings.Replace(c.argv, saved, "FILE", 1), " ", "_")+"/"+tool.name, func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					empty(b, ns)
					if c.fill.Entries > 0 {
						c.fill.NS, c.fill.Keep = ns, true
						if _, err := c.fill.Run(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
					silent(b, ns, tool.path, strings.Fields(c.argv))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.entries), "ns/entry")
			})
		}
	}
}

func empty(b *testing.B, ns *testnet.Namespace) {
	b.Helper()
	silent(b, ns, oracle(b), []string{"-F"})
}

// silent runs a command whose output goes nowhere.
func silent(b *testing.B, ns *testnet.Namespace, path string, argv []string) {
	b.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	cmd := exec.Command(path, argv...)
	cmd.Stdout = null
	if err := ns.Run(cmd); err != nil {
		b.Fatalf("%q: %v", argv, err)
	}
}

func writeSaved(b *testing.B, path string, n int) {
	b.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "-A -t 600 -u SEEN_REPLY,ASSURED -s 10.%d.%d.1 -d 10.9.9.9 -r 10.9.9.9 -q 10.%d.%d.1 -p udp --sport 7 --dport 8 --reply-port-src 8 --reply-port-dst 7\n",
			i/256, i%256, i/256, i%256)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
}
