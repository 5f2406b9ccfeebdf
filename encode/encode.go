package encode

import "github.com/ctferry/ctferry/source/flow"

// Schema names the record's fields and their meaning; it changes only when a
// reader of the old one could be misled.
const Schema = "ctferry.v1"

// An Encoder renders events in one format under one projection. It remembers
// what it rendered of the last Origin, and how it wrote events of the shapes that
// come often, so it is not safe for concurrent use.
type Encoder interface {
	// Append appends e as exactly one record, without framing, to dst and
	// returns the extended slice. It never fails, allocates nothing but what dst
	// needs to grow once it knows the shapes that come, and may write over what
	// stands behind the record within dst's capacity.
	Append(dst []byte, e *flow.Event) []byte
}

// A Decoder reads one format back. It interns what repeats (the origin), within
// a bound, so it is not safe for concurrent use.
type Decoder interface {
	// Decode reads exactly one unframed record into the next slot of b, which
	// must have room. On an error b is as it was; the error names the field.
	Decode(b *flow.Batch, record []byte) error
}

// Framing says how records of a format stand one behind the other in a file.
type Framing uint8

// The framings.
const (
	Lines     Framing = iota // each record ends with a newline and holds none
	Delimited                // each record stands behind its length as a varint
)

// Format is one way to write a record.
type Format struct {
	Name        string // as the configuration says it
	ContentType string // media type of one record
	Extension   string // of a file, with its dot
	Framing     Framing
	NewEncoder  func(Projection) Encoder
	NewDecoder  func() Decoder

	// NewToldDecoder makes a decoder that keeps every derived value as the record
	// tells it, also one that would be derived the same: for whoever changes the
	// event, from what stands beside the record, before it is written again.
	NewToldDecoder func() Decoder
}

// Formats are all the formats by name. A new one is one file and one line here.
func Formats() map[string]Format {
	return map[string]Format{
		"json":     jsonFormat(),
		"xml":      xmlFormat(),
		"protobuf": protobufFormat(),
	}
}
