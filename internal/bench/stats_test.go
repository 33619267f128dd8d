package bench

import (
	"math"
	"testing"
)

// The values are numpy.quantile's, which are easy to check by hand.
func TestQuantilesAreNumpys(t *testing.T) {
	values := []float64{7, 1, 3, 10}
	for q, want := range map[float64]float64{0: 1, 0.25: 2.5, 0.5: 5, 0.75: 7.75, 0.9: 9.1, 1: 10} {
		if got := Quantile(values, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %g is %g, must be %g", q, got, want)
		}
	}
	if values[0] != 7 {
		t.Error("the values were sorted in place")
	}
	if Median([]float64{4}) != 4 || Spread([]float64{4}) != 0 || Spread(values) != 5.25 {
		t.Error("median of one value, spread of one and of four")
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestNegativeLogIsOfTheSoftmax(t *testing.T) {
	for name, c := range map[string]struct {
		logits []float32
		id     int32
		want   float64
	}{
		"equal":      {[]float32{5, 5, 5, 5}, 2, math.Log(4)},
		"far apart":  {[]float32{-1000, 0, 1000}, 2, 0},
		"hopeless":   {[]float32{-1000, 0, 1000}, 0, 2000},
		"two to one": {[]float32{float32(math.Log(2)), 0}, 0, math.Log(1.5)},
	} {
		if got := negativeLog(c.logits, c.id); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %g, must be %g", name, got, c.want)
		}
	}
}
