package sample

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

const (
	draftVocab = 40
	draftSlots = 7
)

// draftLogits are the logits of a slot behind a token, as a model has them. One
// token leaves nothing but a NaN behind it.
func draftLogits(slot int, token, pos int32) []float32 {
	rng := rand.New(rand.NewPCG(uint64(slot), uint64(token)<<32|uint64(pos)))
	row := make([]float32, draftVocab)
	for i := range row {
		row[i] = float32(rng.NormFloat64() * 2)
	}
	if token == 13 && slot == 6 {
		row[5] = float32(math.NaN())
	}
	return row
}

func draftSlot(i int) backend.Slot {
	p := []func(*llm.SamplingParams){
		func(p *llm.SamplingParams) { p.Temperature = 0 },
		func(p *llm.SamplingParams) { p.TopP, p.Logprobs, p.TopLogprobs = 0.9, true, 3 },
		func(p *llm.SamplingParams) { p.RepetitionPenalty, p.FrequencyPenalty = 1.4, 0.7 },
		func(p *llm.SamplingParams) { p.Temperature, p.PresencePenalty = 0, 2 },
		func(p *llm.SamplingParams) { p.MinTokens, p.StopIDs = 9, []int32{2, 3, 4} },
		func(p *llm.SamplingParams) { p.TopK, p.LogitBias = 5, map[int32]float32{7: 3} },
		func(p *llm.SamplingParams) {},
	}
	return backend.Slot{Params: params(func(q *llm.SamplingParams) { q.Seed = 5; p[i](q) }), Choice: i, Prompt: []int32{1, int32(i)}, EOS: []int32{0}}
}

// one is a sampled token with a copy of what goes with it.
func one(s backend.Sampled) backend.Sampled {
	s.Top = append([]llm.TokenLogprob{}, s.Top...)
	return s
}

// Law: whatever is guessed, a slot's tokens, their log-probabilities, counts and
// the last token are those of one sample a step.
func TestDraftsChangeNoToken(t *testing.T) {
	const steps = 60
	alone := make([][]backend.Sampled, draftSlots)
	for i := range alone {
		s := NewSlots(1, nil)
		s.Set(0, draftSlot(i))
		for n := int32(0); n < steps; n++ {
			b := backend.Batch{LogitRows: []int32{0}, Samples: []backend.Sample{{Pos: 2 + n}}, Sampled: make([]backend.Sampled, 0, 1)}
			last := s.Last(0)
			if err := s.Sample(&b, func(int) []float32 { return draftLogits(i, last, 1+n) }); err != nil {
				t.Fatal(err)
			}
			alone[i] = append(alone[i], one(b.Sampled[0]))
			if b.Sampled[0].Err != nil {
				break
			}
		}
	}
	if len(alone[6]) == steps {
		t.Fatal("no row fails")
	}
	for name, right := range map[string]float64{"wrong": 0, "right": 1, "mixed": 0.7} {
		got, taken, drafted := draftRun(t, right, alone)
		for i := range got {
			if want := alone[i][:len(got[i])]; !reflect.DeepEqual(got[i], want) {
				t.Fatalf("%s guesses, slot %d:\n got %v\nwant %v", name, i, got[i], want)
			}
		}
		if right == 0 && taken > 0 || right == 1 && taken < drafted/2 || right == 0.7 && (taken == 0 || taken == drafted) {
			t.Errorf("%s guesses: %d of %d were taken", name, taken, drafted)
		}
	}
}

// draftRun samples all slots to about the end of what they give alone, up to four
// guesses each behind the last token, of which this share is right.
func draftRun(t *testing.T, right float64, alone [][]backend.Sampled) (got [][]backend.Sampled, taken, drafted int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, uint64(right*10)))
	s := NewSlots(draftSlots, nil)
	got = make([][]backend.Sampled, draftSlots)
	for i := range draftSlots {
		s.Set(i, draftSlot(i))
	}
	for {
		b := backend.Batch{Sampled: make([]backend.Sampled, 0, 64)}
		var rows [][]float32
		for _, i := range rng.Perm(draftSlots) {
			n := len(got[i])
			most := len(alone[i]) - n
			if most == 0 {
				continue
			}
			for k := range rng.IntN(min(most, 5)) + 1 {
				token := s.Last(int32(i))
				if k > 0 { // a wrong guess may well be the token before or after
					if token = alone[i][n+k-1].Token; rng.Float64() >= right {
						token = (token + rng.Int32N(draftVocab-1) + 1) % draftVocab
					}
					if rng.IntN(3) == 0 && right < 1 && alone[i][n].Token != alone[i][n+k-1].Token {
						token = alone[i][n].Token
					}
					drafted++
				}
				at := int32(len(rows))
				pos := int32(2 + n + k)
				rows = append(rows, draftLogits(i, token, pos-1))
				b.Token, b.LogitRows = append(b.Token, token), append(b.LogitRows, at)
				b.Samples = append(b.Samples, backend.Sample{Slot: int32(i), Logits: at, Pos: pos, Drafted: k > 0})
			}
		}
		if len(rows) == 0 {
			return got, taken, drafted
		}
		if err := s.Sample(&b, func(i int) []float32 { return rows[i] }); err != nil {
			t.Fatal(err)
		}
		for k, out := range b.Sampled {
			if r := b.Samples[k]; out.Token != backend.NotTaken {
				got[r.Slot] = append(got[r.Slot], one(out))
				if r.Drafted {
					taken++
				}
			}
		}
	}
}

func TestGuessesAtNothingAreRefused(t *testing.T) {
	s := NewSlots(2, nil)
	for _, samples := range [][]backend.Sample{
		{{Drafted: true}},
		{{Slot: 1}, {Drafted: true}},
		{{}, {Slot: 1}, {Drafted: true}},
		{{}, {Logits: 1, Drafted: true}},
	} {
		b := backend.Batch{Token: []int32{1}, LogitRows: []int32{0, 1}, Samples: slices.Clone(samples), Sampled: make([]backend.Sampled, 0, 3)}
		if err := s.Sample(&b, func(int) []float32 { return []float32{1, 2, 3} }); err == nil {
			t.Errorf("%+v was sampled", samples)
		}
	}
}
