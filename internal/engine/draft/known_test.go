package draft

import (
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/engine/kv"
)

// A page is known up to a count, a sequence up to its first page that is not known to
// the end; writing anew, copying, and computing on what is not known.
func TestWhatIsKnownOfASequence(t *testing.T) {
	k := NewKnown(6, 4)
	table := []kv.Page{3, 1, 5}
	is := func(what string, end, want int) {
		t.Helper()
		if got := k.Of(table, end); got != want {
			t.Errorf("%s: %d of %d are known, want %d", what, got, end, want)
		}
	}
	is("nothing", 10, 0)
	k.Learn(table, 0, 6)
	is("six", 10, 6)
	is("six", 5, 5)
	k.Learn(table, 8, 10)
	is("behind a gap", 12, 6)
	k.Learn(table, 6, 10)
	is("ten", 12, 10)
	k.Lose(table, 10, 12) // written at their end, from where nothing was known
	is("the end written", 12, 10)
	k.Lose(table, 5, 9)
	is("from five on", 12, 5)
	k.Learn(table, 5, 7)
	is("caught up by two", 12, 7)
	if !k.Copy(1, 2) || k.Copy(4, 0) {
		t.Error("a page is to be copied where something of it is known")
	}
	other := []kv.Page{3, 2}
	if n := k.Of(other, 8); n != 7 {
		t.Errorf("of a fork %d are known, want 7", n)
	}
	if k.Copy(0, 2); k.Of(other, 8) != 4 {
		t.Error("a copy of an unknown page is known")
	}
	k.Forget()
	is("forgotten", 12, 0)
}

// Trust follows what comes true, and a model in disgrace is tried again.
func TestTrustFollowsWhatComesTrue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, odds := range []float64{0.1, 0.5, 0.9} {
		trust, sum := FirstTrust, 0.0
		for n := range 3000 {
			right := 0
			for right < 4 && rng.Float64() < odds {
				right++
			}
			trust.Note(4, right)
			if n >= 1000 {
				sum += float64(trust) / 2000
			}
		}
		if sum < odds-0.1 || sum > odds+0.1 {
			t.Errorf("trust of %.2f in odds of %.1f", sum, odds)
		}
	}
	trust, steps := Trust(0.01), 0
	for trust < FirstTrust/2 && steps < 10_000 {
		trust.Pass()
		steps++
	}
	if steps < 100 || steps > 2000 {
		t.Errorf("%d steps until half of the first trust", steps)
	}
	if trust = 0.95; true {
		trust.Pass()
	}
	if trust != 0.95 {
		t.Error("what is trusted more than at first loses by waiting")
	}
}
