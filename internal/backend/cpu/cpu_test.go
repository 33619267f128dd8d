package cpu_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
	"github.com/reasond/reasond/testdata/smollm2"
)

// eachISA runs a test for every instruction set of this machine.
func eachISA(t *testing.T, f func(t *testing.T, open backendtest.Open)) {
	for _, isa := range kernels.Supported() {
		t.Run(isa.String(), func(t *testing.T) {
			f(t, func(c backend.Config) (backend.Backend, error) { return cpu.NewWithISA(c, isa) })
		})
	}
}

func TestTinyReasonerIsExactInFloat32(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.TinyReasoner(t, open, "../../../testdata/tiny-reasoner", backendtest.ExactTiny)
	})
}

func TestTinyReasonerIsCloseInDefaultDtype(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.TinyReasoner(t, open, "../../../testdata/tiny-reasoner",
			backendtest.Tiny{MinMargin: 0.3, Logprob: 0.05, Golden: "fp32"})
	})
}

func TestRandomModelsMatchTransformers(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.Models(t, open, models, backendtest.ExactGoldens)
	})
}

// Rounding activations to int8 moves the logits of models with 64 columns by up
// to 7 % of the largest, most where weights are int4; the CUDA backend, whose
// activations are bfloat16, stays below 5 %.
func TestRandomModelsFollowTransformersInDefaultDtype(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) {
		backendtest.Models(t, open, models, backendtest.Goldens{Logits: 9e-2})
	})
}

const models = "../../../testdata/models"

func TestOpsAreExactInFloat32(t *testing.T) {
	eachISA(t, func(t *testing.T, open backendtest.Open) { backendtest.Run(t, open, backendtest.Float32) })
}

// Default arithmetic rounds inputs: to bfloat16 (8 bits) for bfloat16 weights,
// keys, values and probabilities, to int8 with a scale for each 32 for block
// formats; generic and AVX2 kernels round only keys and values.
var defaultDtype = backendtest.Tolerances{Exact: 1e-6, Dense: 1e-2, Quantised: 6e-2, Attention: 2e-2}

func TestOpsAreCloseInDefaultDtype(t *testing.T) {
	for _, isa := range kernels.Supported() {
		tol := defaultDtype
		tol.Quick = isa == kernels.Generic // its matrices are those of float32, which are tried in full
		t.Run(isa.String(), func(t *testing.T) {
			backendtest.Run(t, func(c backend.Config) (backend.Backend, error) { return cpu.NewWithISA(c, isa) }, tol)
		})
	}
}

// smallModel opens the embedded model on the best kernels.
func smallModel(t *testing.T, cfg backend.Config) *cpu.Backend {
	t.Helper()
	return openModel(t, cfg, "../../../testdata/tiny-reasoner")
}

func openModel(t *testing.T, cfg backend.Config, path string) *cpu.Backend {
	t.Helper()
	b, err := cpu.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	loadModel(t, b, path)
	return b
}

func loadModel(tb testing.TB, b backend.Backend, path string) {
	tb.Helper()
	src, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	if _, err := model.Load(src, b, weights.Shard{}); err != nil {
		tb.Fatal(err)
	}
}

func TestAStepIsOneNativeCallAndAllocatesNothing(t *testing.T) {
	for _, path := range []string{"../../../testdata/tiny-reasoner", models + "/gpt-oss", models + "/qwen3-moe", models + "/deepseek-v3"} {
		t.Run(filepath.Base(path), func(t *testing.T) { oneCall(t, path) })
	}
}

func oneCall(t *testing.T, path string) {
	cfg := backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 256, Pages: 16}
	b := openModel(t, cfg, path)
	d := backendtest.NewDriver(b, cfg, 1)
	s := &backendtest.Sequence{}
	if err := d.Fill(backendtest.Part{Seq: s, Tokens: []int32{5, 6, 7}, Want: 1, Sample: true}); err != nil {
		t.Fatal(err)
	}
	step := func() {
		for _, run := range []func() error{b.Forward, b.Sample, b.Sync} {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		}
	}
	step()
	const steps = 50
	before := runtime.NumCgoCall()
	for range steps {
		step()
	}
	if calls := runtime.NumCgoCall() - before; calls > 2*steps {
		t.Errorf("%d native calls in %d steps, may be two a step", calls, steps)
	}
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

func TestPackedWeightsAreNoLargerThanTheFile(t *testing.T) {
	check := func(path string) {
		cfg := backend.Config{MaxRows: 8, MaxSeqs: 1, MaxContext: 32, Pages: 1}
		b, err := cpu.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		loadModel(t, b, path)
		if i := b.Info(); i.FileBytes == 0 || float64(i.WeightBytes) > 1.1*float64(i.FileBytes) {
			t.Errorf("%s: %d bytes packed, %d in the file", filepath.Base(path), i.WeightBytes, i.FileBytes)
		}
	}
	check("../../../testdata/tiny-reasoner")
	t.Run("SmolLM2", func(t *testing.T) { check(smollm2.Need(t)) })
}

// Rows of SmolLM2's shape in every format: alone, in a batch and on any number
// of threads the logits are the same bits, though the arithmetic is int8.
func TestBitsDoNotDependOnThreadsOrBatch(t *testing.T) {
	for _, isa := range kernels.Supported() {
		for _, dtype := range []weights.DType{weights.Q4_1, weights.Q6_K, weights.BF16, weights.F16} {
			t.Run(fmt.Sprint(isa, dtype), func(t *testing.T) {
				var first [][]float32
				for _, threads := range []int{1, 2, 5} {
					cfg := backend.Config{MaxRows: 40, MaxSeqs: 4, MaxContext: 128, Pages: 32, Threads: threads}
					b, err := cpu.NewWithISA(cfg, isa)
					if err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					randomModel(t, b, smallShape, dtype, weights.Q8_0)
					for _, rows := range []int{37, 1, 6, 17} {
						got := chunked(t, b, cfg, 37, rows)
						if first == nil {
							first = got
						}
						for i, row := range got {
							if !slices.Equal(row, first[i]) {
								t.Fatalf("%d threads, chunks of %d: row %d differs", threads, rows, i)
							}
						}
					}
				}
			})
		}
	}
}

// chunked feeds n tokens in chunks and returns every row's logits.
func chunked(t *testing.T, b backend.Backend, cfg backend.Config, n, rows int) [][]float32 {
	d := backendtest.NewDriver(b, cfg, uint64(rows))
	s, tokens := &backendtest.Sequence{}, ids(n)
	var out [][]float32
	for at := 0; at < n; at += rows {
		part := tokens[at:min(at+rows, n)]
		got, err := d.Step(backendtest.Part{Seq: s, Tokens: part, Want: len(part)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got[0].Logits...)
	}
	d.Free(s)
	return out
}

func TestForwardRefusesABatchThatDoesNotFit(t *testing.T) {
	cfg := backend.Config{MaxRows: 4, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	b := smallModel(t, cfg)
	for name, spoil := range map[string]func(*backend.Batch){
		"token":            func(t *backend.Batch) { t.Token[0] = 1280 },
		"slot of a token":  func(t *backend.Batch) { t.Token[0] = ^int32(2) },
		"position":         func(t *backend.Batch) { t.Pos[1] = 64 },
		"negative":         func(t *backend.Batch) { t.Pos[1] = -1 },
		"sequence":         func(t *backend.Batch) { t.Seq[1] = 1 },
		"page":             func(t *backend.Batch) { t.Pages[0] = 4 },
		"table":            func(t *backend.Batch) { t.Seqs[0].Table = 1 },
		"length":           func(t *backend.Batch) { t.Seqs[0].Length = 65 },
		"rows":             func(t *backend.Batch) { t.Rows = 5 },
		"too few rows":     func(t *backend.Batch) { t.Seqs[0].Count = 1 },
		"slot":             func(t *backend.Batch) { t.Seqs[0].Slot = -1 },
		"logits":           func(t *backend.Batch) { t.LogitRows[0] = 2 },
		"copy":             func(t *backend.Batch) { t.Copies = append(t.Copies, backend.Copy{Src: 0, Dst: 4}) },
		"too many copies":  func(t *backend.Batch) { t.Copies = make([]backend.Copy, 100) },
		"fewer rows still": func(t *backend.Batch) { t.Token = t.Token[:1] },
	} {
		d := backendtest.NewDriver(b, cfg, 1)
		part := backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{1, 2}, Want: 1}
		if err := d.Fill(part); err != nil {
			t.Fatal(err)
		}
		spoil(b.Batch())
		if err := b.Forward(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := d.Step(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{1, 2}, Want: 1}); err != nil {
			t.Errorf("%s: the next step fails: %v", name, err)
		}
	}
}

// A caller may put slices of its own into the batch.
func TestForwardTakesSlicesFromElsewhere(t *testing.T) {
	cfg := backend.Config{MaxRows: 4, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	b := smallModel(t, cfg)
	run := func(own bool) []float32 {
		d := backendtest.NewDriver(b, cfg, 1)
		if err := d.Fill(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{9, 2, 4}, Want: 1}); err != nil {
			t.Fatal(err)
		}
		if batch := b.Batch(); own {
			batch.Token, batch.Seqs = slices.Clone(batch.Token), slices.Clone(batch.Seqs)
			batch.Pages, batch.LogitRows = slices.Clone(batch.Pages), slices.Clone(batch.LogitRows)
		}
		if err := b.Forward(); err != nil {
			t.Fatal(err)
		}
		row := make([]float32, 1280)
		if err := b.LogitsRow(row, 0); err != nil {
			t.Fatal(err)
		}
		return row
	}
	want := run(false)
	d := backendtest.NewDriver(b, cfg, 1)
	if _, err := d.Step(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{1, 1, 1, 1}, Want: 1}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(run(true), want) {
		t.Error("the logits differ")
	}
}
