package sinks

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
)

// The bounds of a sink's keys.
const (
	minMemory   = 2 * option.MiB
	maxMemory   = 64 * option.GiB
	maxCount    = 65536
	minBytes    = option.KiB
	maxLinger   = 10 * time.Second
	minBackoff  = time.Millisecond
	maxBackoff  = time.Hour
	maxDrain    = 10 * time.Minute
	minDeadSize = 4 * option.KiB
)

// A grouper is Options that take only some groupings; others take all that
// suit the encoding.
type grouper interface {
	Groups() []Group
}

// Validate reports every fault, as option.Faults, each under its key.
func (c *Config) Validate() error {
	var fs option.Faults
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(c.Name) {
		fs.Add("", fmt.Sprintf("%q is no name for a sink: expected a-z, then a-z, 0-9 and _", c.Name))
	}
	if _, ok := Kinds()[c.Type]; !ok {
		fs.Add("type", unknown(c.Type, Kinds()))
	}
	if _, ok := Profiles()[c.Profile]; !ok && c.Profile != "" {
		fs.Add("profile", unknown(c.Profile, Profiles()))
	}
	c.validateRecord(&fs)
	c.validateQueue(&fs)
	c.validateDeadLetter(&fs)
	if c.Options != nil {
		fs.Join("", c.Options.Validate())
	}
	return fs.Err()
}

// validateRecord checks what a record is and how records are grouped.
func (c *Config) validateRecord(fs *option.Faults) {
	format, ok := encode.Formats()[c.Encoding]
	if !ok {
		fs.Add("encoding", unknown(c.Encoding, encode.Formats()))
	}
	if len(c.Events) == 0 {
		fs.Add("events", "empty: expected at least one of new, update, destroy, dump, interim")
	}
	if _, err := c.Projection(); err != nil {
		fs.Add("", err.Error()) // it names fields or omit
	}
	if c.OmitDestination && c.CommunityID {
		fs.Add("community_id", "tells the destination, which omit_destination: true leaves out: expected only one of them")
	}
	if c.CommunityIDSeed != 0 && !c.CommunityID {
		fs.Add("community_id_seed", "has no effect without community_id: true")
	}
	groups := []Group{GroupNone, GroupNDJSON, GroupRecordBatch}
	if g, ok := c.Options.(grouper); ok {
		groups = g.Groups()
	}
	switch {
	case !slices.Contains(groups, c.Group):
		fs.Add("batch", fmt.Sprintf("%q is not known here: expected %s", c.Group, list(groups)))
	case !ok:
	case c.Group == GroupNDJSON && format.Framing != encode.Lines:
		fs.Add("batch", fmt.Sprintf("ndjson needs records that are lines: %s is not, expected record_batch or none", c.Encoding))
	case c.Group == GroupRecordBatch && format.Framing != encode.Delimited:
		fs.Add("batch", fmt.Sprintf("record_batch needs encoding protobuf: with %s expected ndjson or none", c.Encoding))
	}
}

func (c *Config) validateQueue(fs *option.Faults) {
	within(fs, "memory", c.Memory, minMemory, maxMemory)
	within(fs, "flush.count", c.Flush.Count, 1, maxCount)
	// Half of the queue must stay free for the reader while a batch is under way.
	within(fs, "flush.bytes", c.Flush.Bytes, minBytes, max(minMemory, c.Memory)/2)
	within(fs, "flush.linger", c.Flush.Linger, 0, maxLinger)
	within(fs, "retry.initial", c.Retry.Initial, minBackoff, maxBackoff)
	within(fs, "retry.max", c.Retry.Max, max(minBackoff, c.Retry.Initial), maxBackoff)
	within(fs, "drain", c.Drain, 0, maxDrain)
}

func (c *Config) validateDeadLetter(fs *option.Faults) {
	if c.DeadLetter.Path == "" {
		return
	}
	if !filepath.IsAbs(c.DeadLetter.Path) || strings.HasSuffix(c.DeadLetter.Path, "/") {
		fs.Add("dead_letter.path", fmt.Sprintf("%q: expected the absolute path of a file", c.DeadLetter.Path))
	}
	if c.DeadLetter.Max < minDeadSize {
		fs.Add("dead_letter.max", fmt.Sprintf("%s is too small: expected at least %s", c.DeadLetter.Max, minDeadSize))
	}
}

// within adds a fault unless low <= v <= high.
func within[T int | option.Size | time.Duration](fs *option.Faults, key string, v, low, high T) {
	if v < low || v > high {
		fs.Add(key, fmt.Sprintf("%v is out of range: expected %v to %v", v, low, high))
	}
}

// unknown says which names there are instead of the one that was given.
func unknown[V any](name string, known map[string]V) string {
	return fmt.Sprintf("%q is not known: expected %s", name, list(slices.Sorted(maps.Keys(known))))
}

// list joins words for a message.
func list[S ~string](words []S) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}
