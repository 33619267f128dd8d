//go:build cuda && cgo && linux

package gpucheck

import (
	"fmt"
	"slices"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cuda"
	"github.com/reasond/reasond/internal/bench"
	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Served is what decoding one shape at one batch size gave.
type Served struct {
	Model     string  `json:"model"`
	Batch     int     `json:"batch"`
	PerSecond float64 `json:"tokens_per_s"`
	Roof      float64 `json:"roof_tokens_per_s"` // what reading each byte of a step once at a copy's speed allows
}

// Serving measures whole models with random weights: greedy decoding behind a
// short prompt, as the engine steps, host and device together. It opens the device
// anew for every model.
func (r *Rig) Serving() (*bench.Table, []Served, error) {
	t := &bench.Table{
		Title: "Decoding",
		Note: "Random weights, a prompt of 32 tokens, then steps of one token a sequence. The roof is a step's bytes (weights, of experts those expected to be chosen; " +
			"keys and values) at the speed of a plain copy.",
		Header: []string{"model", "batch", "ms/step", "tokens/s", "roof", "% of roof"},
	}
	copied, err := r.copySpeed()
	if err != nil {
		return nil, nil, err
	}
	list, batches, steps := shapes, []int{1, 8, 64, 256}, 64
	if r.sizes.tiny {
		list, batches, steps = tinyShapes, []int{1, 3}, 3
	}
	var all []Served
	for _, s := range list {
		got, err := s.serve(cuda.Options{BLAS: r.library}, batches, steps, copied)
		for _, v := range got {
			t.Add(v.Model, v.Batch, 1e3*float64(v.Batch)/v.PerSecond, v.PerSecond, v.Roof, 100*v.PerSecond/v.Roof)
		}
		all = append(all, got...)
		if driver.OutOfMemory(err) {
			t.Add(s.Name, "", "does not fit", "", "", "")
			continue
		}
		if err != nil {
			return t, all, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return t, all, nil
}

// promptTokens lie before what is measured, warmSteps are taken before the clock
// starts.
const promptTokens, warmSteps = 32, 4

func (s shape) serve(opt cuda.Options, batches []int, steps int, copied float64) ([]Served, error) {
	src, _, err := s.open()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	most := batches[len(batches)-1]
	pages := bench.PagesFor(promptTokens + max(steps, warmSteps))
	cfg := backend.Config{
		MaxRows: max(most, 256), MaxSeqs: most, MaxContext: pages * backend.PageTokens, Pages: most * pages, MaxLogits: most,
	}
	be, err := cuda.New(opt, cfg)
	if err != nil {
		return nil, err
	}
	defer be.Close()
	counted, work := bench.Count(be, cfg.Pages)
	if _, err := model.Load(src, counted, weights.Shard{Size: 1}); err != nil {
		return nil, err
	}
	d := bench.NewDriver(be, cfg, cfg.MaxRows)
	var out []Served
	for _, n := range batches {
		took, err := decode(d, n, steps)
		if err != nil {
			return out, fmt.Errorf("batch %d: %w", n, err)
		}
		step := work.Step(n, n, slices.Repeat([]int{promptTokens + steps/2}, n)...)
		out = append(out, Served{
			Model: s.Name, Batch: n, PerSecond: float64(n*steps) / took.Seconds(), Roof: float64(n) * copied * 1e9 / step.Bytes,
		})
	}
	return out, nil
}

// decode is the time of steps of n sequences, prompts and warming up left out.
func decode(d *bench.Driver, n, steps int) (time.Duration, error) {
	if err := d.Prepare(n, promptTokens); err != nil {
		return 0, err
	}
	if _, err := d.Decode(n, promptTokens, warmSteps); err != nil {
		return 0, err
	}
	return d.Decode(n, promptTokens, steps)
}
