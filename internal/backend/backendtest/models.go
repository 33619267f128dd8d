package backendtest

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Tiny says how exactly a backend must follow tiny-reasoner's golden.json.
type Tiny struct {
	Float32   bool
	MinMargin float64 // cases whose smallest lead is over this must give the same ids
	Logprob   float64 // most that a log-probability may differ
	Golden    string  // whose top-10: "fp32" or "bf16"
	Thin      int     // one case in so many; 0: all
}

// ExactTiny is the float32 requirement.
var ExactTiny = Tiny{Float32: true, Logprob: 1e-3, Golden: "fp32"}

type tinyGolden struct {
	Cases []struct {
		Name      string  `json:"name"`
		PromptIDs []int32 `json:"prompt_ids"`
		OutputIDs []int32 `json:"output_ids"`
		MinMargin float64 `json:"min_margin"`
		Top10     map[string][][]struct {
			ID      int32   `json:"id"`
			Logprob float64 `json:"logprob"`
		} `json:"top10"`
	} `json:"cases"`
}

// TinyReasoner generates greedily what folder/golden.json holds, all cases in
// one batch, and compares ids and log-probabilities.
func TinyReasoner(t *testing.T, open Open, folder string, want Tiny) {
	var golden tinyGolden
	readJSON(t, filepath.Join(folder, "golden.json"), &golden)
	cases := golden.Cases[:0]
	for i, c := range golden.Cases {
		if i%max(thin, want.Thin) == 0 {
			cases = append(cases, c)
		}
	}
	golden.Cases = cases
	n := len(cases)
	if n == 0 {
		t.Fatal("golden.json has no cases")
	}
	cfg := backend.Config{Float32: want.Float32, MaxRows: 256, MaxSeqs: n, MaxContext: 1024, Pages: 32 * n}
	b := load(t, open, folder, cfg)
	d := NewDriver(b, cfg, 1)
	output := make([][]int32, n)
	seqs := make([]*Sequence, n)
	for i, c := range golden.Cases {
		seqs[i] = &Sequence{Slot: i}
		b.SetSlot(i, backend.Slot{Params: llm.SamplingParams{Logprobs: true, TopLogprobs: 10}, Prompt: c.PromptIDs})
		for at := 0; at < len(c.PromptIDs); at += 100 { // prompts in chunks, one at a time
			chunk := c.PromptIDs[at:min(at+100, len(c.PromptIDs))]
			last := at+100 >= len(c.PromptIDs)
			part := Part{Seq: seqs[i], Tokens: chunk, Sample: last}
			if last {
				part.Want = 1
			}
			got := step(t, d, part)
			if last {
				output[i] = append(output[i], got[0].Sampled.Token)
				compareTop(t, c.Name, 0, got[0].Sampled, c.Top10[want.Golden], want.Logprob)
			}
		}
	}
	// Decode: every sequence feeds the token that the device remembers.
	for {
		var parts []Part
		var which []int
		for i, c := range golden.Cases {
			if len(output[i]) < len(c.OutputIDs) {
				parts = append(parts, Part{Seq: seqs[i], Tokens: []int32{^int32(i)}, Want: 1, Sample: true})
				which = append(which, i)
			}
		}
		if len(parts) == 0 {
			break
		}
		for j, r := range step(t, d, parts...) {
			i := which[j]
			compareTop(t, golden.Cases[i].Name, len(output[i]), r.Sampled, golden.Cases[i].Top10[want.Golden], want.Logprob)
			output[i] = append(output[i], r.Sampled.Token)
		}
	}
	for i, c := range golden.Cases {
		if c.MinMargin <= want.MinMargin {
			continue
		}
		for j, id := range c.OutputIDs {
			if output[i][j] != id {
				t.Errorf("%s: output %d is %d, golden %d", c.Name, j, output[i][j], id)
				break
			}
		}
	}
}

func compareTop(t *testing.T, name string, at int, got backend.Sampled, golden [][]struct {
	ID      int32   `json:"id"`
	Logprob float64 `json:"logprob"`
}, tolerance float64) {
	t.Helper()
	if at >= len(golden) {
		return
	}
	logprobs := map[int32]float64{}
	for _, top := range got.Top {
		logprobs[top.ID] = float64(top.Logprob)
	}
	if first := golden[at][0]; got.Token != first.ID || math.Abs(float64(got.Logprob)-first.Logprob) > tolerance {
		t.Errorf("%s: step %d sampled %d (%.6f), golden %d (%.6f)", name, at, got.Token, got.Logprob, first.ID, first.Logprob)
	}
	for rank, want := range golden[at] {
		// Near ties may swap the last places; what is there must agree.
		v, ok := logprobs[want.ID]
		if !ok && rank < len(golden[at])-2 {
			t.Errorf("%s: step %d: token %d of the golden's top is missing", name, at, want.ID)
		}
		if ok && math.Abs(v-want.Logprob) > tolerance {
			t.Errorf("%s: step %d: log-probability of %d is %.6f, golden %.6f", name, at, want.ID, v, want.Logprob)
		}
	}
}

// load puts a model folder or file on a new backend; both end with the test.
func load(t *testing.T, open Open, path string, cfg backend.Config) backend.Backend {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	b, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := model.Load(src, b, weights.Shard{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func step(t *testing.T, d *Driver, parts ...Part) []Result {
	t.Helper()
	got, err := d.Step(parts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if r.Sampled.Err != nil {
			t.Fatalf("part %d: %v", i, r.Sampled.Err)
		}
	}
	return got
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// readFloats reads rows of little-endian float32.
func readFloats(t *testing.T, path string, cols int) [][]float32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if cols < 1 || len(data)%(4*cols) != 0 {
		t.Fatalf("%s: %d bytes are not rows of %d floats", path, len(data), cols)
	}
	var rows [][]float32
	for at := 0; at < len(data); {
		row := make([]float32, cols)
		for i := range row {
			row[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[at:]))
			at += 4
		}
		rows = append(rows, row)
	}
	return rows
}
