package main

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/sinks/spool"
	"github.com/ctferry/ctferry/source/flow"
)

// spoolState gives a line for each cursor, with "behind" if something waits for it.
func spoolState(tb testing.TB, dir string) string {
	tb.Helper()
	st, err := spool.ReadStatus(filepath.Join(dir, "spool"))
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for i := range st.Cursors {
		b.WriteString(st.Cursors[i].Name)
		if st.Cursors[i].Lag.Records > 0 {
			b.WriteString(" behind")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readCopy adds every record that can be read from a copy of a spool, by a
// reader that is new to it.
func readCopy(tb testing.TB, dir string, into map[identity]bool) {
	tb.Helper()
	copied := filepath.Join(tb.TempDir(), "spool")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		tb.Fatal(err)
	}
	cfg := spool.DefaultConfig()
	cfg.Dir, cfg.MinFree = copied, 0
	s, err := spool.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	c, err := s.Cursor("witness", spool.Oldest)
	if err != nil {
		tb.Fatal(err)
	}
	dec, batch, n := encode.Formats()["protobuf"].NewDecoder(), flow.NewBatch(1), 0
	for {
		f, err := c.Poll()
		if err != nil {
			tb.Fatal(err)
		}
		if f == nil {
			break
		}
		for raw, err := range encode.SplitGroup(encode.Delimited, f.Payload) {
			batch.Reset()
			if err == nil {
				err = dec.Decode(batch, raw)
			}
			if err != nil {
				tb.Fatal(err)
			}
			e := &batch.Events()[0]
			into[identity{hex.EncodeToString(e.Origin.Run[:]), e.Seq}] = true
			n++
		}
		c.Ack(f.Seq)
	}
	tb.Logf("%d records in the copy", n)
}

// messagesOf counts what a stream has, if it is there.
func messagesOf(tb testing.TB, hub *natstest.Broker, stream string) int {
	tb.Helper()
	nc := hub.Dial(tb)
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := js.Stream(tb.Context(), stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0
	}
	if err != nil {
		tb.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}
