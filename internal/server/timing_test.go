package server

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// How long a wrong key takes to refuse does not tell how much of it is right. The
// keys are long, so that a comparison that ends at the first difference would
// show: it would cost the one thousands of times what it costs the other.
func TestRefusingAKeyTakesTheSameTimeWhereverItIsWrong(t *testing.T) {
	right := strings.Repeat("k", 32<<10)
	s, err := New(Config{APIKeys: []string{right}})
	if err != nil {
		t.Fatal(err)
	}
	wrong := [2][]string{{"Bearer x" + right[1:]}, {"Bearer " + right[1:] + "x"}} // at its first byte, at its last
	var took [2][]time.Duration
	for range 1000 {
		for i, field := range wrong {
			start := time.Now()
			if _, ok := s.checkKey(field); ok {
				t.Fatal("a wrong key was accepted")
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	first, last := took[0][500], took[1][500]
	if ratio := float64(last) / float64(first); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("wrong at the first byte: %v, at the last: %v", first, last)
	}
}
