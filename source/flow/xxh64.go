package flow

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH64.
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// hash96 is XXH64 with seed 0 of exactly 96 bytes: three stripes and no tail,
// so that the loop and the remainder handling fall away. The general algorithm
// is at github.com/Cyan4973/xxHash, doc/xxhash_spec.md.
func hash96(b *[96]byte) uint64 {
	p1, p2 := prime1, prime2
	v1, v2, v3, v4 := p1+p2, p2, uint64(0), -p1
	for i := 0; i < 96; i += 32 {
		v1 = round(v1, binary.LittleEndian.Uint64(b[i:]))
		v2 = round(v2, binary.LittleEndian.Uint64(b[i+8:]))
		v3 = round(v3, binary.LittleEndian.Uint64(b[i+16:]))
		v4 = round(v4, binary.LittleEndian.Uint64(b[i+24:]))
	}
	h := bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
	for _, v := range [...]uint64{v1, v2, v3, v4} {
		h = (h^round(0, v))*prime1 + prime4
	}
	h += 96
	h ^= h >> 33
	h *= prime2
	h ^= h >> 29
	h *= prime3
	return h ^ h>>32
}

func round(acc, lane uint64) uint64 {
	return bits.RotateLeft64(acc+lane*prime2, 31) * prime1
}
