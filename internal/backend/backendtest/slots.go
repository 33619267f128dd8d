package backendtest

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/weights"
)

// slots follows chains of tokens that only the device knows: a token's likeliest
// successor is a permutation of it, and every row feeds the last one sampled.
func (s suite) slots(t *testing.T) {
	const vocab = 96
	r := newRig(t, s, s.config(), 1)
	next := r.rng.Perm(vocab)
	identity, successor := make([]float32, vocab*vocab), make([]float32, vocab*vocab)
	ones := make([]float32, vocab)
	for i := range vocab {
		identity[i*vocab+i], successor[next[i]*vocab+i], ones[i] = 1, 1, 1
	}
	x, e, head, norm := r.buffer(vocab), r.linear(floats(identity, vocab, vocab)), r.linear(floats(successor, vocab, vocab)), r.vector(ones...)
	r.noKV()
	r.build(func(p backend.Program) { p.Embed(x, e); p.Logits(x, norm, 1e-6, head) })
	d := NewDriver(r.Backend, r.cfg, 1)
	var seqs [3]Sequence
	var last [3]int
	for i := range seqs {
		seqs[i].Slot = i + 1
		last[i] = 10 * i
		r.SetSlot(i+1, backend.Slot{Prompt: []int32{5}})
		got := step(t, d, Part{Seq: &seqs[i], Tokens: []int32{1, int32(last[i])}, Want: 1, Sample: true})
		last[i] = next[last[i]]
		if got[0].Sampled.Token != int32(last[i]) {
			t.Fatalf("slot %d: token %d, must be %d", i+1, got[0].Sampled.Token, last[i])
		}
	}
	for round := range 20 {
		if round == 10 { // slot 2 is given to another sequence
			d.Free(&seqs[1])
			r.SetSlot(2, backend.Slot{Prompt: []int32{5}, Generated: []int32{8, 77}})
			last[1] = 77
		}
		var parts []Part
		var which []int
		for k := range seqs {
			i := (k + round) % len(seqs)
			if (round+i)%4 == 0 {
				continue // a slot that sits out keeps its token
			}
			parts = append(parts, Part{Seq: &seqs[i], Tokens: []int32{^int32(i + 1)}, Want: 1, Sample: true})
			which = append(which, i)
		}
		for j, got := range step(t, d, parts...) {
			i := which[j]
			last[i] = next[last[i]]
			if got.Sampled.Token != int32(last[i]) {
				t.Fatalf("round %d, slot %d: token %d, must be %d", round, i+1, got.Sampled.Token, last[i])
			}
		}
	}
}

// sampling compares what the device samples, step after step, with package
// sample on the device's own logits: parameters, counts, masks, log-probabilities.
func (s suite) sampling(t *testing.T) {
	const vocab, cols = 131, 64
	cfg := s.config()
	cfg.MaxSeqs, cfg.Pages = 9, 18
	r := newRig(t, s, cfg, 1)
	table, norm := randomTensor(r.rng, weights.F32, vocab, cols), make([]float32, cols)
	for i := range norm {
		norm[i] = 0.4
	}
	x, w, v := r.buffer(cols), r.linear(table), r.vector(norm...)
	r.noKV()
	r.build(func(p backend.Program) { p.Embed(x, w); p.Logits(x, v, 1e-6, w) })
	slots := samplingSlots(r.rng)
	host := sample.NewSlots(cfg.MaxSeqs, nil)
	seqs := make([]Sequence, len(slots))
	for i, slot := range slots {
		seqs[i].Slot = i
		r.SetSlot(i, slot)
		host.Set(i, slot)
	}
	d := NewDriver(r.Backend, cfg, 1)
	for round := range 30 {
		var parts []Part
		for i := range slots {
			parts = append(parts, Part{Seq: &seqs[i], Tokens: []int32{^int32(i)}, Want: 1, Sample: true})
		}
		if err := d.Fill(parts...); err != nil {
			t.Fatal(err)
		}
		b := r.Batch()
		if b.MaskWords != (vocab+31)/32 {
			t.Fatalf("MaskWords is %d", b.MaskWords)
		}
		if err := r.Forward(); err != nil {
			t.Fatal(err)
		}
		// Masks are written while the forward may still run.
		b.Masks = b.Masks[:len(b.Samples)*b.MaskWords]
		for i := range b.Samples {
			b.Samples[i].Masked = (round+i)%5 == 0
			for j := range b.MaskWords {
				b.Masks[i*b.MaskWords+j] = r.rng.Uint32()
			}
		}
		if err := r.Sample(); err != nil {
			t.Fatal(err)
		}
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		compareSampling(t, r, host, round)
	}
}

func compareSampling(t *testing.T, r *rig, host *sample.Slots, round int) {
	t.Helper()
	b := *r.Batch()
	device := b.Sampled
	b.Sampled = make([]backend.Sampled, 0, len(b.Samples))
	if err := host.Sample(&b, func(i int) []float32 {
		row := make([]float32, r.Info().Vocab)
		if err := r.LogitsRow(row, i); err != nil {
			t.Fatal(err)
		}
		return row
	}); err != nil {
		t.Fatal(err)
	}
	for i, want := range b.Sampled {
		got := device[i]
		if got.Token != want.Token || got.Err != nil || want.Err != nil ||
			math.Abs(float64(got.Logprob-want.Logprob)) > 1e-5 || len(got.Top) != len(want.Top) {
			t.Fatalf("round %d, slot %d: %+v, must be %+v", round, i, got, want)
		}
		for j, top := range want.Top {
			if got.Top[j].ID != top.ID || math.Abs(float64(got.Top[j].Logprob-top.Logprob)) > 1e-5 {
				t.Fatalf("round %d, slot %d: top %v, must be %v", round, i, got.Top, want.Top)
			}
		}
	}
}

// samplingSlots are slots of all kinds.
func samplingSlots(rng *rand.Rand) []backend.Slot {
	var slots []backend.Slot
	for i, change := range []func(*llm.SamplingParams){
		func(p *llm.SamplingParams) { p.Temperature = 0 },
		func(p *llm.SamplingParams) { p.Logprobs, p.TopLogprobs = true, 5 },
		func(p *llm.SamplingParams) { p.Temperature, p.TopK, p.TopP = 0.6, 20, 0.95 },
		func(p *llm.SamplingParams) { p.TopP = 0.8 },
		func(p *llm.SamplingParams) { p.MinP = 0.1 },
		func(p *llm.SamplingParams) { p.RepetitionPenalty, p.Temperature = 1.3, 0 },
		func(p *llm.SamplingParams) { p.PresencePenalty, p.FrequencyPenalty = 0.5, 0.3 },
		func(p *llm.SamplingParams) {
			p.LogitBias, p.Logprobs = map[int32]float32{3: 4, 9: -100}, true
		},
		func(p *llm.SamplingParams) { p.MinTokens, p.StopIDs = 12, []int32{1, 2, 3} },
	} {
		p := llm.DefaultSampling()
		p.Seed = rng.Uint64()
		change(&p)
		slots = append(slots, backend.Slot{Params: p, Choice: i % 2, Prompt: []int32{7, 8, int32(i)}, EOS: []int32{0, 4}})
	}
	return slots
}

// failingRow: a NaN in one row's logits fails that row only, and a mask that
// allows nothing likewise; the backend goes on.
func (s suite) failingRow(t *testing.T) {
	const vocab, cols = 64, 32
	r := newRig(t, s, s.config(), 1)
	table := randomTensor(r.rng, weights.F32, vocab, cols).Float32()
	for i := range cols {
		table[3*cols+i] = float32(math.NaN())
	}
	ones := make([]float32, cols)
	for i := range ones {
		ones[i] = 1
	}
	x, e, v := r.buffer(cols), r.linear(floats(table, vocab, cols)), r.vector(ones...)
	head := r.linear(randomTensor(r.rng, weights.F32, vocab, cols))
	r.noKV()
	r.build(func(p backend.Program) { p.Embed(x, e); p.Logits(x, v, 1e-6, head) })
	d := NewDriver(r.Backend, r.cfg, 1)
	run := func(second int32) []Result {
		var parts []Part
		for i, id := range []int32{5, second, 6} {
			r.SetSlot(i, backend.Slot{})
			parts = append(parts, Part{Seq: &Sequence{Slot: i}, Tokens: []int32{id}, Want: 1, Sample: true})
		}
		got, err := d.Step(parts...)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			d.Free(p.Seq)
		}
		return got
	}
	good, bad := run(4), run(3)
	if bad[1].Sampled.Err == nil {
		t.Errorf("the NaN row gave %+v", bad[1].Sampled)
	}
	for _, i := range []int{0, 2} {
		if !reflect.DeepEqual(good[i].Sampled, bad[i].Sampled) {
			t.Errorf("row %d changed from %+v to %+v beside a NaN row", i, good[i].Sampled, bad[i].Sampled)
		}
	}
	if after := run(4); !reflect.DeepEqual(after, good) {
		t.Error("results differ after a NaN row")
	}
}
