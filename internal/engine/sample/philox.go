package sample

import "math/bits"

// philox is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers:
// as easy as 1, 2, 3; SC 2011): a keyed bijection of 128-bit counters.
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	const (
		mul0, mul1   = 0xD2511F53, 0xCD9E8D57
		weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85 // golden ratio, sqrt(3)-1
	)
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, counter[0])
		hi1, lo1 := bits.Mul32(mul1, counter[2])
		counter = [4]uint32{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
		key[0] += weyl0
		key[1] += weyl1
	}
	return counter
}

// Uniform is the random number in [0, 1), of 53 bits, that belongs to a seed, a
// choice and a position. The seed fills Philox's 64-bit key; choice and
// position share the counter, which separates streams just as well: no two
// triples ever use the same block.
func Uniform(seed uint64, choice, pos int) float64 {
	r := philox(
		[4]uint32{uint32(pos), uint32(uint64(pos) >> 32), uint32(choice), uint32(uint64(choice) >> 32)},
		[2]uint32{uint32(seed), uint32(seed >> 32)},
	)
	return float64((uint64(r[1])<<32|uint64(r[0]))>>11) * 0x1p-53
}
