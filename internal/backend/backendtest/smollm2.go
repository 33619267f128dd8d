package backendtest

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/testdata/smollm2"
)

type smolGolden struct {
	Prompts []struct {
		Question  string  `json:"question"`
		IDs       []int32 `json:"ids"`
		Generated []int32 `json:"generated"`
	} `json:"prompts"`
	Prose struct {
		IDs  []int32 `json:"ids"`
		Mean float64 `json:"nll_mean"` // nats a token, all but the first
	} `json:"prose"`
}

// SmolLM2 runs a real quantised model against what transformers computes in
// float32 on the same weights: how many of the ten prompts get the same 32
// greedy ids, and how far the text's negative log-likelihood is off, as a
// fraction. It skips where the model was not fetched.
func SmolLM2(t *testing.T, open Open, float32 bool, folder string) (same int, nll float64) {
	path := smollm2.Need(t)
	var golden smolGolden
	readJSON(t, filepath.Join(folder, "golden.json"), &golden)
	n := len(golden.Prompts)
	if n != 10 || len(golden.Prose.IDs) < 100 || golden.Prose.Mean <= 0 {
		t.Fatalf("golden.json has %d prompts, %d ids of prose, mean %v", n, len(golden.Prose.IDs), golden.Prose.Mean)
	}
	cfg := backend.Config{Float32: float32, MaxRows: 128, MaxSeqs: n + 1, MaxContext: 1024, Pages: 32 * 8}
	d := NewDriver(load(t, open, path, cfg), cfg, 1)
	for i, got := range smolGreedy(t, d, &golden) {
		if firstDifference(got, golden.Prompts[i].Generated) < 0 {
			same++
		} else {
			t.Logf("%q differs at token %d", golden.Prompts[i].Question, firstDifference(got, golden.Prompts[i].Generated))
		}
	}
	mean := smolNLL(t, d, n, golden.Prose.IDs)
	return same, math.Abs(mean-golden.Prose.Mean) / golden.Prose.Mean
}

// smolGreedy generates 32 ids for every prompt, all prompts in one batch.
func smolGreedy(t *testing.T, d *Driver, golden *smolGolden) [][]int32 {
	out := make([][]int32, len(golden.Prompts))
	seqs := make([]*Sequence, len(out))
	for i, p := range golden.Prompts {
		seqs[i] = &Sequence{Slot: i}
		d.B.SetSlot(i, backend.Slot{Params: llm.SamplingParams{}, Prompt: p.IDs})
		got := step(t, d, Part{Seq: seqs[i], Tokens: p.IDs, Want: 1, Sample: true})
		out[i] = append(out[i], got[0].Sampled.Token)
	}
	for len(out[0]) < len(golden.Prompts[0].Generated) {
		var parts []Part
		for i, s := range seqs {
			parts = append(parts, Part{Seq: s, Tokens: []int32{^int32(i)}, Want: 1, Sample: true})
		}
		for i, r := range step(t, d, parts...) {
			out[i] = append(out[i], r.Sampled.Token)
		}
	}
	for _, s := range seqs {
		d.Free(s)
	}
	return out
}

// smolNLL is the mean negative log-likelihood of all ids but the first.
func smolNLL(t *testing.T, d *Driver, slot int, ids []int32) float64 {
	seq, sum := &Sequence{Slot: slot}, 0.0
	const chunk = 8 // rows of logits held at a time
	for at := 0; at < len(ids)-1; at += chunk {
		part := ids[at:min(at+chunk, len(ids)-1)]
		rows := step(t, d, Part{Seq: seq, Tokens: part, Want: len(part)})[0].Logits
		for i, row := range rows {
			sum -= logSoftmax(row, ids[at+i+1])
		}
	}
	d.Free(seq)
	return sum / float64(len(ids)-1)
}

func logSoftmax(row []float32, id int32) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return float64(row[id]) - top - math.Log(sum)
}

func firstDifference(got, want []int32) int {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return i
		}
	}
	return -1
}
