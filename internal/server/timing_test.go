package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// How long a wrong key takes to refuse does not tell how much of it is right. The
// keys are many and long, so that a comparison that ends at the first difference
// would show beside the hash.
func TestRefusingAKeyTakesTheSameTimeWhereverItIsWrong(t *testing.T) {
	right := strings.Repeat("k", 32<<10)
	var keys []string
	for i := range 500 {
		keys = append(keys, fmt.Sprintf("%s%03d", right, i))
	}
	s, err := New(Config{APIKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	wrong := [2][]string{{"Bearer x" + keys[0][1:]}, {"Bearer " + right + "xxx"}} // at its first byte, at its last
	var took [2][]time.Duration
	for range 200 {
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
	first, last := took[0][100], took[1][100]
	if ratio := float64(last) / float64(first); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("wrong at the first byte: %v, at the last: %v", first, last)
	}
}
