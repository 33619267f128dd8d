package draft

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// longest is the length of the longest earlier occurrence of the last tokens.
func longest(tokens []int32) int {
	best, end := 0, len(tokens)
	for at := 1; at < end; at++ {
		n := 0
		for n < min(at, maxMatch) && tokens[at-1-n] == tokens[end-1-n] {
			n++
		}
		best = max(best, n)
	}
	return best
}

// text has passages that occur again, whole or in part.
func text(seed uint64, n, alphabet int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	var out []int32
	for len(out) < n {
		if len(out) > 10 && rng.IntN(3) > 0 {
			at := rng.IntN(len(out) - 5)
			out = append(out, out[at:min(len(out), at+rng.IntN(25))]...)
		}
		out = append(out, rng.Int32N(int32(alphabet)))
	}
	return out[:n]
}

// Law: however the tokens arrive, what is guessed is what followed a match, copied
// on beyond the end. Nearly always that is the longest match: only so many
// occurrences are looked at.
func TestGuessesFollowTheLongestMatch(t *testing.T) {
	found, shorter := 0, 0
	for seed := range uint64(60) {
		all := text(seed, 700, 60)
		rng := rand.New(rand.NewPCG(seed, 3))
		g := NewNgrams()
		for n := 1 + rng.IntN(300); n < len(all); n += 1 + rng.IntN(3)*rng.IntN(3) {
			g.Learn(all[:n])
			got, want := g.Guess(nil, 20), longest(all[:n])
			if want >= minMatch {
				found++
				if g.length < want {
					shorter++
				}
			}
			if len(got) == 0 {
				continue
			}
			if g.length > want || g.length < minMatch || !slices.Equal(all[g.next-g.length:g.next], all[n-g.length:n]) {
				t.Fatalf("seed %d, %d tokens: a match of %d before %d, the longest has %d", seed, n, g.length, g.next, want)
			}
			on := slices.Clone(all[:n])
			for k, x := range got {
				if on = append(on, on[g.next+k]); x.Token != on[len(on)-1] {
					t.Fatalf("seed %d, %d tokens: guess %d is %d, must be %d", seed, n, k, x.Token, on[len(on)-1])
				}
			}
			if len(got) != 20 {
				t.Fatalf("%d guesses", len(got))
			}
		}
	}
	if found < 3000 || shorter > found/50 {
		t.Errorf("%d matches, of which %d could have been longer", found, shorter)
	}
}

// Law: odds are what has come true of late, and a quotation has good ones soon.
func TestOddsFollowWhatComesTrue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	prompt := make([]int32, 300)
	for i := range prompt {
		prompt[i] = rng.Int32N(1000)
	}
	g := NewNgrams()
	all := slices.Clone(prompt)
	g.Learn(all)
	for i := range 12 { // the prompt is quoted
		all = append(all, prompt[50+i])
		g.Learn(all)
	}
	got := g.Guess(nil, 8)
	for k, x := range got {
		if x.Token != prompt[62+k] || x.Odds < 0.7 {
			t.Errorf("guess %d of a quotation: %+v, must be %d", k, x, prompt[62+k])
		}
	}
	if len(got) != 8 {
		t.Fatalf("%d guesses", len(got))
	}
	g = NewNgrams()
	all = slices.Clone(prompt)
	g.Learn(all)
	for range 10 { // two tokens of it, then something else
		at := rng.IntN(290)
		all = append(all, prompt[at], prompt[at+1], 1000+rng.Int32N(1000))
		g.Learn(all[:len(all)-1])
		if got := g.Guess(nil, 1); len(got) != 1 {
			t.Fatalf("no match at %d", at)
		}
		g.Learn(all)
	}
	if p := g.odds.of(2); p > 0.05 {
		t.Errorf("odds of %.2f for what never came true", p)
	}
}

func TestLittleIsKeptAndNothingGuessedFromNothing(t *testing.T) {
	g := NewNgrams()
	if got := g.Guess(nil, 4); len(got) > 0 {
		t.Errorf("%v from nothing", got)
	}
	for n := range 3 {
		g.Learn([]int32{7, 7, 7}[:n+1])
	}
	if got := g.Guess(nil, 2); len(got) != 2 || got[1].Token != 7 {
		t.Errorf("%v after three times the same", got)
	}
	all := text(1, 50_000, 3)
	g = NewNgrams()
	g.Learn(all)
	if bytes := 4 * (len(g.head) + len(g.prev)); bytes > 16*len(all) {
		t.Errorf("%d bytes for %d tokens", bytes, len(all))
	}
}

// What a sequence's index costs per token: in a prompt, in an answer that repeats
// much, and where the same two tokens occur all the time.
func BenchmarkLearn(b *testing.B) {
	for name, all := range map[string][]int32{"text": text(1, 8000, 2000), "few": text(1, 8000, 4)} {
		b.Run(name+"/prompt", func(b *testing.B) {
			for b.Loop() {
				NewNgrams().Learn(all)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/token")
		})
		b.Run(name+"/answer", func(b *testing.B) {
			var dst []Guess
			for b.Loop() {
				g := NewNgrams()
				for n := range all {
					g.Learn(all[:n+1])
					dst = g.Guess(dst[:0], 8)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/token")
		})
	}
}
