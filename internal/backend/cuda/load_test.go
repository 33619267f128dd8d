//go:build cuda && cgo && linux

package cuda

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/weights"
)

func TestFloat32IsRefused(t *testing.T) {
	_, err := New(Options{Driver: cudatest.Driver(t)}, backend.Config{Float32: true, MaxRows: 1, MaxSeqs: 1, MaxContext: 32, Pages: 1})
	if err == nil || !strings.Contains(err.Error(), "needs the CPU") {
		t.Errorf("%v", err)
	}
}

// A tensor that is given twice, as a tied embedding can be, lies on the device once.
func TestATensorGivenTwiceIsUploadedOnce(t *testing.T) {
	b, err := New(Options{Driver: cudatest.Driver(t), BLAS: "none"}, smallConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	table := weights.Tensor{Name: "table", DType: weights.BF16, Shape: []int{32, 64}, Data: make([]byte, 32*64*2)}
	var handles [2]backend.Linear
	var bytes [2]int64
	for i := range 2 {
		if handles[i], err = b.NewLinear(backend.LinearSpec{Name: "table", Parts: []weights.Tensor{table}}); err != nil {
			t.Fatal(err)
		}
		bytes[i] = b.Info().WeightBytes
	}
	if handles[0] != handles[1] || bytes[0] != bytes[1] || bytes[0] < int64(len(table.Data)) {
		t.Errorf("matrices %v, bytes after each %v", handles, bytes)
	}
}

func TestWeightsTakeNoMoreThanInTheFile(t *testing.T) {
	b, err := New(Options{Driver: cudatest.Driver(t), BLAS: "none"}, smallConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	loadModel(t, b, "../../../testdata/tiny-reasoner")
	src, err := weights.Open("../../../testdata/tiny-reasoner")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if i := b.Info(); i.FileBytes != src.TotalBytes() || float64(i.WeightBytes) > 1.1*float64(i.FileBytes) {
		t.Errorf("%d bytes on the device, %d of %d in the file", i.WeightBytes, i.FileBytes, src.TotalBytes())
	}
}

func TestPagesTakeTheShareOfMemoryThatIsLeft(t *testing.T) {
	cfg := smallConfig
	cfg.Pages, cfg.MaxContext = 0, 1<<16
	b := smallModel(t, Options{Memory: 0.2}, cfg)
	i, total := b.Info(), b.mem.dev.Info.TotalMem
	if i.Pages < cfg.MaxContext/backend.PageTokens || i.KVBytes < b.kv.bytes(i.Pages) {
		t.Errorf("%d pages in %d bytes", i.Pages, i.KVBytes)
	}
	used := b.mem.used[weightMemory] + b.mem.used[activationMemory] + b.mem.used[kvMemory]
	if used > total/5 {
		t.Errorf("%d bytes of %d are used, a fifth may be", used, total)
	}
}

func TestAModelThatDoesNotFitIsRefusedWithTheNumbers(t *testing.T) {
	path := cudatest.Driver(t)
	for _, c := range []struct {
		opt   Options
		pages int
		words []string
	}{
		{Options{Memory: 0.001}, 0, []string{"does not fit", "weights", "activations", "KV pages", "free", "--gpu-memory-utilization"}},
		{Options{}, 1 << 26, []string{"no room for another", "weights of", "activations of", "are free"}},
	} {
		opt := c.opt
		opt.Driver, opt.BLAS = path, "none"
		cfg := smallConfig
		cfg.Pages = c.pages
		b, err := New(opt, cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = loadError(t, b, "../../../testdata/models/llama")
		for _, word := range c.words {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d pages: %v: %q is missing", c.pages, err, word)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if cudatest.Present() {
		if c := cudatest.Read()[0]; c.Used != 0 {
			t.Errorf("%d bytes are still allocated", c.Used)
		}
	}
}

func TestForwardRefusesABatchThatDoesNotFit(t *testing.T) {
	cfg := backend.Config{MaxRows: 4, MaxSeqs: 2, MaxContext: 64, Pages: 4}
	b := smallModel(t, Options{}, cfg)
	for name, spoil := range map[string]func(*backend.Batch){
		"token":           func(t *backend.Batch) { t.Token[0] = 1 << 20 },
		"slot of a token": func(t *backend.Batch) { t.Token[0] = ^int32(2) },
		"position":        func(t *backend.Batch) { t.Pos[1] = 64 },
		"page":            func(t *backend.Batch) { t.Pages[0] = 4 },
		"rows":            func(t *backend.Batch) { t.Rows = 5 },
		"logits":          func(t *backend.Batch) { t.LogitRows[0] = 2 },
		"copy":            func(t *backend.Batch) { t.Copies = append(t.Copies, backend.Copy{Src: 0, Dst: 4}) },
		"samples":         func(t *backend.Batch) { t.Samples = make([]backend.Sample, 3) },
	} {
		d := backendtest.NewDriver(b, cfg, 1)
		if err := d.Fill(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: []int32{1, 2}, Want: 1}); err != nil {
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
