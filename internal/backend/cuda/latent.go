//go:build cuda && cgo && linux

package cuda

import (
	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Multi-head latent attention.

// HeadLinear implements backend.Program.
func (r *recorder) HeadLinear(out, x backend.Buffer, w backend.Stack, s backend.HeadSpec) {
	o, in, st := r.buffer(out), r.buffer(x), r.stack(w)
	last := st.count - 1
	fits := !st.gated && s.XOffset >= 0 && s.XStride >= 0 && s.OutStride >= st.out && out != x &&
		last*s.XStride+s.XOffset+st.in <= in.cols && last*s.OutStride+st.out <= o.cols
	r.add("HeadLinear", &headLinearOp{o, in, st, s}, fits)
}

type headLinearOp struct {
	out, x *buffer
	w      *stack
	s      backend.HeadSpec
}

func (o *headLinearOp) types(*typing) {}

func (o *headLinearOp) emit(e *emitter) error {
	h := kernels.Heads{XOffset: o.s.XOffset, XStride: o.s.XStride, OutStride: o.s.OutStride}
	return e.launch(kernels.HeadLinear(e.batch, e.b.products.scratch, e.rows, o.out.view(), o.x.view(), o.w.weights, h))
}

// latentSpec is a backend.LatentSpec with its handles looked up.
type latentSpec struct {
	backend.LatentSpec
	norm  *vector
	rope  *rope
	layer int
}

func (r *recorder) latent(q *buffer, layer int, a backend.LatentSpec) (latentSpec, bool) {
	kv := &r.b.kv
	l := latentSpec{a, r.vector(a.Norm), find(r, "rotary table", r.b.ropes, a.Rope, &rope{}), layer}
	fits := a.Heads > 0 && a.Rank > 0 && q.cols == a.Heads*(a.NopeDim+a.RopeDim) && layer >= 0 && layer < kv.layers &&
		kv.width == a.Rank+a.RopeDim && l.norm.wide(a.Rank) && l.rope.Rotary <= a.RopeDim
	return l, fits
}

func (l *latentSpec) view(b *Backend) kernels.Latent {
	return kernels.Latent{
		Heads: l.Heads, Rank: l.Rank, NopeDim: l.NopeDim, RopeDim: l.RopeDim, Norm: l.norm.ptr, NormEps: l.NormEps,
		Rope: l.rope.Rope, Scale: l.Scale, Pages: b.kv.latents(l.layer), Partials: b.partials,
	}
}

// StoreLatent implements backend.Program.
func (r *recorder) StoreLatent(q, kv backend.Buffer, layer int, a backend.LatentSpec) {
	in, row := r.buffer(q), r.buffer(kv)
	l, fits := r.latent(in, layer, a)
	r.add("StoreLatent", &storeLatentOp{in, row, l}, fits && row.cols == a.Rank+a.RopeDim)
}

type storeLatentOp struct {
	q, kv *buffer
	l     latentSpec
}

func (o *storeLatentOp) types(t *typing) {
	t.half("StoreLatent", o.q)
	t.half("StoreLatent", o.kv)
}

func (o *storeLatentOp) emit(e *emitter) error {
	return e.one(o.l.view(e.b).Store(e.batch, e.rows, o.q.view(), o.kv.view()))
}

// LatentAttention implements backend.Program.
func (r *recorder) LatentAttention(out, absorbed, q backend.Buffer, layer int, a backend.LatentSpec) {
	o, in, query := r.buffer(out), r.buffer(absorbed), r.buffer(q)
	l, fits := r.latent(query, layer, a)
	if fits = fits && in.cols == a.Heads*a.Rank && o.cols == a.Heads*a.Rank && out != absorbed && out != q; fits {
		r.plan(latentWork(a))
	}
	r.add("LatentAttention", &latentOp{o, in, query, l}, fits)
}

type latentOp struct {
	out, absorbed, q *buffer
	l                latentSpec
}

func (o *latentOp) types(t *typing) {
	for _, b := range []*buffer{o.out, o.absorbed, o.q} {
		t.half("LatentAttention", b)
	}
}

func (o *latentOp) emit(e *emitter) error {
	return e.launch(o.l.view(e.b).Launches(e.batch, e.rows, e.b.planner, o.out.view(), o.absorbed.view(), o.q.view()))
}
