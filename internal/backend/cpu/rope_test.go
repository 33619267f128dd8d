package cpu

import (
	"math"
	"testing"

	"github.com/reasond/reasond/internal/backend"
)

// However positions come, a table holds all up to the last one, and never many
// more: what a context could need is not computed, nor held.
func TestRotaryTablesReachAsFarAsPositionsDo(t *testing.T) {
	const context, half = 3 * ropeStep, 2
	b, err := New(backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: context, Pages: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	inv := []float64{1, 0.01}
	for range 2 { // two tables
		if _, err := b.NewRope(backend.RopeSpec{Inv: inv, Scale: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	reached := -1
	for _, positions := range [][]int32{{}, {0}, {3, 1}, {ropeStep - 1}, {7}, {ropeStep, 0}, {1, context - 1, 2}} {
		b.turn(positions)
		for _, p := range positions {
			reached = max(reached, int(p))
		}
		for _, r := range b.ropes {
			for pos := range context {
				row := r.table[pos*2*half:][:2*half]
				filled := row[0] != 0 || row[half] != 0
				if pos <= reached && !filled || pos >= reached+1+ropeStep && filled {
					t.Fatalf("after %v: position %d is filled: %v", positions, pos, filled)
				}
				for i := range inv {
					angle := float64(pos) * inv[i]
					if filled && (row[i] != float32(0.5*math.Cos(angle)) || row[half+i] != float32(0.5*math.Sin(angle))) {
						t.Fatalf("position %d, pair %d: %v", pos, i, row)
					}
				}
			}
		}
	}
}
