package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// eachScanner runs f with the scanner of every instruction set, on two threads.
func eachScanner(t *testing.T, f func(t *testing.T, s *scanner)) {
	for _, isa := range kernels.Supported() {
		t.Run(isa.String(), func(t *testing.T) {
			m, err := kernels.New(kernels.Config{ISA: isa, Threads: 2, MaxRows: 1, MaxSeqs: 1, MaxContext: backend.PageTokens, MaxCopies: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s, err := newScanner(m, backend.Config{MaxRows: 3, MaxSeqs: 3})
			if err != nil {
				t.Fatal(err)
			}
			f(t, s)
		})
	}
}

// special are values where rounding, orders of equals and flushing could differ.
var special = []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 3e-39, -3e-39, 1e30, -1e30, -88, -700, 1,
	float32(math.Inf(-1)), float32(math.Inf(1)), float32(math.NaN())}

// Law: what native code reads out of a row is what Go reads, bit for bit.
func TestScansAreThoseOfGo(t *testing.T) {
	eachScanner(t, func(t *testing.T, s *scanner) {
		rng := rand.New(rand.NewPCG(1, 2))
		for round := range 400 {
			n := []int{1, 31, 127, 128, 129, 1000, 8192, 8200, 20_000}[round%9]
			scale := []float64{1, 3, 30, 1e-40}[round%4]
			rows, want := make([]sample.Scan, 3+5*(round%2)), make([]sample.Scan, 3+5*(round%2))
			for i := range rows {
				values := s.Floats(n)
				for k := range values {
					values[k] = float32(rng.NormFloat64() * scale)
				}
				for range rng.IntN(4) { // now and then one of the last two
					values[rng.IntN(n)] = special[rng.IntN(len(special)-2*min(rng.IntN(8), 1))]
				}
				var mask []uint32
				if kind := rng.IntN(4); kind > 0 {
					words := (n + 31) / 32
					mask, _ = s.machine.Words(max(words-rng.IntN(2)*rng.IntN(words+1), 1))
					for k := range mask {
						mask[k] = []uint32{0, rng.Uint32(), math.MaxUint32, rng.Uint32() & rng.Uint32()}[(rng.IntN(3)+kind)%4]
					}
				}
				blocks := (n + sample.Block - 1) / sample.Block
				rows[i] = sample.Scan{Values: values, Mask: mask, Max: s.Floats(blocks), Sums: s.Doubles(blocks)}
				want[i] = sample.Scan{Values: values, Mask: mask, Max: make([]float32, blocks), Sums: make([]float64, blocks)}
				if rng.IntN(5) > 0 {
					rows[i].InvT, rows[i].MinP = []float64{1, 1 / 0.6, 0.5, 100}[rng.IntN(4)], []float64{0, 0, 0.05}[rng.IntN(3)]
					want[i].InvT, want[i].MinP = rows[i].InvT, rows[i].MinP
				}
			}
			s.Read(rows)
			sample.Plain{}.Read(want)
			for i := range rows {
				if rows[i].NaN != want[i].NaN || !rows[i].NaN && !slices.Equal(rows[i].Max, want[i].Max) {
					t.Fatalf("round %d, row %d of %d values: NaN %v, %v\n got %v\nwant %v", round, i, n, rows[i].NaN, want[i].NaN, rows[i].Max, want[i].Max)
				}
				if !rows[i].NaN && rows[i].Top != want[i].Top {
					t.Fatalf("round %d, row %d of %d values: top %v, want %v", round, i, n, rows[i].Top, want[i].Top)
				}
			}
			for i := range rows {
				for b, got := range rows[i].Sums {
					if w := want[i].Sums[b]; math.Float64bits(got) != math.Float64bits(w) {
						t.Fatalf("round %d, row %d of %d values, block %d: got %v, want %v (%+v)", round, i, n, b, got, w, want[i].Top)
					}
				}
			}
		}
	})
}

// Law: so tokens and log-probabilities do not depend on who reads.
func TestSamplingIsThatOfGo(t *testing.T) {
	eachScanner(t, func(t *testing.T, s *scanner) {
		const slots, vocab = 12, 5003
		rng := rand.New(rand.NewPCG(7, 7))
		native, plain := sample.NewSlots(slots, s), sample.NewSlots(slots, nil)
		for i := range slots {
			p := llm.SamplingParams{Seed: uint64(i), TopP: []float64{1, 0.9}[i%2], TopK: []int{0, 40, 0}[i%3], MinP: []float64{0, 0.02}[i/2%2],
				Temperature: []float64{0, 0.7, 1, 1.4}[i/3], Logprobs: i%4 == 0, TopLogprobs: 5, RepetitionPenalty: []float64{1, 1.2}[i/6]}
			for _, to := range []*sample.Slots{native, plain} {
				to.Set(i, backend.Slot{Params: p, Prompt: []int32{5, 6}})
			}
		}
		logits := s.Floats(slots * vocab)
		words := (vocab + 31) / 32
		masks, _ := s.machine.Words(slots * words)
		row := func(i int) []float32 { return logits[i*vocab:][:vocab] }
		for step := range int32(60) {
			for i := range logits {
				logits[i] = float32(rng.NormFloat64() * 3)
			}
			for i := range masks {
				masks[i] = rng.Uint32() | rng.Uint32()
			}
			var batch [2]backend.Batch
			for k := range batch {
				b := &batch[k]
				b.Sampled, b.LogitRows, b.Masks, b.MaskWords = make([]backend.Sampled, 0, slots), make([]int32, slots), masks, words
				for i := range slots {
					b.Samples = append(b.Samples, backend.Sample{Slot: int32(i), Logits: int32(i), Pos: step, Masked: (int(step)+i)%2 == 0})
				}
				if err := []*sample.Slots{native, plain}[k].Sample(b, row); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := fmt.Sprint(batch[0].Sampled), fmt.Sprint(batch[1].Sampled); got != want {
				t.Fatalf("step %d:\n got %s\nwant %s", step, got, want)
			}
		}
	})
}
