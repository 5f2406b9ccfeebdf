package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ferryWay is how ctferry is to be configured for a sample.
type ferryWay struct {
	name      string
	receive   string   // source.receive; empty is the default
	encodings []string // a file sink each
	source    string   // more keys of source, in flow style: "filter: {proto: gre}"
	rotate    string   // of each sink, in flow style; empty: none
	refuses   bool     // the filter refuses every event
}

// ferryFile is the one file sink with JSON that most rows measure.
func ferryFile(receive string) ferryWay {
	return ferryWay{name: "ctferry json, " + receive, receive: receive, encodings: []string{"json"}}
}

// yaml is the configuration whose files are in dir.
func (w ferryWay) yaml(dir string) string {
	var out strings.Builder
	var source []string
	if w.receive != "" {
		source = append(source, "receive: "+w.receive)
	}
	if w.source != "" {
		source = append(source, w.source)
	}
	fmt.Fprintf(&out, "source: {%s}\nsinks:\n", strings.Join(source, ", "))
	rotate := w.rotate
	if rotate == "" {
		rotate = "size: 0"
	}
	for i, encoding := range w.encodings {
		fmt.Fprintf(&out, "  s%d: {type: file, path: %s, encoding: %s, rotate: {%s}}\n", i, sinkPath(dir, i), encoding, rotate)
	}
	return out.String()
}

func sinkPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("out%d", i)) }

// ferryAs is ctferry as it is configured in a way.
func (l *lab) ferryAs(w ferryWay) subject {
	return subject{
		name: w.name, files: len(w.encodings), knowsLoss: !w.refuses, refuses: w.refuses,
		prepare: func(dir string) ([]string, error) {
			cfg := filepath.Join(dir, "ctferry.yaml")
			return []string{l.ferry, "run", "-c", cfg, "--log-format", "json"}, os.WriteFile(cfg, []byte(w.yaml(dir)), 0o600)
		},
		ready: func(p *process) (bool, error) {
			return bytes.Contains([]byte(p.output("stderr")), []byte(`"msg":"started"`)), nil
		},
		count: func(p *process) (counted, error) { return w.count(p) },
	}
}

// closing is a line of the log that holds an account.
type closing struct {
	Msg       string `json:"msg"`
	Sink      string `json:"sink"`
	Offered   int    `json:"offered"`
	Received  int    `json:"received"`
	Lost      int    `json:"lost"`
	Excluded  int    `json:"excluded"`
	Malformed int    `json:"malformed"`
	Delivered int    `json:"delivered"`
	Dropped   int    `json:"dropped"`
	Held      int    `json:"held"`
}

// accounts are the final accounts in a log of JSON lines: the event sockets together,
// and each sink. Where something did not balance it is an error.
func accounts(log string) (socket closing, sinks []closing, err error) {
	for line := range strings.Lines(log) {
		var c closing
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			return socket, sinks, fmt.Errorf("log line %q: %w", line, err)
		}
		switch c.Msg {
		case "event socket closed":
			socket.Offered += c.Offered
			socket.Received += c.Received
			socket.Lost += c.Lost
			socket.Excluded += c.Excluded
			socket.Malformed += c.Malformed
		case "sink closed":
			sinks = append(sinks, c)
		case "books do not balance: please report this":
			return socket, sinks, errors.New(c.Msg)
		}
	}
	if len(sinks) == 0 {
		return socket, sinks, errors.New("no final account in the log")
	}
	return socket, sinks, nil
}

// count reads the accounts and compares them with the files.
func (w ferryWay) count(p *process) (c counted, err error) {
	socket, sinks, err := accounts(p.output("stderr"))
	if err != nil {
		return c, err
	}
	c.received, c.lost = socket.Received, socket.Lost
	for i, s := range sinks {
		c.dropped += s.Dropped + s.Held
		size, lines, err := measureFile(sinkPath(p.dir, i))
		if err != nil {
			return c, err
		}
		c.bytes += size
		if w.encodings[i] == "json" && w.rotate == "" && lines != s.Delivered {
			return c, fmt.Errorf("sink %q says that it delivered %d records: its file has %d lines", s.Sink, s.Delivered, lines)
		}
	}
	return c, nil
}

// measureFile gives a file's size and how many lines it has.
func measureFile(path string) (size int64, lines int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for buf := make([]byte, 1<<20); ; {
		n, err := f.Read(buf)
		size += int64(n)
		lines += bytes.Count(buf[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return size, lines, nil
		}
		if err != nil {
			return size, lines, err
		}
	}
}
