package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// subject is a program that listens to events and that can be measured.
type subject struct {
	name string
	// prepare gives the command line; it may write files into dir, where the
	// program's output goes too.
	prepare func(dir string) (argv []string, err error)
	// ready tells whether it listens. Nil: as soon as its namespace has a listener.
	ready func(p *process) (bool, error)
	// count tells, after it has ended, what it received and how many bytes it wrote.
	count func(p *process) (counted, error)
	// rate bounds the load, in events a second, and events its size, for a program that
	// cannot take all; 0 is no bound.
	rate, events int
	files        int  // that it writes events to
	refuses      bool // it wants none of the events
	knowsLoss    bool // its counts say what was lost, so that they must add up
}

// counted is what a program says about a sample.
type counted struct {
	received int
	lost     int   // the kernel's own count
	dropped  int   // lost inside the program
	bytes    int64 // that it wrote
}

// bareC is the baseline: recv(2) in a loop, decoding nothing.
func (l *lab) bareC() subject {
	return subject{name: "bare C recv loop", count: countSaid, knowsLoss: true, prepare: func(string) ([]string, error) {
		if l.listen == "" {
			return nil, fmt.Errorf("no C compiler: %w", errMissing)
		}
		return []string{l.listen, strconv.Itoa(listenBuffer)}, nil
	}}
}

// bareGo is the same with the Go library that everybody uses.
func (l *lab) bareGo() subject {
	return subject{name: "bare Go loop (mdlayher/netlink)", count: countSaid, prepare: func(string) ([]string, error) {
		return []string{l.self, listenVerb}, nil
	}}
}

// countSaid reads what a bare loop prints in the end.
func countSaid(p *process) (c counted, err error) {
	said := p.output("stdout")
	if _, err = fmt.Sscanf(said, "received %d lost %d\n", &c.received, &c.lost); err != nil {
		return c, fmt.Errorf("%q: expected \"received N lost N\": %w", said, err)
	}
	return c, nil
}

// conntrackEvents is Debian's conntrack(8) with all that it can tell. Its -b does not
// work (it sizes the wrong socket), so that it loses events at more than a low rate.
func (l *lab) conntrackEvents() subject {
	return subject{
		name: "conntrack -E -o extended,timestamp", rate: 5_000, events: 10_000,
		prepare: func(string) ([]string, error) {
			if l.conntrack == "" {
				return nil, fmt.Errorf("conntrack: %w", errMissing)
			}
			return []string{l.conntrack, "-E", "-o", "extended,timestamp"}, nil
		},
		count: func(p *process) (counted, error) { return countLines(filepath.Join(p.dir, "stdout"), "src=") },
	}
}

// ulogdStack is ulogd2's shortest way from the kernel to JSON: no hash table, so that it
// writes every event that it knows (new and destroy), and the largest buffer.
const ulogdStack = `[global]
logfile="%[1]s/ulogd.log"
loglevel=7
plugin="%[2]s/ulogd_inpflow_NFCT.so"
plugin="%[2]s/ulogd_filter_IP2STR.so"
plugin="%[2]s/ulogd_output_JSON.so"
stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON
[ct1]
hash_enable=0
event_mask=5
netlink_socket_buffer_size=67108864
netlink_socket_buffer_maxsize=67108864
[json1]
file="%[1]s/out.json"
sync=0
`

// ulogdJSON is ulogd2 with its JSON plugin.
func (l *lab) ulogdJSON() subject {
	return subject{
		name: "ulogd2, JSON file", rate: 30_000, events: 60_000,
		prepare: func(dir string) ([]string, error) {
			plugins, _ := filepath.Glob("/usr/lib/*/ulogd")
			if l.ulogd == "" || len(plugins) == 0 {
				return nil, fmt.Errorf("ulogd: %w", errMissing)
			}
			if _, err := os.Stat(filepath.Join(plugins[0], "ulogd_output_JSON.so")); err != nil {
				return nil, fmt.Errorf("ulogd2-json: %w", errMissing)
			}
			cfg := filepath.Join(dir, "ulogd.conf")
			return []string{l.ulogd, "-c", cfg}, os.WriteFile(cfg, fmt.Appendf(nil, ulogdStack, dir, plugins[0]), 0o600)
		},
		count: func(p *process) (counted, error) { return countLines(filepath.Join(p.dir, "out.json"), `{`) },
	}
}

// countLines counts the lines of a file that contain a mark of a record.
func countLines(path, mark string) (c counted, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, mark) {
			c.received++
		}
	}
	c.bytes = int64(len(text))
	return c, nil
}
