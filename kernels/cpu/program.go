package cpu

// #include "rk.h"
import "C"

import "unsafe"

// Kind is what an op computes; package backend says it in mathematics.
type Kind int

// The kinds of ops. ActMul is the activation of the left and right half of its
// input, Route has logits for its input.
const (
	Embed     Kind = C.RK_EMBED
	RMSNorm   Kind = C.RK_RMSNORM
	LinearOp  Kind = C.RK_LINEAR
	GatedMLP  Kind = C.RK_GATED_MLP
	StoreKV   Kind = C.RK_STORE_KV
	Attention Kind = C.RK_ATTENTION
	Logits    Kind = C.RK_LOGITS
	ActMul    Kind = C.RK_ACT_MUL

	Route           Kind = C.RK_ROUTE
	Experts         Kind = C.RK_EXPERTS
	HeadLinear      Kind = C.RK_HEAD_LINEAR
	StoreLatent     Kind = C.RK_STORE_LATENT
	LatentAttention Kind = C.RK_LATENT_ATTENTION

	Kinds = C.RK_KINDS
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"Embed", "RMSNorm", "Linear", "GatedMLP", "StoreKV", "Attention", "Logits", "ActMul",
		"Route", "Experts", "HeadLinear", "StoreLatent", "LatentAttention"}[k]
}

// Buffer is activations, [MaxRows][LD] of which Cols are used.
type Buffer struct {
	Data     []float32
	Cols, LD int
}

// NewBuffer allocates a buffer of so many rows.
func (m *Machine) NewBuffer(rows, cols int) (Buffer, error) {
	ld := (cols + 15) / 16 * 16
	data, err := m.Floats(rows * ld)
	return Buffer{data, cols, ld}, err
}

// KV is a layer's pages of keys and values.
type KV struct{ c C.rk_kv }

// NewKV allocates pages for each layer, once, for keys of dim and values of vdim
// elements.
func (m *Machine) NewKV(layers, pages, kvHeads, dim, vdim int) ([]KV, error) {
	kv := make([]KV, layers)
	if C.rk_machine_kv(m.c, C.int(layers), C.int(pages), C.int(kvHeads), C.int(dim), C.int(vdim), &kv[0].c) != 0 {
		return nil, errMemory
	}
	return kv, nil
}

// Heads is what StoreKV and Attention need of a layer. QNorm, KNorm and Sinks
// may be nil; Rope is [MaxContext][2][Half], cosines then sines of a position.
type Heads struct {
	Heads, KVHeads, Dim, VDim, Window int
	QNorm, KNorm, Rope, Sinks         []float32
	Half                              int
	Interleaved                       bool
	NormEps, Scale                    float32
	KV                                KV

	// Of latents, whose norm is KNorm: the buffer with the queries' rotated parts,
	// from column Tail of head 0 on, TailStride a head.
	Tails            Buffer
	Tail, TailStride int

	Stores bool // Attention: StoreKV of X comes first, as part of it
}

// Op is one op of a program. All slices are machine memory.
type Op struct {
	Kind   Kind
	Out, X Buffer
	Norm   []float32 // RMSNorm; linear ops: a norm of the input on the way, nil: none
	Eps    float32   // of Norm
	Kept   *Buffer   // linear ops with Norm: where the normalised input is left too
	Linear *Linear
	Exact  bool // linear ops: the input stays float32 whatever the weights' format
	Add    bool // linear ops, Experts
	Heads  Heads
	Act    Act // GatedMLP, ActMul, Experts
	// Feeds, of GatedMLP and Attention, is the matrix of the op right behind, a
	// LinearOp without Norm, if nothing else reads Out.
	Feeds *Linear

	Routing  *Routing // Route, Experts
	Router   Router   // Route
	Up, Down *Stack   // Experts; Up is gated or, if Wide, has gate and up side by side
	Wide     bool
	PerHead  PerHead // HeadLinear, whose matrices are Up
}

// Ready takes the program, once.
func (m *Machine) Ready(ops []Op) error {
	list := make([]C.rk_op, len(ops)+1)
	for i := range ops {
		list[i] = ops[i].c()
	}
	if C.rk_machine_ready(m.c, &list[0], C.int(len(ops))) != 0 {
		return errMemory
	}
	return nil
}

func (o *Op) c() C.rk_op {
	c := C.rk_op{kind: C.int32_t(o.Kind), out: o.Out.c(), x: o.X.c(), norm: floats(o.Norm), eps: C.float(o.Eps)}
	if l := o.Linear; l != nil {
		c.linear = C.rk_linear{mats: &l.mats[0], nmats: C.int32_t(len(l.mats)), add: flag(o.Add), acts: l.acts, norm: c.norm, eps: c.eps}
		if o.Exact {
			c.linear.exact, c.linear.acts = 1, formF32
		}
		if o.Kept != nil {
			c.linear.keep, c.linear.kept = 1, o.Kept.c()
		}
	}
	if h := &o.Heads; h.Heads > 0 {
		c.attn = C.rk_attention{
			heads: C.int32_t(h.Heads), kv_heads: C.int32_t(h.KVHeads), dim: C.int32_t(h.Dim), vdim: C.int32_t(h.VDim),
			window: C.int32_t(h.Window), q_norm: floats(h.QNorm), k_norm: floats(h.KNorm), norm_eps: C.float(h.NormEps),
			scale: C.float(h.Scale), rope: floats(h.Rope), half: C.int32_t(h.Half), interleaved: flag(h.Interleaved),
			sinks: floats(h.Sinks), tails: h.Tails.c(), tail: C.int32_t(h.Tail), tail_stride: C.int32_t(h.TailStride),
			stores: flag(h.Stores), kv: h.KV.c,
		}
	}
	if o.Feeds != nil && (o.Feeds.acts == formI8 || o.Feeds.acts == formBF16) {
		c.feeds = o.Feeds.acts
	}
	o.mixture(&c)
	return c
}

func (b *Buffer) c() C.rk_buf {
	return C.rk_buf{p: floats(b.Data), cols: C.int32_t(b.Cols), ld: C.int32_t(b.LD)}
}

func floats(s []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(s))) }
