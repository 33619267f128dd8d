package cpu

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// recorder is the backend.Program that Build shows to the model. The first op
// whose shapes do not fit makes Build fail.
type recorder struct {
	b      *Backend
	ops    []recorded
	err    error
	logits map[int]backend.Buffer // see scores
}

// recorded is an op with the handles that fusing looks at.
type recorded struct {
	kernels.Op
	out, x backend.Buffer
	reads  []backend.Buffer // what it reads beside x
	spec   backend.AttentionSpec
	// between, in the place of an op, is done in Go between native calls.
	between func() error
}

const noBuffer backend.Buffer = -1

// Build implements backend.Backend.
func (b *Backend) Build(model func(backend.Program)) error {
	if b.built {
		return errors.New("cpu: a backend holds one program")
	}
	r := &recorder{b: b}
	model(r)
	if r.err != nil {
		return r.err
	}
	ops := b.divide(fuse(r.ops))
	if err := b.machine.Ready(ops); err != nil {
		return err
	}
	b.built = true
	b.batch.MaskWords = (b.vocab + 31) / 32
	masks, err := b.machine.Words(b.cfg.Samples() * b.batch.MaskWords)
	b.batch.Masks = masks[:0]
	return err
}

// add appends an op unless its shapes do not fit.
func (r *recorder) add(op recorded, fits bool) {
	if !fits && r.err == nil {
		r.err = fmt.Errorf("cpu: op %d, %s: shapes do not fit", len(r.ops), op.Kind)
	}
	if r.err == nil {
		r.ops = append(r.ops, op)
	}
}

// buffer looks a handle up; a bad one fits nothing.
func (r *recorder) buffer(h backend.Buffer) kernels.Buffer {
	if h < 0 || int(h) >= len(r.b.buffers) {
		r.fail("buffer", int(h))
		return kernels.Buffer{}
	}
	return r.b.buffers[h]
}

func (r *recorder) vector(h backend.Vector) []float32 {
	if h == backend.NoVector {
		return nil
	}
	if h < 0 || int(h) >= len(r.b.vectors) {
		r.fail("vector", int(h))
		return nil
	}
	return r.b.vectors[h]
}

func (r *recorder) linear(h backend.Linear) *linear {
	if h < 0 || int(h) >= len(r.b.linears) {
		r.fail("linear", int(h))
		return &linear{Linear: &kernels.Linear{}}
	}
	return r.b.linears[h]
}

func (r *recorder) fail(what string, h int) {
	if r.err == nil {
		r.err = fmt.Errorf("cpu: op %d: there is no %s %d", len(r.ops), what, h)
	}
}

// Embed implements backend.Program.
func (r *recorder) Embed(out backend.Buffer, table backend.Linear) {
	o, l := r.buffer(out), r.linear(table)
	r.b.tokens = l.rows()
	r.add(recorded{Op: kernels.Op{Kind: kernels.Embed, Out: o, Linear: l.Linear}, out: out, x: noBuffer}, o.Cols == l.In && !l.gated)
	r.onlyOwn(o, out, l)
}

// RMSNorm implements backend.Program.
func (r *recorder) RMSNorm(out, x backend.Buffer, w backend.Vector, eps float32) {
	o, in, v := r.buffer(out), r.buffer(x), r.vector(w)
	op := kernels.Op{Kind: kernels.RMSNorm, Out: o, X: in, Norm: v, Eps: eps}
	r.add(recorded{Op: op, out: out, x: x}, o.Cols == in.Cols && len(v) == in.Cols)
}

// Linear implements backend.Program.
func (r *recorder) Linear(out, x backend.Buffer, w backend.Linear, add bool) {
	o, in, l := r.buffer(out), r.buffer(x), r.linear(w)
	op := kernels.Op{Kind: kernels.LinearOp, Out: o, X: in, Linear: l.Linear, Add: add}
	r.add(recorded{Op: op, out: out, x: x}, in.Cols == l.In && o.Cols == l.Out && !l.gated && out != x)
}

// GatedMLP implements backend.Program.
func (r *recorder) GatedMLP(out, x backend.Buffer, w backend.Linear) {
	o, in, l := r.buffer(out), r.buffer(x), r.linear(w)
	fits := in.Cols == l.In && o.Cols == l.out() && l.gated && out != x
	if !l.unfused {
		r.add(recorded{Op: kernels.Op{Kind: kernels.GatedMLP, Out: o, X: in, Linear: l.Linear}, out: out, x: x}, fits)
		return
	}
	both, err := r.b.NewBuffer(max(l.Out, 1))
	if err != nil && r.err == nil {
		r.err = err
	}
	wide := r.buffer(both)
	r.add(recorded{Op: kernels.Op{Kind: kernels.LinearOp, Out: wide, X: in, Linear: l.Linear}, out: both, x: x}, fits)
	r.add(recorded{Op: kernels.Op{Kind: kernels.ActMul, Out: o, X: wide}, out: out, x: both}, fits)
}

// StoreKV implements backend.Program.
func (r *recorder) StoreKV(qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	in := r.buffer(qkv)
	h, fits := r.heads(in, layer, a)
	r.add(recorded{Op: kernels.Op{Kind: kernels.StoreKV, Out: in, X: in, Heads: h}, out: qkv, x: qkv, spec: a}, fits)
}

// Attention implements backend.Program.
func (r *recorder) Attention(out, qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	o, in := r.buffer(out), r.buffer(qkv)
	h, fits := r.heads(in, layer, a)
	op := kernels.Op{Kind: kernels.Attention, Out: o, X: in, Heads: h}
	r.add(recorded{Op: op, out: out, x: qkv, spec: a}, fits && o.Cols == a.Heads*a.HeadDim)
}

func (r *recorder) heads(in kernels.Buffer, layer int, a backend.AttentionSpec) (kernels.Heads, bool) {
	b := r.b
	if a.Rope < 0 || int(a.Rope) >= len(b.ropes) || layer < 0 || layer >= len(b.kv) {
		return kernels.Heads{}, false
	}
	q, k, sinks, t := r.vector(a.QNorm), r.vector(a.KNorm), r.vector(a.Sinks), b.ropes[a.Rope]
	norm := func(v []float32) bool { return v == nil || len(v) == a.HeadDim }
	fits := in.Cols == (a.Heads+2*a.KVHeads)*a.HeadDim && a.KVHeads == b.kvHeads && a.HeadDim == b.headDim &&
		a.Heads > 0 && a.Heads%a.KVHeads == 0 && 2*t.half <= a.HeadDim && norm(q) && norm(k) && a.Window >= 0 && (sinks == nil || len(sinks) == a.Heads)
	return kernels.Heads{
		Heads: a.Heads, KVHeads: a.KVHeads, Dim: a.HeadDim, VDim: a.HeadDim, Window: a.Window, QNorm: q, KNorm: k,
		Sinks: sinks, Rope: t.table, Half: t.half, Interleaved: t.interleaved, NormEps: a.NormEps, Scale: a.Scale, KV: b.kv[layer],
	}, fits
}

// Logits implements backend.Program.
func (r *recorder) Logits(x backend.Buffer, w backend.Vector, eps float32, head backend.Linear) {
	b, in, v, l := r.b, r.buffer(x), r.vector(w), r.linear(head)
	if b.vocab != 0 && r.err == nil {
		r.err = errors.New("cpu: a program has one Logits op")
	}
	b.vocab = l.rows()
	out, err := b.machine.NewBuffer(b.cfg.MaxRows, max(l.Out, 1))
	if err != nil && r.err == nil {
		r.err = err
	}
	own := out
	if b.vocab > l.Out {
		if out, err = b.machine.NewBuffer(b.cfg.MaxRows, b.vocab); err != nil && r.err == nil {
			r.err = err
		}
	}
	b.logits, b.ld = out.Data, out.LD
	op := kernels.Op{Kind: kernels.Logits, Out: own, X: in, Norm: v, Eps: eps, Linear: l.Linear}
	r.add(recorded{Op: op, out: noBuffer, x: x}, in.Cols == l.In && len(v) == in.Cols && !l.gated)
	if b.vocab > l.Out {
		r.between(noBuffer, func() error { return b.gather(own, out, l.vocab.First) })
	}
}

// AllReduce implements backend.Program: nothing unless NewGroup made the backend.
func (r *recorder) AllReduce(x backend.Buffer) {
	if b := r.b; b.group != nil {
		buf := r.buffer(x)
		r.between(x, func() error { return b.allReduce(buf) })
	}
}
