package cuda

import (
	"strings"
	"testing"
)

// shapes of models: heads, KV heads, their width, window.
var modelShapes = map[string][4]int{
	"Llama-3-8B": {32, 8, 128, 0}, "Qwen2-0.5B": {14, 2, 64, 0}, "Qwen2-7B": {28, 4, 128, 0}, "Qwen3-0.6B": {16, 8, 128, 0},
	"Phi-3-mini": {32, 32, 96, 2047}, "gpt-oss-20b": {64, 8, 64, 128}, "Gemma-7B": {16, 16, 256, 0}, "Falcon-7B": {71, 1, 64, 0},
}

func TestAttentionOfModelsCanBeLaunched(t *testing.T) {
	b := Batch{Header: 256, Narrow: 256, Wide: 256, Merges: 256, Pos: 256, Pages: 256}
	for name, s := range modelShapes {
		l := Limits{MaxRows: 8192, MaxSeqs: 256, MaxContext: 131072, SMs: 132}
		for _, fixed := range []bool{false, true} {
			p, err := NewPlanner(s[0], s[1], s[2], s[3], fixed, l)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if bytes := p.PartialBytes(s[0], s[2]); bytes > 512<<20 {
				t.Errorf("%s: fixed %v takes %d MiB of scratch", name, fixed, bytes>>20)
			}
			a := Attention{Heads: s[0], Window: s[3], Scale: 1, KV: KV{K: 256, V: 512, KVHeads: s[1], HeadDim: s[2]}, Partials: 256}
			qkv, out := Buffer{256, ElemBF16, (s[0] + 2*s[1]) * s[2]}, Buffer{256, ElemBF16, s[0] * s[2]}
			for rows := 1; rows <= l.MaxRows; rows *= 2 {
				all, err := a.Launches(b, rows, p, out, qkv, false)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, one := range all {
					if err := one.Check(); err != nil {
						t.Errorf("%s, %d rows: %v", name, rows, err)
					}
				}
			}
		}
	}
	p, err := NewLatentPlanner(128, false, Limits{MaxRows: 8192, MaxSeqs: 256, MaxContext: 163840, SMs: 132})
	if err != nil {
		t.Fatal(err)
	}
	l := Latent{Heads: 128, Rank: 512, NopeDim: 128, RopeDim: 64, Norm: 256, Rope: Rope{Cos: 256, Sin: 256, Rotary: 64}, Scale: 1, Pages: 256, Partials: 256}
	q, wide := Buffer{256, ElemBF16, 128 * 192}, Buffer{256, ElemBF16, 128 * 512}
	for rows := 1; rows <= 8192; rows *= 2 {
		all, err := l.Launches(b, rows, p, wide, wide, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if err := one.Check(); err != nil {
				t.Errorf("DeepSeek-V3, %d rows: %v", rows, err)
			}
		}
	}
}

// Each launcher refuses what its kernel was not made for, with a word that says so.
func TestAttentionsLaunchersRefuseWhatDoesNotFit(t *testing.T) {
	bf := func(cols int) Buffer { return Buffer{256, ElemBF16, cols} }
	p, _ := NewPlanner(4, 2, 64, 0, false, Limits{8, 8, 64, 1})
	latent, _ := NewLatentPlanner(4, false, Limits{8, 8, 64, 1})
	kv := KV{256, 256, 2, 64}
	a := Attention{Heads: 4, KV: kv, Partials: 256}
	l := Latent{Heads: 4, Rank: 32, NopeDim: 8, RopeDim: 8, Norm: 256, Pages: 256, Partials: 256}
	launches := func(_ []Launch, err error) error { return err }
	launch := func(_ Launch, err error) error { return err }
	planner := func(_ *Planner, err error) error { return err }
	with := func(change func(*Attention)) Attention { c := a; change(&c); return c }
	for word, err := range map[string]error{
		"bucket":          launches(a.Launches(Batch{}, 0, p, bf(256), bf(512), false)),
		"rows of 513":     launches(a.Launches(Batch{}, 1, p, bf(256), bf(513), false)),
		"rows of f32":     launches(a.Launches(Batch{}, 1, p, bf(256), Buffer{256, ElemF32, 512}, false)),
		"scratch":         launches(with(func(a *Attention) { a.Partials = 0 }).Launches(Batch{}, 1, p, bf(256), bf(512), false)),
		"groups of 4":     launches(a.Launches(Batch{}, 1, latent, bf(256), bf(512), false)),
		"heads of 72":     launches(with(func(a *Attention) { a.KV.HeadDim = 72 }).Launches(Batch{}, 1, p, bf(256), bf(512), false)),
		"window of -1":    launches(with(func(a *Attention) { a.Window = -1 }).Launches(Batch{}, 1, p, bf(256), bf(512), false)),
		"5 heads over 2":  planner(NewPlanner(5, 2, 64, 0, false, Limits{8, 8, 64, 1})),
		"kernels for [16": planner(NewPlanner(4, 2, 72, 0, false, Limits{8, 8, 64, 1})),
		"SMs:0":           planner(NewPlanner(4, 2, 64, 0, false, Limits{8, 8, 64, 0})),
		"rotary":          launch(StoreKV(Batch{}, 1, bf(512), kv, 4, QKNorm{}, Rope{Rotary: 6})),
		"without memory":  launch(StoreKV(Batch{}, 1, bf(512), kv, 4, QKNorm{}, Rope{Rotary: 64})),
		"5 and 2 heads":   launch(StoreKV(Batch{}, 1, bf(512), kv, 5, QKNorm{}, Rope{})),
		"rank 33":         launch(Latent{Heads: 4, Rank: 33, NopeDim: 8, RopeDim: 8, Norm: 256, Pages: 256}.Store(Batch{}, 1, bf(64), bf(41))),
		"a norm":          launch(Latent{Heads: 4, Rank: 32, NopeDim: 8, RopeDim: 8, Pages: 256}.Store(Batch{}, 1, bf(64), bf(40))),
		"planned for 2":   launches(l.Launches(Batch{}, 1, p, bf(128), bf(128), bf(64))),
		"128 bf16 col":    launches(l.Launches(Batch{}, 1, latent, bf(64), bf(128), bf(64))),
		"pages of 24":     launch(CopyPages(Batch{}, 256, 1, 24)),
		"16 columns into": launch(RMSNorm(Batch{}, 1, bf(8), bf(16), 256, 1e-5)),
		"weights at":      launch(RMSNorm(Batch{}, 1, bf(8), bf(8), 0, 1e-5)),
		"8 columns into":  launch(Cast(Batch{}, 1, bf(16), bf(8))),
		"activation 2":    launch(Activate(Batch{}, 1, bf(8), bf(16), 2, 0, 0)),
		"0 tables":        launches(Embed(Batch{}, 1, bf(8), Weights{}, 0)),
		"buffer at 0x8":   launch(Add(Batch{}, 1, Buffer{8, ElemBF16, 8}, bf(8))),
	} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v", word, err)
		}
	}
}
