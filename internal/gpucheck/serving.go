//go:build cuda && cgo && linux

package gpucheck

import (
	"fmt"
	"math"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cuda"
	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/llm"
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
func (r *Rig) Serving() (*Table, []Served, error) {
	t := &Table{
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

const promptTokens = 32

func (s shape) serve(opt cuda.Options, batches []int, steps int, copied float64) ([]Served, error) {
	src, c, err := s.open()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	most := batches[len(batches)-1]
	d := &decoder{seqs: most, pages: (promptTokens + steps + warmSteps + backend.PageTokens) / backend.PageTokens}
	cfg := backend.Config{
		MaxRows: max(most, 256), MaxSeqs: most, MaxContext: d.pages * backend.PageTokens, Pages: most * d.pages, MaxLogits: most,
	}
	if d.be, err = cuda.New(opt, cfg); err != nil {
		return nil, err
	}
	defer d.be.Close()
	if _, err := model.Load(src, d.be, weights.Shard{Size: 1}); err != nil {
		return nil, err
	}
	var out []Served
	for _, n := range batches {
		took, err := d.decode(n, steps)
		if err != nil {
			return out, fmt.Errorf("batch %d: %w", n, err)
		}
		context := promptTokens + warmSteps + steps/2
		bytes := stepBytes(src, &c, n) + float64(n*context)*float64(c.KVBytesPerToken(2))
		out = append(out, Served{
			Model: s.Name, Batch: n, PerSecond: float64(n*steps) / took.Seconds(), Roof: float64(n) * copied * 1e9 / bytes,
		})
	}
	return out, nil
}

// stepBytes is the weights that a step of n rows reads, as the file has them.
func stepBytes(src *weights.Model, c *model.Config, n int) float64 {
	table := 2 * float64(c.Vocab) * float64(c.Hidden)
	all := float64(src.TotalBytes())
	if !c.TiedEmbeddings {
		all -= table // of the embedding only rows are read; the head is read
	}
	if m := c.MoE; m.Experts > 0 {
		experts := float64(c.Layers) * 3 * float64(m.Experts) * float64(m.Intermediate) * float64(c.Hidden) * 17 / 32
		missed := math.Pow(1-float64(m.Router.TopK)/float64(m.Experts), float64(n))
		all -= experts * missed
	}
	return all
}

// warmSteps are taken before the clock starts.
const warmSteps = 4

// decoder steps sequences of equal length. Sequence i has pages i*pages and on.
type decoder struct {
	be    backend.Backend
	seqs  int
	pages int
}

// decode is the time of steps of n sequences, prompts and warming up left out.
func (d *decoder) decode(n, steps int) (time.Duration, error) {
	p := llm.DefaultSampling()
	p.Temperature = 0
	for i := range n {
		d.be.SetSlot(i, backend.Slot{Params: p})
		if err := d.step(i, i+1, 0, promptTokens); err != nil {
			return 0, err
		}
	}
	var start time.Time
	for i := range steps + warmSteps {
		if i == warmSteps {
			start = time.Now()
		}
		if err := d.step(0, n, promptTokens+i, 1); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// step appends count tokens to sequences from to to-1, all of that length.
func (d *decoder) step(from, to, length, count int) error {
	b := d.be.Batch()
	b.Rows = (to - from) * count
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	b.Seqs, b.Pages, b.Copies = b.Seqs[:0], b.Pages[:0], b.Copies[:0]
	b.LogitRows, b.Samples = b.LogitRows[:0], b.Samples[:0]
	for slot := from; slot < to; slot++ {
		at := slot - from
		for i := range count {
			token := int32(i)
			if count == 1 {
				token = ^int32(slot)
			}
			b.Token, b.Pos, b.Seq = append(b.Token, token), append(b.Pos, int32(length+i)), append(b.Seq, int32(at))
		}
		b.Seqs = append(b.Seqs, backend.Seq{
			Slot: int32(slot), First: int32(at * count), Count: int32(count), Length: int32(length + count), Table: int32(len(b.Pages)),
		})
		for page := range (length + count + backend.PageTokens - 1) / backend.PageTokens {
			b.Pages = append(b.Pages, int32(slot*d.pages+page))
		}
		b.Samples = append(b.Samples, backend.Sample{Slot: int32(slot), Logits: int32(len(b.LogitRows)), Pos: int32(length + count)})
		b.LogitRows = append(b.LogitRows, int32(at*count+count-1))
	}
	if err := d.be.Forward(); err != nil {
		return err
	}
	if err := d.be.Sample(); err != nil {
		return err
	}
	if err := d.be.Sync(); err != nil {
		return err
	}
	for i := range b.Sampled {
		if b.Sampled[i].Err != nil {
			return b.Sampled[i].Err
		}
	}
	return nil
}
