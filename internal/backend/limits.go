package backend

import (
	"time"

	"github.com/reasond/reasond/internal/weights"
)

// Limited is a Backend that can tell what its machine does at most, for
// benchmarks to compare with.
type Limited interface {
	// Limits measures for about that time. No step may run meanwhile.
	Limits(d time.Duration) Limits
	// Unit names what multiplies a matrix's weights: a key of Limits.Multiply.
	Unit(t weights.Tensor) string
}

// Limits are speeds of short slices of time, on all threads of the backend
// together, the slowest first.
type Limits struct {
	Read     []float64            // bytes a second from memory
	Multiply map[string][]float64 // operations a second by unit; a multiplication and an addition are two
}
