package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// longFile is a file for -R with lines that depend on those before: some entries
// are deleted again, and made again, and some lines make what is there. plain is
// the same without the lines that fail, and complaints are what they are to say.
func longFile() (all, plain string, complaints []string) {
	var full, good strings.Builder
	n := 0
	line := func(fails bool, format string, args ...any) {
		n++
		text := fmt.Sprintf(format, args...) + "\n"
		full.WriteString(text)
		if fails {
			complaints = append(complaints, fmt.Sprintf("-:%d: Operation failed: Such conntrack exists, try -U to update", n))
			return
		}
		good.WriteString(text)
	}
	for i := range 1050 {
		flow := fmt.Sprintf("-p udp -s 10.3.%d.%d -d 10.2.0.1 --sport 1 --dport 2", i/250, i%250)
		line(false, "-I %s -t 900 -m %d", flow, i)
		switch {
		case i%131 == 7: // there
			line(true, "-I %s -t 800", flow)
		case i%131 == 8:
			line(false, "-A %s -t 800", flow)
		case i%131 == 9:
			line(false, "-D %s", flow)
		case i%131 == 10:
			line(false, "-D %s", flow)
			line(false, "-I %s -t 700 -m 4", flow)
			line(true, "-I %s -t 600 -m 5", flow)
		case i%131 == 11: // several at once, one of them for nothing
			line(false, "-D %s", flow)
			line(false, "-D -p udp -s 10.3.%d.%d --sport 1", (i-2)/250, (i-2)%250)
			line(false, "-D -s 10.9.9.9")
			line(false, "-A %s -t 500", flow)
		}
	}
	return full.String(), good.String(), complaints
}

// TestLoadLongFile carries out more lines than go into one request, and into one
// system call, beside conntrack(8), which is spared those that fail: it would stop.
func TestLoadLongFile(t *testing.T) {
	theirs, ours := loadedNamespace(t), loadedNamespace(t)
	all, plain, complaints := longFile()
	if o := tool(oracle(t), "conntrack")(t, theirs, &parityLine{argv: []string{"-R", "-"}, stdin: plain}, false); o.code != 0 {
		t.Fatalf("conntrack: %+v", o)
	}
	run := tool(binary(t), "ctferry")
	o := run(t, ours, &parityLine{argv: []string{"-R", "-"}, stdin: all}, false)
	var told []string
	for l := range strings.Lines(o.stderr) {
		_, text, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
		told = append(told, text)
	}
	if o.code != exitError || !slices.Equal(told, complaints) {
		t.Errorf("code %d, told\n%s\nexpected\n%s", o.code, strings.Join(told, "\n"), strings.Join(complaints, "\n"))
	}
	list := func(ns *testnet.Namespace) []string {
		rows, _ := normalLines(run(t, ns, &parityLine{argv: []string{"-L", "-o", "extended"}}, false).stdout, false)
		return rows
	}
	if got, want := list(ours), list(theirs); !slices.Equal(got, want) || len(want) < 1000 {
		t.Errorf("%d rows, conntrack has %d", len(got), len(want))
	}
}
