package cpu

import (
	"slices"
	"testing"
	"time"
)

// A unit of smaller numbers is no slower than that of float32 on any processor, and
// mostly twice or four times as fast: what is measured is the unit, not the loop
// around it. The best slice counts: the others may have shared their core.
func TestPeaksAreInTheOrderOfTheUnitsWidths(t *testing.T) {
	best := func(isa ISA, u Unit) float64 {
		s := Peak(isa, u, 1, 5*time.Millisecond)
		if len(s) == 0 {
			return 0
		}
		return slices.Max(s)
	}
	for _, isa := range Supported() {
		f32 := best(isa, UnitF32)
		if f32 < 1e8 {
			t.Errorf("%s: %.3g operations a second", isa, f32)
		}
		for _, u := range []Unit{UnitBF16, UnitI8} {
			if got := best(isa, u); got != 0 && got < 0.7*f32 {
				t.Errorf("%s: unit %d does %.3g operations a second, float32 %.3g", isa, u, got, f32)
			}
		}
	}
	if best(Generic, UnitI8) != 0 {
		t.Error("plain C has a unit for 8-bit products")
	}
}

func TestReadSpeedCountsAllThreads(t *testing.T) {
	for _, threads := range []int{1, 3} {
		s := ReadSpeed(threads, 0, 10*time.Millisecond)
		if len(s) == 0 || s[len(s)/2] < 1e8 || s[len(s)/2] > 1e13 {
			t.Errorf("%d threads: %d slices, %.3g", threads, len(s), s)
		}
	}
}
