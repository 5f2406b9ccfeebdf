package sinks

import (
	"bytes"
	"context"
	"sync"

	"github.com/ctferry/ctferry/source/flow"
)

// Volume is what a sink would have sent.
type Volume struct {
	Records  uint64 // events' and dump rows'; gap and status records are left out
	Bytes    uint64 // as they go out, before compression: in their frames, or in messages with keys and headers
	Messages uint64 // of a broker; 0 for what is no broker
	TooLarge uint64 // records that no message can hold

	Codec  string // of the sink's compression, "" if it has none
	Plain  uint64 // bytes that were compressed, to see what it makes of them
	Packed uint64 // what became of those

	Samples [][]byte // a few records as encoded, of as many types as there were
}

// The bounds of what a Meter keeps and compresses.
const (
	meterSamples = 3
	meterPacked  = 256 << 20 // bytes given to the compressor; what comes later is like it
)

// Meter stands in the place of a sink: it takes batches as the sink would get
// them, makes messages of them as it would, and lets them go. It opens nothing
// and writes nothing.
type Meter struct {
	mu      sync.Mutex
	v       Volume
	samples map[flow.Type][][]byte
}

// Metered gives a configuration that is the same but that its sink is a Meter.
func Metered(c Config) (Config, *Meter) {
	m := &Meter{samples: map[flow.Type][][]byte{}}
	c.Options = &meterOptions{Options: c.Options, meter: m}
	c.DeadLetter.Path = ""
	return c, m
}

// Volume is what was taken until now; the compression's part is whole once the
// outlet has ended.
func (m *Meter) Volume() Volume {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.v
	for round := 0; round < meterSamples; round++ {
		for typ := flow.TypeNew; typ < flow.TypeGap && len(v.Samples) < meterSamples; typ++ {
			if kept := m.samples[typ]; round < len(kept) {
				v.Samples = append(v.Samples, kept[round])
			}
		}
	}
	return v
}

// note counts a record and may keep it.
func (m *Meter) note(r *Record) {
	m.v.Records++
	if kept := m.samples[r.Type]; len(kept) < meterSamples {
		m.samples[r.Type] = append(kept, bytes.Clone(r.Value))
	}
}

// meterOptions are a kind's options with a meter in the place of the sink.
type meterOptions struct {
	Options
	meter *Meter
}

func (o *meterOptions) wantsInside() bool {
	keyed, ok := o.Options.(insideKeyed)
	return ok && keyed.wantsInside()
}

// New makes the meter that suits the kind. It does no I/O, as the sink's own New.
func (o *meterOptions) New(env Env) (Sink, error) {
	real, err := o.Options.New(env)
	if err != nil {
		return nil, err
	}
	s := &meterSink{meter: o.meter}
	switch real := real.(type) {
	case *Kafka:
		o.meter.v.Codec = real.codec.name
		s.take = (&kafkaMeter{k: real, v: &o.meter.v}).take
	case *NATS:
		s.take = (&natsMeter{n: real, v: &o.meter.v}).take
	case *fileSink:
		f := &frameMeter{framing: env.Format.Framing, v: &o.meter.v}
		err = f.compress(real.opt.Rotate.Compress)
		s.take, s.end = f.take, f.end
	default:
		s.take = (&frameMeter{framing: env.Format.Framing, v: &o.meter.v}).take
	}
	if o.meter.v.Codec == "none" {
		o.meter.v.Codec = ""
	}
	return s, err
}

// meterSink is the Sink that a meter is.
type meterSink struct {
	meter *Meter
	own   Batch
	take  func(*Batch) error
	end   func() error
}

// Open has nothing to do.
func (s *meterSink) Open(context.Context) error { return nil }

// Write counts a batch's records but those of gaps and status, which the sink
// gets too, once a minute.
func (s *meterSink) Write(_ context.Context, b *Batch) error {
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	s.own.Records = s.own.Records[:0]
	for i := range b.Records {
		if !flow.AlwaysTypes.Has(b.Records[i].Type) {
			s.own.Records = append(s.own.Records, b.Records[i])
			s.meter.note(&b.Records[i])
		}
	}
	if len(s.own.Records) == 0 {
		return nil
	}
	return s.take(&s.own)
}

// Close ends the compression.
func (s *meterSink) Close(context.Context) error {
	if s.end == nil {
		return nil
	}
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	return s.end()
}
