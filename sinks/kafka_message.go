package sinks

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/ctferry/ctferry/encode"
)

// appendKafkaHeaders appends a message's headers as they stand at a record's
// end: their number, then each name and value behind its length. They are the
// same on every message, so they are made once.
func appendKafkaHeaders(dst []byte, contentType string, static map[string]string) []byte {
	all := map[string]string{headerContentType: contentType, headerSchema: encode.Schema}
	maps.Copy(all, static)
	dst = binary.AppendVarint(dst, int64(len(all)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, s := range []string{name, all[name]} {
			dst = binary.AppendVarint(dst, int64(len(s)))
			dst = append(dst, s...)
		}
	}
	return dst
}

// appendKafkaJoined appends one more record to a message that holds several:
// lines parted by newlines, or, for protobuf, field 1 of a RecordBatch.
func appendKafkaJoined(dst []byte, g Group, value []byte) []byte {
	if g == GroupRecordBatch {
		dst = append(dst, 1<<3|2) // field 1, length-delimited
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		return append(dst, value...)
	}
	if len(dst) > 0 {
		dst = append(dst, '\n')
	}
	return append(dst, value...)
}

// kafkaJoinedLen is a bound of what appendKafkaJoined appends.
func kafkaJoinedLen(value []byte) int { return len(value) + 1 + binary.MaxVarintLen32 }
