package backendtest

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
)

// randomModel is a model of testdata/models with what transformers computed:
// see the README there.
type randomModel struct {
	path    string // folder or .gguf
	prompts []struct {
		IDs       []int32 `json:"ids"`
		Generated []int32 `json:"generated"`
	}
	rows [][][]float32 // [prompt][row][vocab]
}

// tokens are all ids that prompt p feeds; row i of the golden follows token i.
func (m *randomModel) tokens(p int) []int32 {
	return append(append([]int32(nil), m.prompts[p].IDs...), m.prompts[p].Generated...)
}

// Goldens says how closely a backend must follow the models' goldens.
type Goldens struct {
	Float32      bool
	Logits       float64 // tolerance, relative to the largest logit of a row
	BatchVariant bool    // see Tolerances
	Thin         int     // one model in so many; 0: all
	Quick        bool    // fewer sizes of chunks, for devices that are emulated
}

// ExactGoldens is the float32 requirement.
var ExactGoldens = Goldens{Float32: true, Logits: 1e-4}

// Models compares every model of folder with the logits of transformers: whole
// prefill, chunked prefill, decode, and sequences of mixed lengths that start at
// different steps. Chunked and batched runs must give the same bits as the whole
// prefill, unless the backend is BatchVariant.
func Models(t *testing.T, open Open, folder string, want Goldens) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, e := range entries {
		name := e.Name()
		if !e.IsDir() && filepath.Ext(name) != ".gguf" {
			continue
		}
		if found++; i%max(want.Thin, 1) != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := readModel(t, folder, name)
			cfg := backend.Config{Float32: want.Float32, MaxRows: 160, MaxSeqs: 5, MaxContext: 256, Pages: 24}
			run := modelRun{m: m, want: want, d: NewDriver(load(t, open, m.path, cfg), cfg, 7)}
			t.Run("prefill", run.prefill)
			t.Run("chunks", run.chunks)
			t.Run("decode", run.decode)
			t.Run("mixed", run.mixed)
		})
	}
	if found < 5 {
		t.Errorf("%s holds %d models", folder, found)
	}
}

func readModel(t *testing.T, folder, name string) *randomModel {
	golden := filepath.Join(folder, strings.TrimSuffix(name, ".gguf"))
	m := &randomModel{path: filepath.Join(folder, name)}
	var index struct {
		Vocab   int `json:"vocab"`
		Prompts []struct {
			IDs       []int32 `json:"ids"`
			Generated []int32 `json:"generated"`
		} `json:"prompts"`
	}
	readJSON(t, filepath.Join(golden, "golden.json"), &index)
	rows := readFloats(t, filepath.Join(golden, "logits.bin"), index.Vocab)
	for _, p := range index.Prompts {
		m.prompts = append(m.prompts, p)
		n := len(p.IDs) + len(p.Generated)
		m.rows = append(m.rows, rows[:n])
		rows = rows[n:]
	}
	if len(rows) != 0 || len(m.prompts) == 0 {
		t.Fatalf("%s: %d rows are left over", golden, len(rows))
	}
	return m
}

// modelRun is one model on one backend.
type modelRun struct {
	m     *randomModel
	d     *Driver
	want  Goldens
	whole [][][]float32 // the backend's own logits of whole prefills: [prompt][row]
}

func (run *modelRun) prefill(t *testing.T) {
	for p := range run.m.prompts {
		s := &Sequence{}
		ids := run.m.tokens(p)
		got := step(t, run.d, Part{Seq: s, Tokens: ids, Want: len(ids)})
		run.whole = append(run.whole, got[0].Logits)
		for i, row := range got[0].Logits {
			near(t, run.want.Logits, row, run.m.rows[p][i], "prompt %d row %d", p, i)
		}
		run.d.Free(s)
	}
}

func (run *modelRun) chunks(t *testing.T) {
	sizes := []int{1, 5, 16, 31, 32, 33}
	if run.want.Quick {
		sizes = []int{5, 33}
	}
	for _, size := range sizes {
		for p := range run.m.prompts {
			s := &Sequence{Slot: 1}
			ids := run.m.tokens(p)
			for at := 0; at < len(ids); at += size {
				chunk := ids[at:min(at+size, len(ids))]
				got := step(t, run.d, Part{Seq: s, Tokens: chunk, Want: len(chunk)})
				for i, row := range got[0].Logits {
					run.check(t, row, p, at+i, "chunks of %d", size)
				}
			}
			run.d.Free(s)
		}
	}
}

func (run *modelRun) decode(t *testing.T) {
	for p, prompt := range run.m.prompts {
		s := &Sequence{Slot: 2}
		run.d.B.SetSlot(2, backend.Slot{Prompt: prompt.IDs})
		n := len(prompt.IDs)
		got := step(t, run.d, Part{Seq: s, Tokens: prompt.IDs, Want: 1, Sample: true})
		for k, id := range prompt.Generated {
			feed := ^int32(2) // what the device sampled
			if !run.want.Float32 {
				feed = id // near ties may fall otherwise
			}
			if (run.want.Float32 || run.clear(run.m.rows[p][n+k-1])) && got[0].Sampled.Token != id {
				t.Fatalf("prompt %d: token %d is %d, golden %d", p, k, got[0].Sampled.Token, id)
			}
			got = step(t, run.d, Part{Seq: s, Tokens: []int32{feed}, Want: 1, Sample: true})
			run.check(t, got[0].Logits[0], p, n+k, "decode")
		}
		run.d.Free(s)
	}
}

// mixed starts one prompt a step, feeds prompts in chunks of 13 and the
// generated ids one by one, all in one batch and in changing order.
func (run *modelRun) mixed(t *testing.T) {
	seqs := make([]Sequence, len(run.m.prompts))
	for i := 0; ; i++ {
		var parts []Part
		var which, from []int
		for k := range run.m.prompts {
			p := (k + i) % len(run.m.prompts)
			s, ids, n := &seqs[p], run.m.tokens(p), len(run.m.prompts[p].IDs)
			if p > i || s.Length == len(ids) {
				continue
			}
			s.Slot = p
			count := 1
			if s.Length < n {
				count = min(13, n-s.Length)
			}
			which, from = append(which, p), append(from, s.Length)
			parts = append(parts, Part{Seq: s, Tokens: ids[s.Length : s.Length+count], Want: count})
		}
		if len(parts) == 0 {
			break
		}
		for j, r := range step(t, run.d, parts...) {
			for k, row := range r.Logits {
				run.check(t, row, which[j], from[j]+k, "mixed step %d", i)
			}
		}
	}
	for i := range seqs {
		run.d.Free(&seqs[i])
	}
}

// check compares a row with the golden and, to the bit, with the whole prefill.
func (run *modelRun) check(t *testing.T, row []float32, p, i int, format string, args ...any) {
	t.Helper()
	near(t, run.want.Logits, row, run.m.rows[p][i], format+" prompt %d row %d", append(args, p, i)...)
	alike(t, run.want.BatchVariant, run.want.Logits, row, run.whole[p][i], format+" prompt %d row %d", append(args, p, i)...)
}

// clear reports whether the row's best token leads by more than the tolerance
// lets two logits move.
func (run *modelRun) clear(row []float32) bool {
	first, second, largest := float32(math.Inf(-1)), float32(math.Inf(-1)), 0.0
	for _, v := range row {
		largest = math.Max(largest, math.Abs(float64(v)))
		if v > first {
			first, second = v, first
		} else if v > second {
			second = v
		}
	}
	return float64(first-second) > 2*run.want.Logits*largest
}

// near compares a row with one that is right, relative to its largest value.
func near[T float32 | float64](t *testing.T, tolerance float64, got []float32, want []T, format string, args ...any) {
	t.Helper()
	largest, worst, at := 0.0, 0.0, 0
	for i, w := range want {
		largest = math.Max(largest, math.Abs(float64(w)))
		diff := math.Abs(float64(got[i]) - float64(w))
		if diff > worst || diff != diff {
			worst, at = diff, i
		}
	}
	if !(worst <= tolerance*largest) {
		t.Errorf(format+": element %d is %g, must be %g (off by %.3g of the largest, may be %.3g)",
			append(args, at, got[at], float64(want[at]), worst/largest, tolerance)...)
	}
}

// alike compares what a backend gave for one row in two batches: to the bit, or,
// where it may vary, as far apart as two rows near the right one can be.
func alike(t *testing.T, variant bool, tolerance float64, got, want []float32, format string, args ...any) {
	t.Helper()
	if variant {
		near(t, 2*tolerance, got, want, format, args...)
		return
	}
	same(t, got, want, format, args...)
}

// same compares rows to the bit.
func same(t *testing.T, got, want []float32, format string, args ...any) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf(format+": element %d is %g, alone it was %g", append(args, i, got[i], want[i])...)
			return
		}
	}
}
