package bench

import (
	"math"
	"slices"
)

// Quantile is the value below which a share q of the values lies, between two
// neighbours in proportion, as numpy's default has it. NaN where there are none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// Median is the middle value.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Spread is the distance of the quartiles, half of the values lying between them.
func Spread(values []float64) float64 { return Quantile(values, 0.75) - Quantile(values, 0.25) }
