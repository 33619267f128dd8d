package model_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/reference"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// recorder is the reference backend, which keeps what it was given.
type recorder struct {
	*reference.Backend
	linears map[string]backend.LinearSpec
}

func (r *recorder) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	r.linears[s.Name] = s
	return r.Backend.NewLinear(s)
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	// A group of one: it takes a part of a vocabulary, and nothing runs.
	group, err := reference.NewGroup(backend.Config{MaxRows: 8, MaxSeqs: 1, MaxContext: 64, Pages: 2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := group[0]
	t.Cleanup(func() { b.Close() })
	return &recorder{b, map[string]backend.LinearSpec{}}
}

// Law: the ranks' shares put together are the whole, and a bias that belongs to
// a sum over ranks is held by the first one only.
func TestShardsAddUpToTheModel(t *testing.T) {
	src, err := weights.Open("../../testdata/models/llama-linear")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	load := func(sh weights.Shard) map[string]backend.LinearSpec {
		r := newRecorder(t)
		if _, err := model.Load(src, r, sh); err != nil {
			t.Fatal(err)
		}
		return r.linears
	}
	whole := load(weights.Shard{})
	ranks := []map[string]backend.LinearSpec{load(weights.Shard{Rank: 0, Size: 2}), load(weights.Shard{Rank: 1, Size: 2})}
	for name, spec := range whole {
		for i, part := range spec.Parts {
			a, b := ranks[0][name].Parts[i], ranks[1][name].Parts[i]
			switch {
			case strings.HasSuffix(name, "o_proj") || strings.HasSuffix(name, "down_proj"):
				for r := range part.Rows() {
					n := a.RowBytes()
					if !bytes.Equal(part.Data[2*r*n:2*(r+1)*n], append(append([]byte(nil), a.Data[r*n:(r+1)*n]...), b.Data[r*n:(r+1)*n]...)) {
						t.Fatalf("%s: row %d is not the ranks' columns", name, r)
					}
				}
				if len(ranks[0][name].Bias) != 1 || len(ranks[1][name].Bias) != 0 || !bytes.Equal(ranks[0][name].Bias[i].Data, spec.Bias[i].Data) {
					t.Errorf("%s: the bias is not whole on the first rank alone", name)
				}
			default:
				if !bytes.Equal(part.Data, append(append([]byte(nil), a.Data...), b.Data...)) {
					t.Errorf("%s part %d is not the ranks' rows", name, i)
				}
				if v := ranks[1][name].Vocab; name == "model.embed_tokens" && v != (backend.VocabPart{First: 64, Total: 128}) {
					t.Errorf("%s: rank 1 holds %+v", name, v)
				}
				if spec.Bias != nil && !bytes.Equal(spec.Bias[i].Data, append(append([]byte(nil), ranks[0][name].Bias[i].Data...), ranks[1][name].Bias[i].Data...)) {
					t.Errorf("%s part %d: the bias is not the ranks' elements", name, i)
				}
			}
		}
	}
	for _, sh := range []weights.Shard{{Rank: 0, Size: 3}, {Rank: 0, Size: 8}, {Rank: 2, Size: 2}, {Rank: -1, Size: 1}} {
		if _, err := model.Load(src, newRecorder(t), sh); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("shard %+v: %v", sh, err)
		}
	}
}

// Law: two ranks compute what one does, and agree to the bit.
func TestTwoRanksComputeTheModel(t *testing.T) {
	for _, name := range []string{"llama-linear", "qwen2", "qwen3"} {
		src, err := weights.Open("../../testdata/models/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		cfg := backend.Config{MaxRows: 64, MaxSeqs: 1, MaxContext: 64, Pages: 2}
		run := func(b *reference.Backend, sh weights.Shard) [][]float32 {
			defer b.Close()
			if _, err := model.Load(src, b, sh); err != nil {
				t.Error(err)
				return nil
			}
			ids := make([]int32, 40)
			for i := range ids {
				ids[i] = int32(i * 29 % 128)
			}
			got, err := backendtest.NewDriver(b, cfg, 1).Step(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: ids, Want: len(ids)})
			if err != nil {
				t.Error(err)
				return nil
			}
			return got[0].Logits
		}
		ranks, err := reference.NewGroup(cfg, 2)
		if err != nil {
			t.Fatal(err)
		}
		one, err := reference.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		whole := run(one, weights.Shard{})
		var got [2][][]float32
		var wait sync.WaitGroup
		for i, b := range ranks {
			wait.Go(func() { got[i] = run(b, weights.Shard{Rank: i, Size: 2}) })
		}
		wait.Wait()
		if t.Failed() {
			return
		}
		for i, row := range whole {
			for j, v := range row {
				if got[0][i][j] != got[1][i][j] || math.Abs(float64(got[0][i][j]-v)) > 1e-4 {
					t.Fatalf("%s: row %d logit %d: %g and %g on two ranks, %g on one", name, i, j, got[0][i][j], got[1][i][j], v)
				}
			}
		}
	}
}

// Law: a missing or mis-shaped tensor is an error of one line that names it
// with the shape expected and the one found.
func TestWrongTensorsAreNamed(t *testing.T) {
	config, err := os.ReadFile("../../testdata/models/qwen3-yarn/config.json")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../../testdata/models/qwen3-yarn/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	load := func(change func(header map[string]json.RawMessage)) error {
		fsys := fstest.MapFS{
			"config.json":       {Data: config},
			"model.safetensors": {Data: editHeader(t, file, change)},
		}
		src, err := weights.OpenFS(fsys, "edited")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		_, err = model.Load(src, newRecorder(t), weights.Shard{})
		return err
	}
	if err := load(func(map[string]json.RawMessage) {}); err != nil {
		t.Fatal(err)
	}
	names := 0
	load(func(header map[string]json.RawMessage) { names = len(header) })
	if names < 20 {
		t.Fatalf("the header has %d entries", names)
	}
	load(func(header map[string]json.RawMessage) {
		for name := range header {
			if name == "__metadata__" {
				continue
			}
			err := load(func(h map[string]json.RawMessage) {
				h["renamed"] = h[name]
				delete(h, name)
			})
			if want := fmt.Sprintf("tensor %q is missing, expected with shape [", name); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s renamed: %v", name, err)
			}
		}
	})
	err = load(func(h map[string]json.RawMessage) {
		const name = "model.layers.1.mlp.down_proj.weight"
		h[name] = bytes.Replace(h[name], []byte("[64,96]"), []byte("[96,64]"), 1)
	})
	if want := `tensor "model.layers.1.mlp.down_proj.weight" has shape [96 64], expected [64 96]`; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("turned tensor: %v", err)
	}
}

// editHeader changes the JSON header of a safetensors file.
func editHeader(t *testing.T, file []byte, change func(map[string]json.RawMessage)) []byte {
	t.Helper()
	n := binary.LittleEndian.Uint64(file)
	header := map[string]json.RawMessage{}
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	change(header)
	data, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	return append(append(out, data...), file[8+n:]...)
}
