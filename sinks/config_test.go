package sinks

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// TestDefaultsAreValid takes every kind at its defaults with what has none.
func TestDefaultsAreValid(t *testing.T) {
	for kind := range Kinds() {
		cfg, err := NewConfig("archive", kind)
		must(t, err)
		if o, ok := cfg.Options.(*FileOptions); ok {
			o.Path = "/var/log/ctferry/flows.jsonl"
		}
		if kind != "file" && kind != "stdout" {
			continue // they cannot be valid without an address; their own tests give one
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if why := cfg.Options.Unordered(); why != "" {
			t.Errorf("%s: %s", kind, why)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	_, err := NewConfig("x", "flie")
	if err == nil || !strings.Contains(err.Error(), `type: "flie" is not known: expected file, `) {
		t.Errorf("%v", err)
	}
}

func TestConfigFaults(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config, *FileOptions)
		want   string
	}{
		{"name", func(c *Config, _ *FileOptions) { c.Name = "Bad-Name" }, `"Bad-Name" is no name`},
		{"type", func(c *Config, _ *FileOptions) { c.Type = "x" }, "type: "},
		{"encoding", func(c *Config, _ *FileOptions) { c.Encoding = "yaml" }, `encoding: "yaml" is not known: expected json, protobuf, xml`},
		{"events", func(c *Config, _ *FileOptions) { c.Events = nil }, "events: empty"},
		{"fields and omit", func(c *Config, _ *FileOptions) { c.Fields, c.Omit = []string{"mark"}, []string{"zone"} }, "fields and omit"},
		{"seed", func(c *Config, _ *FileOptions) { c.CommunityIDSeed = 1 }, "community_id_seed: "},
		{"batch", func(c *Config, _ *FileOptions) { c.Group = GroupNDJSON }, `batch: "ndjson" is not known here: expected none`},
		{"memory low", func(c *Config, _ *FileOptions) { c.Memory = 2*option.MiB - 1 }, "memory: 2097151B is out of range: expected 2MiB"},
		{"memory high", func(c *Config, _ *FileOptions) { c.Memory = 65 * option.GiB }, "memory: "},
		{"flush.count", func(c *Config, _ *FileOptions) { c.Flush.Count = 0 }, "flush.count: 0 is out of range: expected 1 to 65536"},
		{"flush.bytes", func(c *Config, _ *FileOptions) { c.Flush.Bytes = 17 * option.MiB }, "flush.bytes: 17MiB is out of range: expected 1KiB to 16MiB"},
		{"flush.linger", func(c *Config, _ *FileOptions) { c.Flush.Linger = -1 }, "flush.linger: "},
		{"retry.initial", func(c *Config, _ *FileOptions) { c.Retry.Initial = 0 }, "retry.initial: "},
		{"retry.max", func(c *Config, _ *FileOptions) { c.Retry.Max = time.Millisecond }, "retry.max: 1ms is out of range: expected 100ms"},
		{"drain", func(c *Config, _ *FileOptions) { c.Drain = -time.Second }, "drain: "},
		{"dead_letter.path", func(c *Config, _ *FileOptions) { c.DeadLetter.Path = "dead" }, "dead_letter.path: "},
		{"dead_letter.max", func(c *Config, _ *FileOptions) { c.DeadLetter = DeadLetter{"/d", 1} }, "dead_letter.max: 1B is too small"},
		{"path", func(_ *Config, o *FileOptions) { o.Path = "" }, "path: missing"},
		{"path outside base", func(_ *Config, o *FileOptions) { o.Base = "/srv" }, "path: "},
		{"base", func(_ *Config, o *FileOptions) { o.Base = "srv" }, "base: "},
		{"mode", func(_ *Config, o *FileOptions) { o.Mode = 0o440 }, "mode: 0440 is out of range"},
		{"fsync", func(_ *Config, o *FileOptions) { o.Fsync = "always" }, `fsync: "always" is not known: expected none, interval, every_batch`},
		{"fsync_interval", func(_ *Config, o *FileOptions) { o.Fsync, o.FsyncInterval = FsyncInterval, 0 }, "fsync_interval: "},
		{"direct", func(_ *Config, o *FileOptions) { o.Direct = "on" }, `direct: "on" is not known: expected auto, off`},
		{"rotate.size", func(_ *Config, o *FileOptions) { o.Rotate.Size = 100 }, "rotate.size: 100B is out of range"},
		{"rotate.interval", func(_ *Config, o *FileOptions) { o.Rotate.Interval = 1 }, "rotate.interval: "},
		{"rotate.keep", func(_ *Config, o *FileOptions) { o.Rotate.Keep = -1 }, "rotate.keep: "},
		{"rotate.max_age", func(_ *Config, o *FileOptions) { o.Rotate.MaxAge = 1 }, "rotate.max_age: "},
		{"rotate.max_total", func(_ *Config, o *FileOptions) { o.Rotate.MaxTotal = option.MiB }, "rotate.max_total: 1MiB is less than rotate.size, 256MiB"},
		{"rotate unbounded", func(_ *Config, o *FileOptions) { o.Rotate.Keep = 0 }, "rotate: nothing bounds"},
		{"rotate.compress", func(_ *Config, o *FileOptions) { o.Rotate.Compress = "lz4" }, `rotate.compress: "lz4" is not known`},
	}
	for _, tt := range tests {
		cfg, err := NewConfig("archive", "file")
		must(t, err)
		opt := cfg.Options.(*FileOptions)
		opt.Path = "/var/log/ctferry/flows.jsonl"
		tt.change(&cfg, opt)
		faults, ok := cfg.Validate().(option.Faults)
		if !ok || len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), tt.want) {
			t.Errorf("%s: %q, expected one fault %q…", tt.name, faults, tt.want)
		}
	}
}

func TestGroupSuitsEncoding(t *testing.T) {
	tests := []struct {
		encoding string
		group    Group
		ok       bool
	}{
		{"json", GroupNone, true}, {"json", GroupNDJSON, true}, {"json", GroupRecordBatch, false},
		{"xml", GroupNDJSON, true}, {"xml", GroupRecordBatch, false},
		{"protobuf", GroupNone, true}, {"protobuf", GroupNDJSON, false}, {"protobuf", GroupRecordBatch, true},
		{"json", "lines", false},
	}
	for _, tt := range tests {
		cfg, err := NewConfig("s", "stdout")
		must(t, err)
		cfg.Options, cfg.Encoding, cfg.Group = scriptOptions{}, tt.encoding, tt.group
		if err := cfg.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s in %s: %v", tt.encoding, tt.group, err)
		}
	}
}

func TestConfigTypes(t *testing.T) {
	cfg, err := NewConfig("s", "stdout")
	must(t, err)
	if got := cfg.Types().Names(); !slices.Equal(got, []string{"new", "update", "destroy", "gap", "status"}) {
		t.Errorf("by default %v", got)
	}
	cfg.Events = []Event{Event(flow.TypeDump), Event(flow.TypeInterim)}
	if got := cfg.Types().Names(); !slices.Equal(got, []string{"dump", "dump_end", "interim", "gap", "status"}) {
		t.Errorf("dump and interim give %v", got)
	}
}

func TestTexts(t *testing.T) {
	tests := []struct {
		value encoding.TextUnmarshaler
		text  string
		ok    bool
	}{
		{new(Event), "new", true}, {new(Event), "interim", true}, {new(Event), "dump", true},
		{new(Event), "gap", false}, {new(Event), "status", false}, {new(Event), "dump_end", false}, {new(Event), "", false}, {new(Event), "NEW", false},
		{new(FileMode), "0640", true}, {new(FileMode), "0600", true}, {new(FileMode), "0o640", false}, {new(FileMode), "rw", false}, {new(FileMode), "0980", false},
	}
	for _, tt := range tests {
		if err := tt.value.UnmarshalText([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("%T %q: %v", tt.value, tt.text, err)
			continue
		}
		if !tt.ok {
			continue
		}
		back, err := tt.value.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(back) != tt.text {
			t.Errorf("%q came back as %q, %v", tt.text, back, err)
		}
	}
}

// TestEveryKeyHasATag: a field that the loader cannot reach would be silent.
func TestEveryKeyHasATag(t *testing.T) {
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag, ok := f.Tag.Lookup("koanf")
			if !ok || tag == "" || tag != strings.ToLower(tag) {
				t.Errorf("%s.%s has the tag %q", typ, f.Name, tag)
			}
			if f.Type.Kind() == reflect.Struct && tag != "-" {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	walk(reflect.TypeFor[FileOptions]())
}
