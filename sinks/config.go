package sinks

import (
	"fmt"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// Config is one sink's configuration: the keys that every kind has, and in
// Options the kind's own, which stand beside them in the file.
type Config struct {
	Name    string `koanf:"-"` // the sink's key in the map of sinks
	Type    string `koanf:"type"`
	Enabled bool   `koanf:"enabled"`
	Profile string `koanf:"profile"` // one of Profiles, whose presets the other keys override, or ""

	Encoding        string      `koanf:"encoding"` // one of encode.Formats
	Events          []Event     `koanf:"events"`   // dump brings dump_end; gap and status always come
	Filter          Matcher     `koanf:"-"`        // nil passes all; the loader reads it, with its own grammar
	Fields          []string    `koanf:"fields"`
	Omit            []string    `koanf:"omit"`
	OmitDestination bool        `koanf:"omit_destination"` // hide the other end of each flow, whatever Fields and Omit say
	CommunityID     bool        `koanf:"community_id"`
	CommunityIDSeed uint16      `koanf:"community_id_seed"`
	Group           Group       `koanf:"batch"`
	Memory          option.Size `koanf:"memory"` // all that the sink's queue may use

	Flush      Flush         `koanf:"flush"`
	Retry      Backoff       `koanf:"retry"`
	DeadLetter DeadLetter    `koanf:"dead_letter"`
	Drain      time.Duration `koanf:"drain"` // how long the sink may go on delivering when it is to stop

	Options Options `koanf:"-"`
}

// Flush says when a batch goes to the sink: whichever comes first.
type Flush struct {
	Count  int           `koanf:"count"`  // records
	Bytes  option.Size   `koanf:"bytes"`  // encoded, without framing
	Linger time.Duration `koanf:"linger"` // since the first record of the batch was seen
}

// Backoff says how long to wait before the same is tried again: a random time
// up to Initial, then up to twice that, and so on, never more than Max.
type Backoff struct {
	Initial time.Duration `koanf:"initial"`
	Max     time.Duration `koanf:"max"`
}

// DeadLetter is the file for records that can never be delivered. Without a
// path they are dropped.
type DeadLetter struct {
	Path string      `koanf:"path"`
	Max  option.Size `koanf:"max"` // of the file; what no longer fits is dropped
}

// Matcher selects events. A *flow.Filter is one. Two sinks whose Matchers are
// equal (==) are matched once for both, so the loader gives equal filters one
// pointer. It must not be changed while it is in use, and with a Store it is
// asked by several goroutines at once.
type Matcher interface {
	Match(*flow.Event) bool
}

// Event is a record type that a sink can ask for. It is wider than a flow.Type
// because decoders take a list of what is as narrow for bytes.
type Event uint16

// UnmarshalText reads new, update, destroy, dump or interim.
func (e *Event) UnmarshalText(text []byte) error {
	t, ok := flow.ParseType(string(text))
	if !ok || !selectable().Has(t) {
		return fmt.Errorf("%q is no event that a sink can choose: expected new, update, destroy, dump or interim", text)
	}
	*e = Event(t)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (e Event) MarshalText() ([]byte, error) { return []byte(flow.Type(e).String()), nil }

func selectable() flow.Types {
	return flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeDump, flow.TypeInterim)
}

// NewConfig gives the defaults of a sink of the given kind, or an error that
// lists the kinds.
func NewConfig(name, kind string) (Config, error) {
	options, ok := Kinds()[kind]
	if !ok {
		return Config{}, option.Faults{{Path: "type", Text: unknown(kind, Kinds())}}
	}
	return Config{
		Name:       name,
		Type:       kind,
		Enabled:    true,
		Encoding:   "json",
		Events:     []Event{Event(flow.TypeNew), Event(flow.TypeUpdate), Event(flow.TypeDestroy)},
		Group:      GroupNone,
		Memory:     32 * option.MiB,
		Flush:      Flush{Count: 4096, Bytes: 900 * option.KiB, Linger: lingerOf(kind)},
		Retry:      Backoff{Initial: 100 * time.Millisecond, Max: 30 * time.Second},
		DeadLetter: DeadLetter{Max: 64 * option.MiB},
		Drain:      10 * time.Second,
		Options:    options(),
	}, nil
}

// lingerOf is how long a kind's batches wait for more by default. Each batch to
// a broker is a round trip, while a file takes many small writes, and the source
// has gathered what came during its own pause already.
func lingerOf(kind string) time.Duration {
	switch kind {
	case "file", "stdout":
		return 0
	}
	return 20 * time.Millisecond
}

// Types is the set of record types that the sink gets.
func (c *Config) Types() flow.Types {
	types := flow.AlwaysTypes
	for _, e := range c.Events {
		types |= flow.TypesOf(flow.Type(e))
	}
	if types.Has(flow.TypeDump) {
		types |= flow.TypesOf(flow.TypeDumpEnd)
	}
	return types
}

// Projection is what Fields, Omit, OmitDestination and CommunityID say together.
func (c *Config) Projection() (encode.Projection, error) {
	p, err := encode.NewProjection(c.Fields, c.Omit, c.CommunityID, c.CommunityIDSeed)
	if err == nil && c.OmitDestination {
		p = p.WithoutDestination()
	}
	return p, err
}
