package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// secondsOfDay is what a rate is multiplied with.
const secondsOfDay = 86400

// sampleReport is what --json prints.
type sampleReport struct {
	From    string            `json:"from"` // host, or the file's name
	Seconds float64           `json:"seconds"`
	Events  map[string]uint64 `json:"events"` // that the source handed on, by type
	Kernel  *kernelReport     `json:"kernel,omitempty"`
	Sinks   []sinkReport      `json:"sinks"`
}

// kernelReport is the account of the event sockets together.
type kernelReport struct {
	Offered  uint64 `json:"offered"`
	Lost     uint64 `json:"lost"`
	Excluded uint64 `json:"excluded"`
}

// sinkReport is one sink's volume. Rates are absent where there is no span.
type sinkReport struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Encoding string `json:"encoding"`
	Records  uint64 `json:"records"`
	Bytes    uint64 `json:"bytes"`
	Messages uint64 `json:"messages,omitempty"`
	TooLarge uint64 `json:"too_large,omitempty"`
	Dropped  uint64 `json:"dropped,omitempty"` // for want of memory: the figures are too low

	RecordsPerSecond  *float64 `json:"records_per_second,omitempty"`
	BytesPerSecond    *float64 `json:"bytes_per_second,omitempty"`
	MessagesPerSecond *float64 `json:"messages_per_second,omitempty"`
	GBPerDay          *float64 `json:"gb_per_day,omitempty"` // 10^9 bytes

	Compression *compressionReport `json:"compression,omitempty"`
	Why         string             `json:"why,omitempty"` // it got nothing
	Samples     []sampleRecord     `json:"samples,omitempty"`
}

// compressionReport is what the sink's compression makes of it.
type compressionReport struct {
	Codec    string   `json:"codec"`
	Ratio    float64  `json:"ratio"` // of the bytes afterwards to those before
	GBPerDay *float64 `json:"gb_per_day,omitempty"`
}

// sampleRecord is a real record. Protobuf is shown as JSON.
type sampleRecord struct {
	Bytes  int    `json:"bytes"`
	Record string `json:"record"`
}

func (t *trial) report(f sampleFlags) sampleReport {
	r := sampleReport{From: f.replay, Seconds: t.span.Seconds(), Events: map[string]uint64{}}
	for typ, n := range t.tally.seen {
		if n > 0 {
			r.Events[flow.Type(typ).String()] = n
		}
	}
	if f.replay == "" {
		r.From, r.Kernel = "host", &kernelReport{}
		for _, k := range t.sockets {
			r.Kernel.Offered += k.Offered
			r.Kernel.Lost += k.Lost
			r.Kernel.Excluded += k.Excluded
		}
	}
	for i := range t.meters {
		r.Sinks = append(r.Sinks, t.sinkReport(i))
	}
	return r
}

func (t *trial) sinkReport(i int) sinkReport {
	c, v, books := &t.cfg.Sinks[i], t.meters[i].Volume(), t.outlets[i].Books()
	r := sinkReport{
		Name: c.Name, Type: c.Type, Encoding: c.Encoding, Records: v.Records, Bytes: v.Bytes, Messages: v.Messages,
		TooLarge: v.TooLarge, Dropped: books.DroppedTotal(), Why: t.why(i),
	}
	r.RecordsPerSecond, r.BytesPerSecond, r.GBPerDay = t.rate(v.Records, 1), t.rate(v.Bytes, 1), t.rate(v.Bytes, secondsOfDay/1e9)
	if v.Messages > 0 {
		r.MessagesPerSecond = t.rate(v.Messages, 1)
	}
	if v.Codec != "" && v.Plain > 0 {
		ratio := float64(v.Packed) / float64(v.Plain)
		r.Compression = &compressionReport{v.Codec, ratio, t.rate(v.Bytes, ratio*secondsOfDay/1e9)}
	}
	for _, s := range v.Samples {
		r.Samples = append(r.Samples, sampleRecord{len(s), shown(c, s)})
	}
	return r
}

// rate is n a second, times by; nil where no time passed.
func (t *trial) rate(n uint64, by float64) *float64 {
	if t.span <= 0 {
		return nil
	}
	v := float64(n) / t.span.Seconds() * by
	return &v
}

// shown is a record as a person reads it.
func shown(c *sinks.Config, record []byte) string {
	format := encode.Formats()[c.Encoding]
	if format.Framing == encode.Lines {
		return string(record)
	}
	b := flow.NewBatch(1)
	if err := format.NewDecoder().Decode(b, record); err != nil {
		return fmt.Sprintf("%x", record)
	}
	projection, err := c.Projection()
	if err != nil {
		return fmt.Sprintf("%x", record)
	}
	return string(encode.Formats()["json"].NewEncoder(projection).Append(nil, &b.Events()[0]))
}

func (t *trial) printJSON(w io.Writer, f sampleFlags) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(t.report(f))
}

func (t *trial) print(w io.Writer, f sampleFlags) error {
	r := t.report(f)
	from := "this host's events"
	if f.replay != "" {
		from = "records of " + f.replay
	}
	fmt.Fprintf(w, "%v of %s: %s\n", t.span.Round(time.Millisecond), from, orNone(t.tally.seen.String()))
	if k := r.Kernel; k != nil && (k.Lost > 0 || k.Excluded > 0) {
		fmt.Fprintf(w, "the kernel offered %d, lost %d; source.filter excluded %d\n", k.Offered, k.Lost, k.Excluded)
	}
	if t.span <= 0 {
		fmt.Fprintln(w, "all at one time: there are no rates")
	}
	for i := range r.Sinks {
		printSink(w, &r.Sinks[i])
	}
	_, err := fmt.Fprintln(w, "\nNothing was sent. Status records, one a minute for each sink, are not counted.")
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func printSink(w io.Writer, s *sinkReport) {
	fmt.Fprintf(w, "\nsink %s: %s, %s, %d records\n", s.Name, s.Type, s.Encoding, s.Records)
	if s.Why != "" {
		fmt.Fprintf(w, "  nothing: %s\n", s.Why)
		return
	}
	if s.RecordsPerSecond != nil {
		fmt.Fprintf(w, "  %.1f records/s, %s/s, %.3f GB/day", *s.RecordsPerSecond, metric(*s.BytesPerSecond), *s.GBPerDay)
		if c := s.Compression; c != nil {
			fmt.Fprintf(w, ", %.3f GB/day after %s (%.1f %%)", *c.GBPerDay, c.Codec, 100*c.Ratio)
		}
		if s.MessagesPerSecond != nil {
			fmt.Fprintf(w, ", %.1f messages/s", *s.MessagesPerSecond)
		}
		fmt.Fprintln(w)
	}
	if s.TooLarge > 0 {
		fmt.Fprintf(w, "  %d records are too large for a message: the sink would refuse them\n", s.TooLarge)
	}
	if s.Dropped > 0 {
		fmt.Fprintf(w, "  %d records found no room in memory: the figures are too low\n", s.Dropped)
	}
	for _, r := range s.Samples {
		fmt.Fprintf(w, "  %4d bytes  %s\n", r.Bytes, r.Record)
	}
}

// metric writes bytes with a decimal prefix.
func metric(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return fmt.Sprintf("%.1f %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f GB", n)
}
