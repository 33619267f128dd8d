//go:build cuda && cgo && linux

package cuda

import (
	"errors"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// attentionWork is what the planner of a program's attention must know. All
// layers share one plan: they differ in their windows at most.
type attentionWork struct {
	heads, kvHeads, dim int
	window              int // of the layer that sees most; 0: all
	latent              bool
}

func headWork(a backend.AttentionSpec) attentionWork {
	return attentionWork{heads: a.Heads, kvHeads: a.KVHeads, dim: a.HeadDim, window: a.Window}
}

func latentWork(a backend.LatentSpec) attentionWork {
	return attentionWork{heads: a.Heads, kvHeads: 1, dim: a.Rank, latent: true}
}

// plan takes an attention op into account.
func (r *recorder) plan(w attentionWork) {
	if r.work == nil {
		r.work = &w
		return
	}
	if w.window == 0 || r.work.window == 0 {
		w.window = 0
	} else {
		w.window = max(w.window, r.work.window)
	}
	r.work.window = w.window
	if *r.work != w {
		r.fail(errors.New("attention: layers differ in their heads"))
	}
}

// newPlanner makes the planner and says how much scratch memory attention takes.
func (b *Backend) newPlanner(w *attentionWork) (err error) {
	if w == nil {
		return nil
	}
	l := kernels.Limits{MaxRows: b.cfg.MaxRows, MaxSeqs: b.cfg.MaxSeqs, MaxContext: b.cfg.MaxContext, SMs: b.mem.dev.Info.SMs}
	if w.latent {
		b.planner, err = kernels.NewLatentPlanner(w.heads, b.opt.BatchInvariant, l)
	} else {
		b.planner, err = kernels.NewPlanner(w.heads, w.kvHeads, w.dim, w.window, b.opt.BatchInvariant, l)
	}
	if err == nil {
		b.partialBytes = b.planner.PartialBytes(w.heads, w.dim)
	}
	return err
}
