package sample

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

var inf = float32(math.Inf(1))

// params starts from the API's defaults.
func params(change func(*llm.SamplingParams)) llm.SamplingParams {
	p := llm.DefaultSampling()
	if change != nil {
		change(&p)
	}
	return p
}

func newState(s backend.Slot) *State {
	st := &State{}
	st.Reset(s)
	return st
}

func sampleOne(t *testing.T, logits []float32, s backend.Slot, pos int32, mask []uint32) backend.Sampled {
	t.Helper()
	before := slices.Clone(logits)
	var out backend.Sampled
	var sampler Sampler
	sampler.Row(&out, logits, newState(s), pos, mask)
	for i := range before {
		if math.Float32bits(before[i]) != math.Float32bits(logits[i]) {
			t.Fatalf("logit %d was changed", i)
		}
	}
	return out
}

// slow is the distribution that a slot samples from, by sorting everything and
// following the order of operations literally.
func slow(logits []float32, s backend.Slot, mask []uint32) []float64 {
	p := s.Params
	v := make([]float64, len(logits))
	for i, x := range logits {
		v[i] = float64(x + p.LogitBias[int32(i)])
	}
	times := map[int32]int{}
	seen := map[int32]bool{}
	for _, id := range s.Prompt {
		seen[id] = true
	}
	for _, id := range s.Generated {
		seen[id] = true
		times[id]++
	}
	for id := range seen {
		if p.RepetitionPenalty != 1 {
			if v[id] > 0 {
				v[id] /= p.RepetitionPenalty
			} else {
				v[id] *= p.RepetitionPenalty
			}
		}
		v[id] -= p.FrequencyPenalty * float64(times[id])
		if times[id] > 0 {
			v[id] -= p.PresencePenalty
		}
	}
	if len(s.Generated) < p.MinTokens {
		for _, id := range slices.Concat(s.EOS, p.StopIDs) {
			v[id] = math.Inf(-1)
		}
	}
	for i := range v {
		if mask != nil && mask[i/32]>>(i%32)&1 == 0 {
			v[i] = math.Inf(-1)
		}
	}
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(float32(v[b]), float32(v[a])), cmp.Compare(a, b))
	})
	if math.IsInf(v[order[0]], -1) {
		return nil
	}
	if p.Temperature == 0 {
		w := make([]float64, len(v))
		w[order[0]] = 1
		return w
	}
	w := make([]float64, len(v))
	total := 0.0
	for _, i := range order {
		w[i] = math.Exp((v[i] - v[order[0]]) / p.Temperature)
		total += w[i]
	}
	keep := func(n int) {
		total = 0
		for rank, i := range order {
			if rank >= n {
				w[i] = 0
			}
			total += w[i]
		}
	}
	n := 0
	for _, i := range order {
		if w[i] >= p.MinP {
			n++
		}
	}
	keep(n)
	if p.TopK > 0 {
		keep(p.TopK)
	}
	if p.TopP < 1 {
		n, sum := 0, 0.0
		for n == 0 || n < len(order) && sum < p.TopP*total {
			sum += w[order[n]]
			n++
		}
		keep(n)
	}
	for i := range w {
		w[i] /= total
	}
	return w
}

// inverse is the token that u stands for in a distribution, and how close u is
// to a boundary.
func inverse(w []float64, u float64) (id int, margin float64) {
	sum, id, margin := 0.0, -1, math.Inf(1)
	for i, x := range w {
		sum += x
		if x > 0 {
			margin = min(margin, math.Abs(sum-u))
		}
		if id < 0 && sum > u {
			id = i
		}
	}
	return id, margin
}

// Law: whatever the parameters, the token is the inverse of Uniform under the
// distribution that the order of operations defines.
func TestTokensFollowTheDefinedDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(v ...float64) float64 { return v[rng.IntN(len(v))] }
	for round := range 3000 {
		vocab := int(pick(1, 5, 33, 100, 700, 3000))
		logits := make([]float32, vocab)
		spread := pick(0, 0.5, 3, 10)
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * spread)
			if rng.IntN(4) == 0 { // ties
				logits[i] = float32(math.Round(float64(logits[i])))
			}
		}
		ids := func(n int) (list []int32) {
			for range rng.IntN(n + 1) {
				list = append(list, int32(rng.IntN(vocab)))
			}
			return list
		}
		s := backend.Slot{Choice: rng.IntN(3), Prompt: ids(20), Generated: ids(20), EOS: ids(2)}
		s.Params = llm.SamplingParams{
			Temperature: pick(0, 0.3, 1, 1, 2), TopK: int(pick(0, 0, 1, 3, 50, 5000)), TopP: pick(0, 0.1, 0.5, 0.9, 0.99, 1, 1),
			MinP: pick(0, 0, 0.05, 0.5, 1), RepetitionPenalty: pick(1, 1, 1.3, 0.7), PresencePenalty: pick(0, 0, 0.8, -1),
			FrequencyPenalty: pick(0, 0, 0.4), Seed: rng.Uint64(), MinTokens: int(pick(0, 0, 10)), StopIDs: ids(2),
		}
		if rng.IntN(3) == 0 {
			s.Params.LogitBias = map[int32]float32{int32(rng.IntN(vocab)): 3, int32(rng.IntN(vocab)): -100}
		}
		var mask []uint32
		if rng.IntN(3) == 0 {
			mask = make([]uint32, (vocab+31)/32)
			for i := range mask {
				mask[i] = rng.Uint32() | rng.Uint32()
			}
		}
		pos := rng.Int32N(1000)
		got := sampleOne(t, logits, s, pos, mask)
		w := slow(logits, s, mask)
		if w == nil { // nothing was left
			if !errors.Is(got.Err, ErrNothing) {
				t.Fatalf("round %d: %+v, want ErrNothing", round, got)
			}
			continue
		}
		want, margin := inverse(w, Uniform(s.Params.Seed, s.Choice, int(pos)))
		if got.Err != nil || int(got.Token) != want && margin > 1e-6 {
			t.Fatalf("round %d: token %d (%v), want %d; vocab %d, %+v", round, got.Token, got.Err, want, vocab, s.Params)
		}
	}
}

func TestStateCountsWhatItSamples(t *testing.T) {
	logits := []float32{0, 5, 4.9, 4.8}
	st := newState(backend.Slot{Params: llm.SamplingParams{FrequencyPenalty: 0.15, MinTokens: 2, RepetitionPenalty: 1}, EOS: []int32{1}})
	var sampler Sampler
	var got []int32
	for pos := range int32(6) {
		var out backend.Sampled
		sampler.Row(&out, logits, st, pos, nil)
		got = append(got, out.Token)
	}
	// 1 is forbidden twice: 2 (then 4.75), 3; then by counts.
	if want := []int32{2, 3, 1, 1, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("sampled %v, want %v", got, want)
	}
	st.Reset(backend.Slot{})
	var out backend.Sampled
	sampler.Row(&out, logits, st, 0, nil)
	if out.Token != 1 {
		t.Errorf("after Reset the token is %d, want 1", out.Token)
	}
}

// Law: a state that was reset with the tokens generated so far goes on as the
// one that sampled them.
func TestResetContinuesASequence(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	logits := make([]float32, 50)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64())
	}
	slot := backend.Slot{
		Params: params(func(p *llm.SamplingParams) {
			p.RepetitionPenalty, p.FrequencyPenalty, p.MinTokens, p.Seed = 1.2, 0.3, 9, 5
		}),
		Prompt: []int32{1, 2, 3}, EOS: []int32{7},
	}
	var sampler Sampler
	straight := newState(slot)
	for pos := range int32(20) {
		resumed := newState(slot)
		var a, b backend.Sampled
		sampler.Row(&a, logits, straight, pos, nil)
		sampler.Row(&b, logits, resumed, pos, nil)
		if a.Token != b.Token {
			t.Fatalf("position %d: %d, resumed %d", pos, a.Token, b.Token)
		}
		slot.Generated = append(slot.Generated, a.Token)
	}
}

func TestBadRowsFailAlone(t *testing.T) {
	nan := float32(math.NaN())
	greedy, random := llm.SamplingParams{}, params(nil)
	for _, c := range []struct {
		name   string
		logits []float32
		mask   []uint32
		err    error
		token  int32
	}{
		{"NaN first", []float32{nan, 1, 2}, nil, ErrNaN, 0},
		{"NaN last", []float32{0, 1, nan}, nil, ErrNaN, 0},
		{"NaN behind a mask", []float32{0, 1, nan}, []uint32{3}, ErrNaN, 0},
		{"all -Inf", []float32{-inf, -inf}, nil, ErrNothing, 0},
		{"empty mask", []float32{1, 2}, []uint32{0}, ErrNothing, 0},
		{"short mask", []float32{1, 2}, []uint32{}, ErrNothing, 0},
		{"+Inf wins", []float32{3, inf, 2}, nil, nil, 1},
		{"-Inf never", []float32{-inf, -inf, -1e30}, nil, nil, 2},
		{"huge", []float32{math.MaxFloat32, -math.MaxFloat32}, nil, nil, 0},
	} {
		for _, p := range []llm.SamplingParams{
			greedy, random,
			params(func(p *llm.SamplingParams) { p.TopK = 2 }),
			params(func(p *llm.SamplingParams) { p.TopP = 0.9 }),
			params(func(p *llm.SamplingParams) { p.Temperature = 1e-300 }),
			params(func(p *llm.SamplingParams) { p.Logprobs, p.TopLogprobs = true, 2 }),
			params(func(p *llm.SamplingParams) { p.PresencePenalty = 1 }),
		} {
			got := sampleOne(t, c.logits, backend.Slot{Params: p, Generated: []int32{0}}, 0, c.mask)
			if !errors.Is(got.Err, c.err) || c.err == nil && got.Token != c.token || got.Logprob != got.Logprob {
				t.Errorf("%s, %+v: %+v, want token %d, error %v", c.name, p, got, c.token, c.err)
			}
		}
	}
}

func TestTiesGoToTheLowerID(t *testing.T) {
	logits := []float32{1, 3, 3, 2, 3, 2}
	if got := sampleOne(t, logits, backend.Slot{}, 0, nil); got.Token != 1 {
		t.Errorf("greedy took %d", got.Token)
	}
	for k, want := range map[int][]int32{1: {1}, 2: {1, 2}, 4: {1, 2, 3, 4}} {
		seen := map[int32]bool{}
		for pos := range int32(200) {
			p := params(func(p *llm.SamplingParams) { p.TopK = k })
			seen[sampleOne(t, logits, backend.Slot{Params: p}, pos, nil).Token] = true
		}
		for _, id := range want {
			if !seen[id] || len(seen) != len(want) {
				t.Errorf("top_k %d drew %v, want %v", k, seen, want)
			}
		}
	}
}

func TestLogprobsAreOfTheUnmodifiedDistribution(t *testing.T) {
	logits := []float32{1, 4, 2, 4, -inf, 0.5}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	p := params(func(p *llm.SamplingParams) {
		p.Temperature, p.Logprobs, p.TopLogprobs = 0, true, 4
		p.LogitBias = map[int32]float32{2: 50}
	})
	got := sampleOne(t, logits, backend.Slot{Params: p}, 0, nil)
	near := func(got float32, want float64) bool { return math.Abs(float64(got)-want) < 1e-6 }
	if got.Token != 2 || !near(got.Logprob, 2-math.Log(sum)) {
		t.Errorf("token %d with %g", got.Token, got.Logprob)
	}
	want := []int32{1, 3, 2, 0}
	for i, id := range want {
		if len(got.Top) != 4 || got.Top[i].ID != id || !near(got.Top[i].Logprob, float64(logits[id])-math.Log(sum)) {
			t.Fatalf("top is %v, want ids %v", got.Top, want)
		}
	}
}

func TestTopLogprobsGoToTheLowerID(t *testing.T) {
	p := llm.SamplingParams{Logprobs: true, TopLogprobs: 2}
	got := sampleOne(t, []float32{0, 2, 2, 2}, backend.Slot{Params: p}, 0, nil)
	if len(got.Top) != 2 || got.Top[0].ID != 1 || got.Top[1].ID != 2 {
		t.Errorf("top is %v, want 1 and 2", got.Top)
	}
}

func TestNucleusEndsWhereItsMassIsReached(t *testing.T) {
	for pos := range int32(50) {
		p := params(func(p *llm.SamplingParams) { p.TopP = 0.5 })
		if got := sampleOne(t, []float32{1, 1}, backend.Slot{Params: p}, pos, nil); got.Token != 0 {
			t.Fatalf("position %d: token %d is outside half of the mass", pos, got.Token)
		}
	}
}

// Law: a state that served another sequence is as good as a new one.
func TestResetForgetsTheLastSequence(t *testing.T) {
	p := llm.SamplingParams{FrequencyPenalty: 1, RepetitionPenalty: 1}
	st := newState(backend.Slot{Params: p, Prompt: []int32{0, 1}, Generated: []int32{2, 1, 1}})
	st.Reset(backend.Slot{Params: p, Generated: []int32{1}})
	var sampler Sampler
	var out backend.Sampled
	sampler.Row(&out, []float32{0, 1.5, 0.9}, st, 0, nil)
	if out.Token != 2 {
		t.Errorf("token %d, want 2: token 1 was generated once", out.Token)
	}
	sampler.Row(&out, []float32{0, 1.5, 0}, st, 1, nil)
	if out.Token != 1 {
		t.Errorf("token %d, want 1: tokens of the sequence before still count", out.Token)
	}
}

func TestSlotsSampleInOrderAndRememberTheLast(t *testing.T) {
	s := NewSlots(2, nil)
	s.Set(0, backend.Slot{Prompt: []int32{4, 9}})
	s.Set(1, backend.Slot{Prompt: []int32{4}, Generated: []int32{3}})
	if s.Last(0) != 9 || s.Last(1) != 3 {
		t.Errorf("last tokens %d, %d", s.Last(0), s.Last(1))
	}
	rows := [][]float32{{1, 2, 0}, {float32(math.NaN()), 0, 0}}
	b := backend.Batch{
		LogitRows: []int32{0, 1}, Sampled: make([]backend.Sampled, 0, 3),
		Samples:   []backend.Sample{{Slot: 0, Logits: 0, Masked: false}, {Slot: 1, Logits: 1}, {Slot: 0, Logits: 0, Masked: true}},
		MaskWords: 1, Masks: []uint32{0, 0, 0b101},
	}
	if err := s.Sample(&b, func(i int) []float32 { return rows[i] }); err != nil {
		t.Fatal(err)
	}
	if b.Sampled[0].Token != 1 || b.Sampled[1].Err == nil || b.Sampled[2].Token != 0 {
		t.Errorf("sampled %+v", b.Sampled)
	}
	if s.Last(0) != 0 || s.Last(1) != 3 {
		t.Errorf("last tokens %d, %d, want 0 and 3", s.Last(0), s.Last(1))
	}
	b.Samples[0].Slot = 2
	if err := s.Sample(&b, nil); err == nil {
		t.Error("slot 2 of 2 was taken")
	}
}

// Law: a batch gives what its rows give one by one, whatever their parameters, and
// samples of one slot stay in order.
func TestABatchSamplesAsItsRowsAlone(t *testing.T) {
	const rows, vocab = 24, 500
	rng := rand.New(rand.NewPCG(5, 5))
	var all []llm.SamplingParams
	for _, name := range slices.Sorted(maps.Keys(benchmarks())) {
		all = append(all, benchmarks()[name])
	}
	mask := make([]uint32, rows*((vocab+31)/32))
	for i := range mask {
		mask[i] = rng.Uint32() | rng.Uint32()
	}
	for _, slots := range []int{rows, 5} {
		alone, together := NewSlots(rows, nil), NewSlots(rows, nil)
		for i := range rows {
			s := backend.Slot{Params: all[i%len(all)], Prompt: []int32{1, 2, 3}}
			s.Params.Seed = uint64(i)
			alone.Set(i, s)
			together.Set(i, s)
		}
		for step := range int32(20) {
			logits := make([][]float32, rows)
			b := backend.Batch{Sampled: make([]backend.Sampled, 0, rows), LogitRows: make([]int32, rows), Masks: mask, MaskWords: (vocab + 31) / 32}
			for i := range logits {
				logits[i] = make([]float32, vocab)
				for k := range logits[i] {
					logits[i][k] = float32(rng.NormFloat64() * 3)
				}
				b.Samples = append(b.Samples, backend.Sample{Slot: int32(i % slots), Logits: int32(i), Pos: step, Masked: i%3 == 0})
			}
			if err := together.Sample(&b, func(i int) []float32 { return logits[i] }); err != nil {
				t.Fatal(err)
			}
			for i, r := range b.Samples {
				var out backend.Sampled
				var allowed []uint32
				if r.Masked {
					allowed = mask[i*b.MaskWords:][:b.MaskWords]
				}
				new(Sampler).Row(&out, logits[i], &alone.states[r.Slot], r.Pos, allowed)
				if got := b.Sampled[i]; got.Token != out.Token || got.Logprob != out.Logprob || !slices.Equal(got.Top, out.Top) || got.Err != out.Err {
					t.Fatalf("%d slots, step %d, row %d:\n got %+v\nwant %+v", slots, step, i, got, out)
				}
			}
		}
	}
}

func TestExpNegIsExp(t *testing.T) {
	for x := 0.0; x > -699; x -= 0.00137 {
		if got, want := expNeg(x), math.Exp(x); math.Abs(got-want) > 1e-12*want {
			t.Fatalf("expNeg(%g) = %g, want %g", x, got, want)
		}
	}
	if expNeg(-701) != 0 || expNeg(math.Inf(-1)) != 0 || expNeg(0) != 1 {
		t.Errorf("ends: %g, %g, %g", expNeg(-701), expNeg(math.Inf(-1)), expNeg(0))
	}
}

// Law: in the steady state sampling allocates nothing.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, s := range benchmarks() {
		logits := benchLogits(4096)
		st := newState(backend.Slot{Params: s, Generated: []int32{1, 2, 3}})
		var sampler Sampler
		var out backend.Sampled
		pos := int32(0)
		for ; pos < 300; pos++ {
			sampler.Row(&out, logits, st, pos, nil)
		}
		pos = 0 // the same tokens once more: counting a new one may grow a map
		if n := testing.AllocsPerRun(100, func() { sampler.Row(&out, logits, st, pos, nil); pos++ }); n != 0 {
			t.Errorf("%s: %g allocations a row", name, n)
		}
	}
}

func benchLogits(n int) []float32 {
	rng := rand.New(rand.NewPCG(9, 9))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2.5)
	}
	return logits
}

func benchmarks() map[string]llm.SamplingParams {
	return map[string]llm.SamplingParams{
		"greedy":   {},
		"random":   params(nil),
		"top_k":    params(func(p *llm.SamplingParams) { p.TopK = 40 }),
		"top_p":    params(func(p *llm.SamplingParams) { p.TopP = 0.95 }),
		"qwen":     params(func(p *llm.SamplingParams) { p.Temperature, p.TopK, p.TopP = 0.6, 20, 0.95 }),
		"min_p":    params(func(p *llm.SamplingParams) { p.MinP = 0.05 }),
		"penalty":  params(func(p *llm.SamplingParams) { p.RepetitionPenalty, p.Temperature = 1.1, 0 }),
		"logprobs": {Logprobs: true, TopLogprobs: 20},
	}
}

// BenchmarkRow samples 16 rows a step, as a step of a crowd does.
func BenchmarkRow(b *testing.B) {
	for _, vocab := range []int{49_152, 151_936} {
		logits := benchLogits(16 * vocab)
		words := (vocab + 31) / 32
		mask := make([]uint32, 16*words)
		for i := range mask {
			mask[i] = 0xfffff7ff
		}
		for name, p := range benchmarks() {
			for _, masked := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/vocab=%d/masked=%v", name, vocab, masked), func(b *testing.B) {
					b.ReportAllocs()
					s := NewSlots(16, nil)
					batch := backend.Batch{Sampled: make([]backend.Sampled, 0, 16), LogitRows: make([]int32, 16), Masks: mask, MaskWords: words}
					for i := range 16 {
						s.Set(i, backend.Slot{Params: p, Prompt: make([]int32, 1000)})
						batch.Samples = append(batch.Samples, backend.Sample{Slot: int32(i), Logits: int32(i), Masked: masked})
					}
					row := func(i int) []float32 { return logits[i*vocab:][:vocab] }
					for b.Loop() {
						if err := s.Sample(&batch, row); err != nil {
							b.Fatal(err)
						}
						for i := range batch.Samples {
							batch.Samples[i].Pos++
						}
					}
				})
			}
		}
	}
}
