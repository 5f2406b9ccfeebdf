package flow

import "math/bits"

// The primes of XXH64.
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// hash96 is XXH64 with seed 0 of exactly 96 bytes, given as little-endian lanes:
// three stripes and no tail, so that the loop and the remainder handling fall
// away. The general algorithm is at github.com/Cyan4973/xxHash,
// doc/xxhash_spec.md.
func hash96(lanes *[12]uint64) uint64 {
	p1, p2 := prime1, prime2
	v1 := round(round(round(p1+p2, lanes[0]), lanes[4]), lanes[8])
	v2 := round(round(round(p2, lanes[1]), lanes[5]), lanes[9])
	v3 := round(round(round(0, lanes[2]), lanes[6]), lanes[10])
	v4 := round(round(round(-p1, lanes[3]), lanes[7]), lanes[11])
	h := bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
	h = (h^round(0, v1))*prime1 + prime4
	h = (h^round(0, v2))*prime1 + prime4
	h = (h^round(0, v3))*prime1 + prime4
	h = (h^round(0, v4))*prime1 + prime4
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
