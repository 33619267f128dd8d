package plot

import (
	"math"
	"strconv"
)

// ticks are round numbers from 0 or below to at least top: about want of them.
func ticks(top float64, want int) []float64 {
	if !(top > 0) || math.IsInf(top, 0) {
		top = 1
	}
	raw := top / float64(want)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= raw {
			step = factor * power
			break
		}
	}
	var list []float64
	for i := 0; ; i++ {
		list = append(list, float64(i)*step)
		if list[i] >= top*(1-1e-9) {
			return list
		}
	}
}

// powers are the powers of two from the one at or below least to the one at or
// above most.
func powers(least, most float64) []float64 {
	from, to := math.Floor(math.Log2(least)), math.Ceil(math.Log2(most))
	var list []float64
	for e := from; e <= max(to, from+1); e++ {
		list = append(list, math.Exp2(e))
	}
	return list
}

// label is a number as an axis has it.
func label(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + " M"
	case a >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + " k"
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}
