//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// op is a recorded op: its handles looked up, its shapes checked.
type op interface {
	// types says what the op needs of its buffers.
	types(t *typing)
	// emit appends the op's launches for the emitter's bucket of rows.
	emit(e *emitter) error
}

// recorder is the backend.Program that Build shows to the model. The first op
// whose shapes do not fit makes Build fail.
type recorder struct {
	b    *Backend
	ops  []op
	work *attentionWork // nil: no attention
	err  error
}

// add appends an op unless its shapes do not fit.
func (r *recorder) add(name string, o op, fits bool) {
	switch {
	case r.b.head != nil:
		r.fail(fmt.Errorf("%s: Logits is the last op", name))
	case !fits:
		r.fail(fmt.Errorf("%s: shapes do not fit", name))
	}
	if r.err == nil {
		r.ops = append(r.ops, o)
	}
}

func (r *recorder) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("cuda: op %d, %w", len(r.ops), err)
	}
}

// find looks a handle up; where there is none Build fails and none is returned.
func find[H ~int32, T any](r *recorder, what string, all []*T, h H, none *T) *T {
	if h < 0 || int(h) >= len(all) {
		r.fail(fmt.Errorf("there is no %s %d", what, h))
		return none
	}
	return all[h]
}

func (r *recorder) buffer(h backend.Buffer) *buffer {
	return find(r, "buffer", r.b.buffers, h, &buffer{})
}

// vector is nil for NoVector.
func (r *recorder) vector(h backend.Vector) *vector {
	if h == backend.NoVector {
		return nil
	}
	return find(r, "vector", r.b.vectors, h, nil)
}

func (r *recorder) linear(h backend.Linear) *linear {
	return find(r, "linear", r.b.linears, h, &linear{})
}

func (r *recorder) stack(h backend.Stack) *stack { return find(r, "stack", r.b.stacks, h, &stack{}) }

func (r *recorder) routing(h backend.Routing) *routing {
	return find(r, "routing", r.b.routings, h, &routing{})
}

// wide reports whether a vector has n elements.
func (v *vector) wide(n int) bool { return v != nil && v.n == n }

// absent reports whether a vector that may be left out is, or has n elements.
func (v *vector) absent(n int) bool { return v == nil || v.n == n }

// Embed implements backend.Program.
func (r *recorder) Embed(out backend.Buffer, table backend.Linear) {
	o, t := r.buffer(out), r.linear(table)
	r.b.tokens = t.vocab.Total
	r.add("Embed", &embedOp{o, t}, o.cols == t.in && !t.gated)
}

// RMSNorm implements backend.Program.
func (r *recorder) RMSNorm(out, x backend.Buffer, w backend.Vector, eps float32) {
	o, in, v := r.buffer(out), r.buffer(x), r.vector(w)
	r.add("RMSNorm", &normOp{o, in, v, eps}, o.cols == in.cols && v.wide(in.cols))
}

// Linear implements backend.Program.
func (r *recorder) Linear(out, x backend.Buffer, w backend.Linear, add bool) {
	o, in, l := r.buffer(out), r.buffer(x), r.linear(w)
	r.add("Linear "+l.name, &linearOp{o, in, l, add}, in.cols == l.in && o.cols == l.out && !l.gated && out != x)
}

// GatedMLP implements backend.Program.
func (r *recorder) GatedMLP(out, x backend.Buffer, w backend.Linear) {
	o, in, l := r.buffer(out), r.buffer(x), r.linear(w)
	r.add("GatedMLP "+l.name, &gatedOp{o, in, l}, in.cols == l.in && o.cols == l.out && l.gated && out != x)
}

// scratch is a buffer of one type that lives from one launch of an op to its
// next: ops of equal width share one.
func (r *recorder) scratch(cols int, float bool) *buffer {
	for _, b := range r.b.scratch {
		if b.cols == cols && b.float == float {
			return b
		}
	}
	b := &buffer{cols: cols, float: float}
	r.b.scratch = append(r.b.scratch, b)
	return b
}

// StoreKV implements backend.Program.
func (r *recorder) StoreKV(qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	in := r.buffer(qkv)
	h, fits := r.heads(in, layer, a)
	r.add("StoreKV", &storeOp{in, h}, fits)
}

// Attention implements backend.Program.
func (r *recorder) Attention(out, qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	o, in := r.buffer(out), r.buffer(qkv)
	h, fits := r.heads(in, layer, a)
	if fits = fits && o.cols == a.Heads*a.HeadDim; fits {
		r.plan(headWork(a))
	}
	r.add("Attention", &attentionOp{o, in, h}, fits)
}

// heads is a backend.AttentionSpec with its handles looked up.
type heads struct {
	backend.AttentionSpec
	qNorm, kNorm, sinks *vector // nil: none
	rope                *rope
	layer               int
}

func (r *recorder) heads(in *buffer, layer int, a backend.AttentionSpec) (heads, bool) {
	kv := &r.b.kv
	h := heads{a, r.vector(a.QNorm), r.vector(a.KNorm), r.vector(a.Sinks), find(r, "rotary table", r.b.ropes, a.Rope, &rope{}), layer}
	fits := in.cols == (a.Heads+2*a.KVHeads)*a.HeadDim && layer >= 0 && layer < kv.layers &&
		a.KVHeads == kv.heads && a.HeadDim == kv.dim && a.KVHeads > 0 && a.Heads > 0 && a.Heads%a.KVHeads == 0 &&
		h.rope.Rotary <= a.HeadDim && h.qNorm.absent(a.HeadDim) && h.kNorm.absent(a.HeadDim) &&
		h.sinks.absent(a.Heads) && a.Window >= 0
	return h, fits
}

// Logits implements backend.Program.
func (r *recorder) Logits(x backend.Buffer, w backend.Vector, eps float32, head backend.Linear) {
	in, v, l := r.buffer(x), r.vector(w), r.linear(head)
	if r.b.head != nil {
		r.fail(errors.New("Logits: a program has one"))
	}
	r.b.head = &headOp{x: in, normed: r.scratch(max(in.cols, 1), false), w: v, eps: eps, table: l}
	r.b.vocab = l.vocab.Total
	if r.err == nil && !(in.cols == l.in && v.wide(in.cols) && !l.gated) {
		r.fail(errors.New("Logits: shapes do not fit"))
	}
}

// AllReduce implements backend.Program.
func (r *recorder) AllReduce(x backend.Buffer) {
	if in := r.buffer(x); r.b.comm != nil {
		r.add("AllReduce", &reduceOp{in}, true)
	}
}
