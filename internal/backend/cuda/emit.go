//go:build cuda && cgo && linux

package cuda

import (
	"errors"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// The ops and their launches. Shapes were checked when they were recorded; what
// only a kernel knows of them, its launcher says.

// view is a buffer as launchers see it.
func (b *buffer) view() kernels.Buffer {
	v := kernels.Buffer{Ptr: b.ptr, Cols: b.cols}
	if b.float {
		v.Elem = kernels.ElemF32
	}
	return v
}

// address is 0 where there is no vector.
func (v *vector) address() kernels.Ptr {
	if v == nil {
		return 0
	}
	return v.ptr
}

type embedOp struct {
	out   *buffer
	table *linear
}

func (o *embedOp) types(t *typing) { t.stream(o.out) }

func (o *embedOp) emit(e *emitter) error {
	return e.launch(kernels.Embed(e.batch, e.rows, o.out.view(), o.table.weights, o.table.vocab.First))
}

type normOp struct {
	out, x *buffer
	w      *vector
	eps    float32
}

func (o *normOp) types(*typing) {}

func (o *normOp) emit(e *emitter) error {
	return e.one(kernels.RMSNorm(e.batch, e.rows, o.out.view(), o.x.view(), o.w.ptr, o.eps))
}

type linearOp struct {
	out, x *buffer
	w      *linear
	add    bool
}

func (o *linearOp) types(t *typing) {
	if o.add {
		t.sum("Linear "+o.w.name, o.out)
	}
}

func (o *linearOp) emit(e *emitter) error {
	return e.matmul(o.out.view(), o.x.view(), o.w, o.add)
}

type gatedOp struct {
	out, x *buffer
	w      *linear
}

func (o *gatedOp) types(t *typing) { t.half("GatedMLP", o.out) }

func (o *gatedOp) emit(e *emitter) error {
	return e.gated(o.out.view(), o.x.view(), o.w, kernels.Activation{Kind: kernels.Silu})
}

type storeOp struct {
	qkv *buffer
	h   heads
}

func (o *storeOp) types(t *typing) { t.half("StoreKV", o.qkv) }

func (o *storeOp) emit(e *emitter) error {
	norm := kernels.QKNorm{Q: o.h.qNorm.address(), K: o.h.kNorm.address(), Eps: o.h.NormEps}
	return e.one(kernels.StoreKV(e.batch, e.rows, o.qkv.view(), e.b.kv.layer(o.h.layer), o.h.Heads, norm, o.h.rope.Rope))
}

type attentionOp struct {
	out, qkv *buffer
	h        heads
}

func (o *attentionOp) types(t *typing) {
	t.half("Attention", o.qkv)
	t.half("Attention", o.out)
}

func (o *attentionOp) emit(e *emitter) error {
	a := kernels.Attention{
		Heads: o.h.Heads, Window: o.h.Window, Scale: o.h.Scale, Sinks: o.h.sinks.address(),
		KV: e.b.kv.layer(o.h.layer), Partials: e.b.partials,
	}
	return e.launch(a.Launches(e.batch, e.rows, e.b.planner, o.out.view(), o.qkv.view(), e.narrow))
}

// headOp is Logits: its rows are the wanted ones, counted by their own word of
// the header. Of a table that is divided among the ranks each fills in its own
// columns, and the sum over the ranks is the whole row.
type headOp struct {
	x, normed *buffer
	w         *vector
	eps       float32
	table     *linear
}

func (o *headOp) types(t *typing) { t.half("Logits", o.normed) }

func (o *headOp) emit(e *emitter) error {
	if err := e.one(kernels.RMSNormRows(e.batch, e.rows, o.normed.view(), o.x.view(), o.w.ptr, o.eps)); err != nil {
		return err
	}
	e.batch.Header += 4 * kernels.HeaderLogits // what follows takes its first word for the number of rows
	out, all, divided := e.b.logits, e.rows*e.b.vocab, o.table.out < e.b.vocab
	if divided {
		out.Ptr += kernels.Ptr(4 * o.table.vocab.First)
		if err := e.call(func(on *driver.Stream) error { return on.Memset(e.b.logits.Ptr, 0, 4*int64(all)) }); err != nil {
			return err
		}
	}
	if err := e.matmul(out, o.normed.view(), o.table, false); err != nil || !divided {
		return err
	}
	return e.reduce(e.b.logits, all)
}

// reduceOp sums a buffer over the ranks.
type reduceOp struct{ x *buffer }

func (o *reduceOp) types(t *typing) { t.stream(o.x) }

func (o *reduceOp) emit(e *emitter) error { return e.reduce(o.x.view(), e.rows*o.x.cols) }

// reduce sums n elements over the ranks; rows beyond the step's are summed too.
func (e *emitter) reduce(x kernels.Buffer, n int) error {
	comm := e.b.comm
	if comm == nil {
		return errors.New("a divided table with a single rank")
	}
	return e.call(func(on *driver.Stream) error { return comm.AllReduce(on, x.Ptr, n, x.Elem) })
}

var _ backend.Program = (*recorder)(nil)
