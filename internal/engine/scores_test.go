package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// scoredPrompt is a prompt with transformers' logits in each place of it.
type scoredPrompt struct {
	ids    []int32
	logits [][]float32
}

// scoredPrompts are those of a folder of testdata/models, which says how its
// logits.bin lies.
func scoredPrompts(t *testing.T, folder string) []scoredPrompt {
	t.Helper()
	var golden struct {
		Vocab   int
		Prompts []struct{ IDs, Generated []int32 }
	}
	data, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	if err == nil {
		err = json.Unmarshal(data, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(folder, "logits.bin")); err != nil {
		t.Fatal(err)
	}
	var prompts []scoredPrompt
	for _, g := range golden.Prompts {
		p := scoredPrompt{ids: slices.Concat(g.IDs, g.Generated)}
		for range p.ids {
			row := make([]float32, golden.Vocab)
			for i := range row {
				row[i] = math.Float32frombits(binary.LittleEndian.Uint32(data))
				data = data[4:]
			}
			p.logits = append(p.logits, row)
		}
		prompts = append(prompts, p)
	}
	return prompts
}

// logSoftmax is the slow way, in float64.
func logSoftmax(logits []float32) []float64 {
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	out := make([]float64, len(logits))
	for i, v := range logits {
		out[i] = float64(v) - math.Log(sum)
	}
	return out
}

// scoresOf reads a stream to its end and returns what it says of the prompt,
// which must come once, before any token.
func scoresOf(t *testing.T, s llm.Stream) []llm.PromptLogprob {
	t.Helper()
	var got []llm.PromptLogprob
	tokens := 0
	for {
		deltas, err := s.Recv(context.Background())
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deltas {
			if d.Prompt != nil {
				if got != nil || tokens > 0 {
					t.Errorf("the prompt's scores come after %d tokens, or twice", tokens)
				}
				got = d.Prompt
			}
			tokens += len(d.IDs)
			if d.Finish != nil && (d.Finish.Reason != llm.FinishLength || d.Finish.Cached != 0) {
				t.Errorf("finish %+v", d.Finish)
			}
		}
	}
}

// TestPromptLogprobsAreTransformers: each token of a prompt has the
// log-probability, the rank and the likeliest alternatives of transformers'
// logits, however few logits rows a step has, in a crowd, for several choices,
// under preemption, and after the same prompt was cached.
func TestPromptLogprobsAreTransformers(t *testing.T) {
	const folder, likely = "../../testdata/models/qwen3", 5
	prompts := scoredPrompts(t, folder)
	for _, size := range []struct{ logits, pages int }{{4, 64}, {32, 64}, {5, 9}} {
		for _, d := range devices[:2] {
			bc := backend.Config{MaxRows: 32, MaxSeqs: 4, MaxLogits: size.logits, MaxContext: 128, Pages: size.pages, Float32: true}
			src, err := weights.Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			be, err := d.open(bc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := model.Load(src, be, weights.Shard{}); err != nil {
				t.Fatal(err)
			}
			src.Close()
			e, err := New(Config{Backend: bc, Model: "tiny"}, be)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range prompts { // cached
				ask(t, e, newReq(p.ids, greedy(4)))
			}
			var streams []llm.Stream
			for i, p := range prompts {
				req := newReq(p.ids, greedy(20))
				req.N, req.PromptLogprobs = 1+i%2, new(int)
				*req.PromptLogprobs = likely
				streams = append(streams, submit(t, e, req))
			}
			for i, s := range streams {
				checkScores(t, prompts[i], scoresOf(t, s), likely)
			}
			settled(t, e)
		}
	}
}

func checkScores(t *testing.T, p scoredPrompt, got []llm.PromptLogprob, likely int) {
	t.Helper()
	if len(got) != len(p.ids)-1 {
		t.Fatalf("%d tokens of a prompt of %d are scored", len(got), len(p.ids))
	}
	for i, g := range got {
		want := logSoftmax(p.logits[i])
		order := make([]int32, len(want))
		for id := range order {
			order[id] = int32(id)
		}
		slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(want[b], want[a]) })
		if g.ID != p.ids[i+1] || math.Abs(float64(g.Logprob)-want[g.ID]) > 1e-3 {
			t.Fatalf("token %d is %d (%f), transformers has %d (%f)", i+1, g.ID, g.Logprob, p.ids[i+1], want[p.ids[i+1]])
		}
		// The rank is where the golden has it, but for near ties.
		if at := order[g.Rank-1]; math.Abs(want[at]-want[g.ID]) > 2e-3 {
			t.Errorf("token %d is said to be number %d, where transformers has %d (%f against %f)", i+1, g.Rank, at, want[at], want[g.ID])
		}
		if len(g.Top) != likely {
			t.Fatalf("%d alternatives", len(g.Top))
		}
		for k, top := range g.Top {
			if math.Abs(float64(top.Logprob)-want[top.ID]) > 1e-3 || math.Abs(want[order[k]]-want[top.ID]) > 2e-3 {
				t.Errorf("token %d: alternative %d is %d (%f), transformers has %d (%f)", i+1, k, top.ID, top.Logprob, order[k], want[order[k]])
			}
		}
	}
}

// TestAPromptOfOneTokenHasNoScores, and says so.
func TestAPromptOfOneTokenHasNoScores(t *testing.T) {
	if got := newScores(1, 0).add(0, nil); got == nil || len(got) != 0 {
		t.Errorf("%v", got)
	}
}
