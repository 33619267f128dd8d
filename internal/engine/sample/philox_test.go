package sample

import (
	"math"
	"testing"
)

// The vectors are Random123's tests/kat_vectors, "philox4x32 10".
func TestPhiloxMatchesRandom123(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32},
			[2]uint32{math.MaxUint32, math.MaxUint32},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

func TestUniformIsEvenAndSeparatesItsArguments(t *testing.T) {
	const n = 20000
	var buckets [10]int
	for i := range n {
		u := Uniform(7, 0, i)
		if u < 0 || u >= 1 {
			t.Fatalf("Uniform(7, 0, %d) = %g", i, u)
		}
		buckets[int(u*10)]++
	}
	chi := 0.0
	for _, k := range buckets {
		chi += math.Pow(float64(k)-n/10, 2) / (n / 10)
	}
	if chi > 27.9 { // 9 degrees of freedom, 0.1 %
		t.Errorf("buckets %v: chi-squared %.1f", buckets, chi)
	}
	seen := map[float64]bool{}
	for _, seed := range []uint64{0, 1, 1 << 32, math.MaxUint64} {
		for choice := range 4 {
			for pos := range 4 {
				seen[Uniform(seed, choice, pos)] = true
			}
		}
	}
	if len(seen) != 4*4*4 {
		t.Errorf("64 triples gave %d numbers", len(seen))
	}
}
