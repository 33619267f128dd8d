package backendtest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/weights"
)

// drafts holds a device that takes guesses to the law that they change nothing:
// whatever is guessed behind a slot's last token, it samples what it samples a row
// a step, and its last token and counts are those of the tokens that were taken.
func (s suite) drafts(t *testing.T) {
	const steps = 40
	alone := make([][]backend.Sampled, 9)
	one, d := s.draftRig(t)
	if !one.Info().Drafts {
		t.Skip("it samples one token a slot and step")
	}
	seqs := draftSequences(one)
	for range steps {
		var parts []Part
		for i := range seqs {
			parts = append(parts, Part{Seq: &seqs[i], Tokens: []int32{^int32(i)}, Want: 1, Sample: true})
		}
		for i, got := range step(t, d, parts...) {
			alone[i] = append(alone[i], got.Sampled)
		}
	}
	many, d := s.draftRig(t)
	seqs = draftSequences(many)
	rng := rand.New(rand.NewPCG(4, 4))
	got := make([][]backend.Sampled, len(alone))
	right, wrong := 0, 0
	for round := 0; round < 3*steps; round++ {
		var parts []Part
		for i := range seqs {
			if n := len(got[i]); n < steps {
				tokens := []int32{^int32(i)}
				for k := range min(rng.IntN(5), steps-n-1) {
					guess := alone[i][n+k].Token
					if rng.IntN(4) == 0 {
						guess = alone[i][n].Token // the first one's token is wrong for others
					}
					tokens = append(tokens, guess)
				}
				parts = append(parts, Part{Seq: &seqs[i], Tokens: tokens, Want: len(tokens)})
			}
		}
		for k, sampled := range draftStep(t, d, parts) {
			i := parts[k].Seq.Slot
			got[i] = append(got[i], sampled...)
			right, wrong = right+len(sampled)-1, wrong+len(parts[k].Tokens)-len(sampled)
			parts[k].Seq.Length -= len(parts[k].Tokens) - len(sampled)
		}
	}
	for i := range got {
		for n, want := range alone[i] {
			if n >= len(got[i]) || !reflect.DeepEqual(got[i][n], want) {
				t.Fatalf("slot %d, token %d of %d with guesses: must be %+v\n%+v", i, n, len(got[i]), want, got[i])
			}
		}
	}
	if right < 50 || wrong < 50 {
		t.Errorf("%d right guesses, %d wrong ones", right, wrong)
	}
}

// draftRig is a model whose logits follow from the last token.
func (s suite) draftRig(t *testing.T) (*rig, *Driver) {
	const vocab, cols = 131, 64
	cfg := s.config()
	cfg.MaxSeqs, cfg.Pages = 9, 18
	r := newRig(t, s, cfg, 1)
	table := func() backend.Linear { return r.linear(randomTensor(r.rng, weights.F32, vocab, cols)) }
	x, embed, head, norm := r.buffer(cols), table(), table(), r.vector(slices.Repeat([]float32{0.4}, cols)...)
	r.noKV()
	r.build(func(p backend.Program) { p.Embed(x, embed); p.Logits(x, norm, 1e-6, head) })
	return r, NewDriver(r.Backend, cfg, 1)
}

func draftSequences(r *rig) []Sequence {
	slots := samplingSlots(rand.New(rand.NewPCG(7, 7)))
	seqs := make([]Sequence, len(slots))
	for i, slot := range slots {
		seqs[i].Slot = i
		r.SetSlot(i, slot)
	}
	return seqs
}

// draftStep samples from every row of the parts, of which all but the first is fed
// with a guess, and returns what was taken.
func draftStep(t *testing.T, d *Driver, parts []Part) [][]backend.Sampled {
	t.Helper()
	if err := d.Fill(parts...); err != nil {
		t.Fatal(err)
	}
	b := d.B.Batch()
	for i, p := range parts {
		first := b.Seqs[i].First
		for k := range p.Tokens {
			b.Samples = append(b.Samples, backend.Sample{Slot: int32(p.Seq.Slot), Logits: first + int32(k), Pos: b.Pos[first] + int32(k) + 1, Drafted: k > 0})
		}
	}
	for _, run := range []func() error{d.B.Forward, d.B.Sample, d.B.Sync} {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	taken := make([][]backend.Sampled, len(parts))
	at := 0
	for i, p := range parts {
		for range p.Tokens {
			if s := b.Sampled[at]; s.Token != backend.NotTaken {
				s.Top = append([]llm.TokenLogprob(nil), s.Top...)
				taken[i] = append(taken[i], s)
			}
			at++
		}
	}
	return taken
}
