package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// demoReader is the consumer at the other end of NATS.
type demoReader struct {
	conn *nats.Conn
	got  atomic.Int64
}

func newDemoReader(server *natsconn.Server) (*demoReader, error) {
	conn, err := nats.Connect("", server.InProcess())
	if err != nil {
		return nil, err
	}
	r := &demoReader{conn: conn}
	_, err = conn.Subscribe("ctferry.v1.demo.evt.>", func(*nats.Msg) { r.got.Add(1) })
	if err == nil {
		err = conn.Flush()
	}
	return r, err
}

// finish reads what is still on its way.
func (r *demoReader) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = r.conn.FlushWithContext(ctx) // what is missing shows in the account
	for last := int64(-1); last != r.got.Load() && ctx.Err() == nil; {
		last = r.got.Load()
		time.Sleep(50 * time.Millisecond)
	}
	r.conn.Close()
}

// report prints the account and says what does not add up.
func (d *demoParts) report(out io.Writer, tally testnet.Tally) error {
	books := d.service.books()
	fmt.Fprintln(out)
	wrong := d.reportFlows(out, tally)
	d.reportBooks(out, books)
	if !books.Balanced() {
		wrong = append(wrong, errors.New("the books do not balance"))
	}
	for _, s := range books.Sinks {
		if s.Name == "nats" && s.Delivered != uint64(d.reader.got.Load()) {
			wrong = append(wrong, fmt.Errorf("nats delivered %d records and the subscriber received %d", s.Delivered, d.reader.got.Load()))
		}
		if n := s.DroppedTotal() + s.DeadLettered + s.Held; n > 0 {
			wrong = append(wrong, fmt.Errorf("sink %s did not deliver %d records", s.Name, n))
		}
	}
	if len(wrong) == 0 {
		fmt.Fprintln(out, "\nEvery event is accounted for: the books balance.")
	}
	return errors.Join(wrong...)
}

// reportFlows prints what was made beside what was told of it.
func (d *demoParts) reportFlows(out io.Writer, tally testnet.Tally) (wrong []error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "traffic\tflows sent\tnew\tupdate\tdestroy\t")
	kinds := make([]testnet.Kind, 0, len(tally))
	for k := range tally {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b testnet.Kind) int { return cmp.Or(cmp.Compare(a.Proto, b.Proto), a.Family-b.Family) })
	for _, k := range kinds {
		n := d.console.counts[k]
		if n == nil {
			n = new([flow.TypeStatus + 1]int)
		}
		fmt.Fprintf(w, "%s IPv%d\t%d\t%d\t%d\t%d\t\n", k.Proto, k.Family, tally[k], n[flow.TypeNew], n[flow.TypeUpdate], n[flow.TypeDestroy])
		if n[flow.TypeNew] != tally[k] {
			wrong = append(wrong, fmt.Errorf("%d flows of %s over IPv%d were sent and %d were told", tally[k], k.Proto, k.Family, n[flow.TypeNew]))
		}
	}
	_ = w.Flush() // to standard output: an error there shows nowhere else either
	return wrong
}

func (d *demoParts) reportBooks(out io.Writer, books flow.Books) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\naccount\toffered\treceived\tdelivered\tlost\theld\t")
	for _, s := range books.Sockets {
		fmt.Fprintf(w, "kernel\t%d\t%d\t\t%d\t\t\n", s.Offered, s.Received, s.Lost)
	}
	for _, s := range books.Sinks {
		received := ""
		if s.Name == "nats" {
			received = strconv.FormatInt(d.reader.got.Load(), 10)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t\n", s.Name, s.Offered, received, s.Delivered, s.DroppedTotal()+s.DeadLettered, s.Held)
	}
	_ = w.Flush()
}
