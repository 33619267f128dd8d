package reference

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// rope holds cos and sin of every position: [MaxContext][pairs].
type rope struct {
	pairs       int
	interleaved bool
	cos, sin    []float32
}

func newRope(s backend.RopeSpec, positions int) rope {
	r := rope{pairs: len(s.Inv), interleaved: s.Interleaved}
	for pos := range positions {
		for _, inv := range s.Inv {
			sin, cos := math.Sincos(float64(pos) * inv)
			r.cos = append(r.cos, float32(cos*s.Scale))
			r.sin = append(r.sin, float32(sin*s.Scale))
		}
	}
	return r
}

// rotate turns pair i, (x[i], x[i+pairs]), by the angle of pos; interleaved
// pairs are parted first. Elements behind the pairs stay as they are.
func (r rope) rotate(x []float32, pos int) {
	cos, sin := r.cos[pos*r.pairs:(pos+1)*r.pairs], r.sin[pos*r.pairs:(pos+1)*r.pairs]
	if r.interleaved {
		x = part(x[:2*r.pairs])
	}
	a, b := x[:r.pairs], x[r.pairs:2*r.pairs]
	for i := range a {
		a[i], b[i] = a[i]*cos[i]-b[i]*sin[i], b[i]*cos[i]+a[i]*sin[i]
	}
}

// part puts the first elements of neighbouring pairs before the second ones, in
// place.
func part(x []float32) []float32 {
	pairs := append([]float32(nil), x...)
	for i := range len(x) / 2 {
		x[i], x[len(x)/2+i] = pairs[2*i], pairs[2*i+1]
	}
	return x
}
