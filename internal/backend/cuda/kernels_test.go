//go:build cuda && cgo && linux

package cuda

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// architectures are those of docs/architecture.md: a random model of each lies in
// testdata/models.
var architectures = []string{"llama", "qwen2", "qwen3", "qwen3-moe", "gpt-oss", "deepseek-v3"}

// modelOf is a backend with a model of testdata/models on it.
func modelOf(t *testing.T, name string, cfg backend.Config) *Backend {
	t.Helper()
	b, err := New(Options{Driver: cudatest.Driver(t), BLAS: "none"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	loadModel(t, b, "../../../testdata/models/"+name)
	return b
}

// Law: no op is computed on the host. Each one has kernels of its own, the driver
// has launched every one of them, and nothing came back but ids.
func TestEachOpOfEachArchitectureLaunchesItsKernels(t *testing.T) {
	for _, name := range architectures {
		t.Run(name, func(t *testing.T) {
			b := modelOf(t, name, smallConfig)
			d := backendtest.NewDriver(b, smallConfig, 1)
			s := &backendtest.Sequence{}
			b.SetSlot(0, backend.Slot{})
			for _, rows := range []int{90, 1} { // a prompt, launched; then decoding, a graph
				want := map[string]int{}
				ops := append(b.ops[:len(b.ops):len(b.ops)], b.head)
				for i, o := range ops {
					e := b.emitter(b.program.buckets[bucketOf(b.program.buckets, rows)])
					e.narrow = rows == 1
					if o == b.head {
						e.rows = 1
					}
					if err := o.emit(e); err != nil {
						t.Fatal(err)
					}
					if len(e.pending) == 0 || len(e.out) > 0 {
						t.Errorf("op %d, %T, launches %d kernels and calls %d times", i, o, len(e.pending), len(e.out))
					}
					for _, l := range e.pending {
						want[l.Kernel]++
					}
				}
				c := counted(t, func() {
					if err := d.Fill(backendtest.Part{Seq: s, Tokens: tokens(rows), Want: 1, Sample: true}); err != nil {
						t.Fatal(err)
					}
					run(t, b)
				})
				samplers := 0
				maps.DeleteFunc(c.Launches, func(kernel string, n int) bool {
					if _, model := want[kernel]; model {
						return false
					}
					samplers += n
					return true
				})
				if !maps.Equal(c.Launches, want) || samplers == 0 {
					t.Errorf("%d rows: the ops' kernels are %v, launched were %v and %d of sampling", rows, want, c.Launches, samplers)
				}
				if c.BytesOut != 4 || (c.GraphLaunches == 1) != (rows == 1) {
					t.Errorf("%d rows: %d bytes came back, %d graphs", rows, c.BytesOut, c.GraphLaunches)
				}
			}
		})
	}
}

// Law: greedily, each token fed back on the device and all prompts in one batch, a
// model writes what it writes in transformers. A real device adds up in another
// order, and may choose otherwise at a near tie: there what follows is not compared.
func TestGreedyTokensAreThoseOfTransformers(t *testing.T) {
	const tie = 0.02 // lead over the golden's token, of the largest logit
	for _, name := range architectures {
		t.Run(name, func(t *testing.T) {
			prompts := goldenPrompts(t, name)
			b := modelOf(t, name, smallConfig)
			d := backendtest.NewDriver(b, smallConfig, 1)
			parts := make([]backendtest.Part, len(prompts))
			for i, p := range prompts {
				b.SetSlot(i, backend.Slot{Prompt: p.IDs})
				parts[i] = backendtest.Part{Seq: &backendtest.Sequence{Slot: i}, Tokens: p.IDs, Want: 1, Sample: true}
			}
			parted := make([]bool, len(prompts))
			for k := range prompts[0].Generated {
				got, err := d.Step(parts...)
				if err != nil {
					t.Fatal(err)
				}
				for i, r := range got {
					parts[i].Tokens = []int32{^int32(i)} // what the device has sampled
					id, want := r.Sampled.Token, prompts[i].Generated[k]
					if id == want || parted[i] {
						continue
					}
					lead := (r.Logits[0][id] - r.Logits[0][want]) / slices.Max(r.Logits[0])
					if parted[i] = true; cudatest.Present() || !(lead <= tie) {
						t.Errorf("prompt %d: token %d is %d, which leads %d by %.3g of the largest logit", i, k, id, want, lead)
					}
				}
			}
		})
	}
}

// goldenPrompts are a model's prompts, with what transformers goes on with.
func goldenPrompts(t *testing.T, name string) []struct{ IDs, Generated []int32 } {
	t.Helper()
	var golden struct {
		Prompts []struct{ IDs, Generated []int32 }
	}
	data, err := os.ReadFile("../../../testdata/models/" + name + "/golden.json")
	if err == nil {
		err = json.Unmarshal(data, &golden)
	}
	if err != nil || len(golden.Prompts) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return golden.Prompts
}
