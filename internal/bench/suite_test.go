package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

func openCPU(c backend.Config) (backend.Backend, error) { return cpu.New(c) }

func tiny(t *testing.T) *weights.Model {
	t.Helper()
	src, err := weights.OpenFS(tinyreasoner.FS, "tiny-reasoner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// loaded is the embedded model on a CPU backend, and what its steps cost.
func loaded(t *testing.T, cfg backend.Config) (backend.Backend, *Work, *model.Config) {
	t.Helper()
	be, err := cpu.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	counted, work := Count(be, cfg.Pages)
	m, err := model.Load(tiny(t), counted, weights.Shard{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	return be, work, &m.Config
}

var small = backend.Config{MaxRows: 64, MaxSeqs: 3, MaxContext: 128, Pages: 12, MaxLogits: 64, Threads: 1}

// The embedded model's matrices are all bfloat16 with tied embeddings, so what a
// step must read and compute follows from its shape.
func TestAStepCostsWhatTheModelsShapeSays(t *testing.T) {
	be, work, c := loaded(t, small)
	inLayers := c.Layers * (c.Hidden*(2*c.Heads+2*c.KVHeads)*c.HeadDim + 3*c.Hidden*c.Intermediate)
	head := c.Vocab * c.Hidden
	kv := float64(c.KVBytesPerToken(2))

	one := work.Step(1, 1, 40)
	if got, want := sum(one.Ops), float64(2*(inLayers+head)); got != want {
		t.Errorf("a decoded token takes %g operations, must be %g", got, want)
	}
	// Panels of packed weights are padded, and norms are no matrices.
	if got, want := one.Bytes-40*kv, float64(be.Info().WeightBytes); math.Abs(got/want-1) > 0.02 {
		t.Errorf("a decoded token reads %g bytes of weights, %g are packed", got, want)
	}
	many := work.Step(7, 2, 40, 50, 60)
	if got, want := sum(many.Ops), float64(2*(7*inLayers+2*head)); got != want {
		t.Errorf("seven rows take %g operations, must be %g", got, want)
	}
	if got, want := many.Bytes-one.Bytes, 110*kv; math.Abs(got-want) > 1 {
		t.Errorf("sequences of 150 tokens read %g bytes more than one of 40, must be %g", got, want)
	}
	if none := work.Step(7, 0, 40); sum(none.Ops) != float64(2*7*inLayers) || none.Bytes >= one.Bytes {
		t.Error("a step without logits computes the head")
	}
}

func sum(ops map[string]float64) (total float64) {
	for _, n := range ops {
		total += n
	}
	return total
}

// Of experts those are read that some row is expected to choose.
func TestExpertsAreReadAsOftenAsTheyAreChosen(t *testing.T) {
	w := Work{experts: []experts{{matrices{800, map[string]float64{"int8": 160}}, 8, 2}}}
	if c := w.Step(1, 0); c.Bytes != 200 || c.Ops["int8"] != 40 {
		t.Errorf("one row: %v", c)
	}
	if c := w.Step(2, 0); c.Bytes != 800*(1-0.75*0.75) || c.Ops["int8"] != 80 {
		t.Errorf("two rows: %v", c)
	}
	if c := w.Step(1000, 0); math.Abs(c.Bytes-800) > 1e-9 {
		t.Errorf("many rows: %v", c)
	}
}

// Forked sequences go on as if each had been computed by itself, whatever the
// chunks.
func TestForkedSequencesAreWhatTheyWouldBeAlone(t *testing.T) {
	const depth, steps = 70, 6
	decode := func(prepare func(*Driver) error) (tokens [][]int32) {
		be, _, _ := loaded(t, small)
		d := NewDriver(be, small, 64)
		d.copies = 2
		if err := prepare(d); err != nil {
			t.Fatal(err)
		}
		d.bind(3)
		for i := range steps {
			if err := d.step(0, 3, depth+i, 1, true); err != nil {
				t.Fatal(err)
			}
			var step []int32
			for _, s := range be.Batch().Sampled {
				step = append(step, s.Token)
			}
			tokens = append(tokens, step)
		}
		return tokens
	}
	alone := decode(func(d *Driver) error {
		d.bind(3)
		var errs []error
		for seq := range 3 {
			for at := 0; at < depth; at += 35 {
				errs = append(errs, d.step(seq, seq+1, at, 35, false))
			}
		}
		return errors.Join(errs...)
	})
	forked := decode(func(d *Driver) error { return d.Prepare(3, depth) })
	for i := range alone {
		if !slices.Equal(alone[i], forked[i]) {
			t.Fatalf("step %d: %v forked, %v alone", i, forked[i], alone[i])
		}
	}
	if alone[0][0] == alone[0][1] && alone[1][0] == alone[1][1] && alone[0][1] == alone[0][2] {
		t.Error("all sequences are the same: nothing was shown")
	}
}

func TestEveryCombinationIsMeasured(t *testing.T) {
	cfg := Config{
		Prefill: []int{40}, Decode: []int{3}, Batch: []int{1, 3}, Depth: []int{0, 33}, Threads: []int{1, 2}, Repetitions: 2, Chunk: 16,
	}
	last, total := 0, 0
	r, err := Run(t.Context(), cfg, tiny(t), openCPU, func(done, n int, _ string) { last, total = done, n })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range r.Rows {
		if len(row.Samples) != 2 || !(row.Speed > 0) || row.Bandwidth == nil || row.Peak == nil || !(*row.Bandwidth > 0) || !(*row.Peak > 0) {
			t.Errorf("%s: %+v", &row, row)
		}
		if row.Threads == 2 {
			names = append(names, row.String())
		}
	}
	want := []string{"prefill 40", "prefill 40 at 33", "decode 3", "decode 3 × 3", "decode 3 at 33", "decode 3 × 3 at 33"}
	if !slices.Equal(names, want) || len(r.Rows) != 12 || len(r.Limits) != 2 {
		t.Errorf("measured %q; %d rows, limits of %d numbers of threads", names, len(r.Rows), len(r.Limits))
	}
	if last != total || total != 24 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
}

func TestAnInterruptedRunKeepsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{Prefill: []int{8, 16}, Depth: []int{0}, Threads: []int{1}, Repetitions: 2, Chunk: 16}
	r, err := Run(ctx, cfg, tiny(t), openCPU, func(done, _ int, _ string) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(r.Rows) != 1 || r.Rows[0].Tokens != 8 || r.Rows[0].Bandwidth == nil {
		t.Errorf("%v, %+v", err, r)
	}
}

// The same text in any chunks has the same perplexity, for the CPU computes a row
// the same way in all of them.
func TestPerplexityDoesNotDependOnChunks(t *testing.T) {
	ids := make([]int32, 100)
	for i := range ids {
		ids[i] = token(i * i)
	}
	var first *Perplexity
	for _, chunk := range []int{64, 7} {
		r, err := MeasurePerplexity(t.Context(), tiny(t), openCPU, ids, 64, chunk, 1, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := r.Perplexity
		if p.Tokens != 98 || !(p.Value > 1) {
			t.Errorf("%+v", p)
		}
		if first == nil {
			first = p
		} else if *p != *first {
			t.Errorf("chunks of %d: %+v, of 64: %+v", chunk, *p, *first)
		}
	}
}

func TestJSONComesBackAndKeepsItsFields(t *testing.T) {
	share := 0.5
	r := newResult()
	r.Rows = append(r.Rows, Row{Test: DecodeTest, Threads: 1, Batch: 4, Tokens: 128, Depth: 9, Speed: 100, Samples: []float64{100}, Bandwidth: &share})
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		`"schema":1`, `"test":"decode"`, `"threads":1`, `"batch":4`, `"tokens":128`, `"depth":9`, `"tokens_per_s":100`, `"spread":0`,
		`"samples":[100]`, `"bandwidth_share":0.5`, `"peak_share":null`, `"limits":[]`, `"file_bytes"`, `"version"`, `"date"`, `"cpu"`,
	} {
		if !strings.Contains(string(data), field) {
			t.Errorf("no %s in %s", field, data)
		}
	}
	var back Result
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	faster := back.Rows[0]
	faster.Speed = 120
	now := &Result{Rows: []Row{faster}, Perplexity: &Perplexity{Value: 10.1}}
	back.Perplexity = &Perplexity{Value: 10}
	if got := now.Table(&back).Rows[0]; got[len(got)-1] != "1.200" {
		t.Errorf("compared: %q", got)
	}
	if w := now.Worse(&back, 0.02); len(w) > 0 {
		t.Errorf("worse by 2 %%: %q", w)
	}
	if w := now.Worse(&back, 0.005); len(w) != 1 || !strings.Contains(w[0], "perplexity") {
		t.Errorf("worse by 0.5 %%: %q", w)
	}
	if w := back.Worse(now, 0.1); len(w) != 1 || !strings.Contains(w[0], "decode") {
		t.Errorf("the slower run beside the faster one: %q", w)
	}
}
