package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// replayBatch is how many records go on at once, as many as the source reads.
const replayBatch = 256

// replay reads records from a file. The rates are those of the records' times.
func (t *trial) replay(ctx context.Context, f sampleFlags, stdin io.Reader, out source.Taker) error {
	t.tally.wait = t.settle
	in, name, err := openInput(f.replay, stdin)
	if err != nil {
		return usageError{fmt.Errorf("--replay: %w", err)}
	}
	defer in.Close()
	plain, err := decompress(bufio.NewReaderSize(in, 256<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	format, taken, err := formatOf(plain, f.from)
	if err != nil {
		return err
	}
	r := &replayer{t: t, out: out, records: encode.Records(plain, format.Framing), dec: format.NewDecoder(), batch: flow.NewBatch(replayBatch)}
	for ctx.Err() == nil {
		more, err := r.next()
		if err != nil {
			return fmt.Errorf("%s%s: %w", name, taken, err)
		}
		if !more {
			break
		}
	}
	t.span = time.Duration(max(r.last-r.first, 0))
	return nil
}

// replayer reads batches of records.
type replayer struct {
	t           *trial
	out         source.Taker
	records     *encode.RecordReader
	dec         encode.Decoder
	batch       *flow.Batch
	n           int
	first, last int64
}

// next hands one batch on; more is false at the end of the file.
func (r *replayer) next() (more bool, err error) {
	r.batch.Reset()
	for more = true; more && r.batch.Free() > 0; {
		record, err := r.records.Next()
		if errors.Is(err, io.EOF) {
			more = false
			break
		}
		r.n++
		if err == nil {
			err = r.dec.Decode(r.batch, record)
		}
		if err != nil {
			return false, fmt.Errorf("record %d: %w", r.n, err)
		}
	}
	r.batch.Keep(r.keeps)
	for i := range r.batch.Events() {
		at := r.batch.Events()[i].Time
		if r.first == 0 || at < r.first {
			r.first = at
		}
		r.last = max(r.last, at)
	}
	r.out.Take(r.batch)
	return more, nil
}

// keeps is what the source would have handed on: it asks for some events alone
// and has a filter. Gaps and status are those of the run that wrote the file.
func (r *replayer) keeps(e *flow.Event) bool {
	kernels := flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy)
	src := &r.t.cfg.Source
	switch {
	case flow.AlwaysTypes.Has(e.Type), kernels.Has(e.Type) && !src.Events.Has(e.Type):
		return false
	}
	return src.Filter.Match(e)
}
