package sinks

import (
	"encoding/binary"
	"hash/crc32"
)

// appendKafkaKey appends the record's key: the flow's id as 16 hex digits, as
// in the record, its inside address as text, or the node's name. Gaps and
// status records have no flow and are keyed by node, as is what has no address.
func appendKafkaKey(dst []byte, kind string, r *Record) []byte {
	if kind == kafkaKeyInside {
		if a, ok := r.Inside(); ok {
			return a.AppendTo(dst)
		}
	}
	if kind == kafkaKeyFlow && r.FlowID != 0 {
		const digits = "0123456789abcdef"
		for shift := 60; shift >= 0; shift -= 4 {
			dst = append(dst, digits[r.FlowID>>shift&15])
		}
		return dst
	}
	if r.Origin == nil {
		return dst
	}
	return append(dst, r.Origin.Node...)
}

// kafkaPartitionOf maps a key to one of n partitions.
func kafkaPartitionOf(partitioner string, key []byte, n int) int {
	if partitioner == kafkaCRC32 {
		return int(crc32.ChecksumIEEE(key) % uint32(n)) // librdkafka: "consistent"
	}
	return int(murmur2Java(key) & 0x7fffffff % uint32(n)) // Java: Utils.toPositive(Utils.murmur2(key)) % n
}

// murmur2Java is Austin Appleby's MurmurHash2 (public domain) with the seed that
// Java's producer uses (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2Java(data []byte) uint32 {
	const m, seed = 0x5bd1e995, 0x9747b28c
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	var tail uint32
	for i, b := range data {
		tail |= uint32(b) << (8 * i)
	}
	if len(data) > 0 {
		h = (h ^ tail) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
