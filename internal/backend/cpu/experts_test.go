package cpu_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Law: a row's bits do not depend on the rows beside it, which share its experts
// or take others and may be more than run at once, nor on threads.
func TestBitsOfMixturesDoNotDependOnThreadsOrBatch(t *testing.T) {
	const n, count = 190, 6 // tokens of a sequence, sequences: 1140 rows
	for _, isa := range kernels.Supported() {
		for _, name := range []string{"qwen3-moe", "gpt-oss", "deepseek-v3"} {
			t.Run(fmt.Sprint(isa, "/", name), func(t *testing.T) {
				var first [][]float32
				for _, threads := range []int{1, 2, 5} {
					cfg := backend.Config{MaxRows: n * count, MaxSeqs: count, MaxContext: 256, Pages: 8 * count, Threads: threads}
					b, err := cpu.NewWithISA(cfg, isa)
					if err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					loadModel(t, b, filepath.Join(models, name))
					d := backendtest.NewDriver(b, cfg, uint64(threads))
					sequence := func(i int) backendtest.Part {
						p := backendtest.Part{Seq: &backendtest.Sequence{Slot: i}, Want: 3}
						for at := range n {
							p.Tokens = append(p.Tokens, int32((at*(7+i)+i*i)%128))
						}
						return p
					}
					step := func(parts ...backendtest.Part) (rows [][]float32) {
						got, err := d.Step(parts...)
						if err != nil {
							t.Fatal(err)
						}
						for i, p := range parts {
							rows = append(rows, got[i].Logits...)
							d.Free(p.Seq)
						}
						return rows
					}
					var parts []backendtest.Part
					var alone [][]float32
					for i := range count {
						alone = append(alone, step(sequence(i))...)
						parts = append(parts, sequence(i))
					}
					if first == nil {
						first = alone
					}
					for i, row := range step(parts...) {
						if !slices.Equal(row, alone[i]) {
							t.Fatalf("%d threads: row %d differs from the sequence's alone", threads, i)
						}
						if !slices.Equal(row, first[i]) {
							t.Fatalf("row %d differs on %d threads", i, threads)
						}
					}
				}
			})
		}
	}
}

func TestHandlesThatAreNotThereAreNamed(t *testing.T) {
	for says, ops := range map[string]func(p backend.Program){
		"there is no stack 9":    func(p backend.Program) { p.HeadLinear(0, 0, 9, backend.HeadSpec{}) },
		"there is no routing -1": func(p backend.Program) { p.Route(-1, 0, 0, backend.RouterSpec{TopK: 1, Correction: backend.NoVector}) },
	} {
		b, err := cpu.New(backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.NewBuffer(8); err != nil {
			t.Fatal(err)
		}
		if err := b.Build(ops); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", says, err)
		}
		b.Close()
	}
}
