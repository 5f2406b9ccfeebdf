package sinks

import (
	"strings"

	"github.com/ctferry/ctferry/encode"
)

// What every message of a broker says of its content, beside what the broker
// itself wants. The schema is encode.Schema.
const (
	headerContentType = "content-type"
	headerSchema      = "ctferry-schema"
)

// groupContentType is the media type of one message's value.
func groupContentType(f encode.Format, g Group) string {
	switch {
	case g == GroupNDJSON && f.Name == "json":
		return "application/x-ndjson"
	case g == GroupRecordBatch:
		return strings.Replace(f.ContentType, encode.Schema+".Record", encode.Schema+".RecordBatch", 1)
	}
	return f.ContentType
}

// groupedLen is how many bytes encode.AppendGroup appends for one more record,
// which is not the message's first.
func groupedLen(g Group, value []byte) int {
	if g == GroupRecordBatch {
		return 1 + uvarintLen(uint64(len(value))) + len(value)
	}
	return 1 + len(value)
}
