// Package backend is the seam between models and devices: some fifteen fused ops,
// named after the mathematics, that a model appends to a program once and that
// a device replays every step. It is not a tensor library.
//
// Op law: an op's arguments are handles fixed at load and constants of the
// layer. Whatever changes between steps (tokens, positions, lengths, page
// tables, wanted rows, sampling settings) lies in the Batch. So a program is
// data: an array of C structs on the CPU, a captured graph on a GPU.
//
// Determinism law (CPU): each output element is summed in an order that depends
// neither on the rows in the batch, nor on chunks, threads or page ids.
package backend

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/weights"
)

// Handles of what a backend holds. They are indices, valid for that backend.
type (
	Buffer int32 // activations: [MaxRows][cols] float32, or what the device likes better
	Vector int32 // a norm's weights
	Linear int32 // a weight matrix [out][in], packed as the device wants it
	Rope   int32 // cos/sin table [MaxContext][rotary/2]

	Stack   int32 // matrices of equal shape: the experts of a layer, or one a head
	Routing int32 // the experts chosen for each row and their weights, [MaxRows][TopK]
)

// Config sizes a backend. It is fixed for the backend's life.
type Config struct {
	Float32    bool // compute in float32 throughout: weights dequantised exactly, float32 activations and KV
	MaxRows    int  // most token rows a step
	MaxSeqs    int  // slots: sequences that can be resident at once
	MaxContext int  // most tokens of one sequence, a multiple of PageTokens
	Pages      int  // KV pages; a device that knows its memory takes 0 for what is left, see Info
	MaxLogits  int  // most logits rows a step; 0: MaxRows
	Threads    int  // 0: one a core that the process may use
}

// PageTokens is how many tokens a KV page holds on every backend.
const PageTokens = 32

// Validate names the first field that is out of range.
func (c Config) Validate() error {
	for _, f := range []struct {
		name          string
		value, lo, hi int
	}{
		{"MaxRows", c.MaxRows, 1, 1 << 16}, {"MaxSeqs", c.MaxSeqs, 1, 1 << 16},
		{"MaxContext", c.MaxContext, PageTokens, 1 << 24}, {"Pages", c.Pages, 1, 1 << 28},
		{"MaxLogits", c.MaxLogits, 0, c.MaxRows}, {"Threads", c.Threads, 0, 1024},
	} {
		if f.value < f.lo || f.value > f.hi {
			return fmt.Errorf("backend: %s is %d, must be %d to %d", f.name, f.value, f.lo, f.hi)
		}
	}
	if c.MaxContext%PageTokens != 0 {
		return fmt.Errorf("backend: MaxContext is %d, must be a multiple of %d", c.MaxContext, PageTokens)
	}
	return nil
}

// LinearSpec describes a weight matrix before it is packed. Parts are stacked
// along the output: merged QKV is three parts. They were cut to this rank's
// share already (weights.Shard). A tensor given to two specs (a tied embedding
// that is also the LM head) is packed once.
type LinearSpec struct {
	Name  string
	Parts []weights.Tensor // each [out_i][in], any formats
	Bias  []weights.Tensor // per part, or nil; an empty Tensor: no bias for that part
	Gated bool             // Parts are gate and up of equal shape: for GatedMLP and Experts
	Vocab VocabPart        // of an embedding or LM head that is divided among ranks
}

// VocabPart says that a table of Total rows is divided among the ranks and that
// this matrix holds those from First on. The zero value: this rank holds all.
// Embed gives zeros for tokens that another rank holds (an AllReduce follows);
// Logits gathers the ranks' columns, so that every rank has all of them.
type VocabPart struct{ First, Total int }

// RopeSpec is a rotary table: Inv[i] is the angle per position of pair i,
// already scaled (linear, llama3, YaRN); Scale multiplies cos and sin (YaRN's
// attention factor, else 1). Pair i is (i, i+len(Inv)), as Hugging Face has it,
// or (2i, 2i+1) where Interleaved; the result then lies half by half all the
// same, as transformers' DeepSeek has it, which changes no dot product.
type RopeSpec struct {
	Inv         []float64
	Scale       float64
	Interleaved bool
}

// AttentionSpec is what attention needs of one layer. The qkv row is
// [Heads*HeadDim | KVHeads*HeadDim | KVHeads*HeadDim].
type AttentionSpec struct {
	Heads, KVHeads, HeadDim int
	QNorm, KNorm            Vector  // per-head RMSNorm of width HeadDim; NoVector: none
	NormEps                 float32 // of QNorm and KNorm
	Rope                    Rope
	Scale                   float32 // of q·k, usually 1/sqrt(HeadDim)
	Window                  int     // a query sees this many last positions, itself included; 0: all
	// Sinks has one logit a head that joins the softmax's divisor and nothing else
	// (gpt-oss); NoVector: none.
	Sinks Vector
}

// ErrLost is in an error's chain when the device itself failed (an illegal
// address, a failed launch, ECC): whatever was on it is gone and every further
// call fails. Close the backend and open it anew.
var ErrLost = errors.New("the device is lost")

// NoVector stands for an absent norm.
const NoVector Vector = -1

// LatentSpec is multi-head latent attention of one layer (DeepSeek-V2, arXiv
// 2405.04434) with absorbed weights: a token leaves one vector of Rank latents
// and RopeDim rotated elements, which all heads share as their key; its latents
// are their value too. The kv row is [Rank | RopeDim], the q row Heads times
// [NopeDim | RopeDim].
type LatentSpec struct {
	Heads, Rank, NopeDim, RopeDim int
	Norm                          Vector // RMSNorm of the latents
	NormEps                       float32
	Rope                          Rope
	Scale                         float32 // of q·k
}

// HeadSpec says where HeadLinear finds a head's input and puts its output:
// x[r][h*XStride+XOffset:] and out[r][h*OutStride:].
type HeadSpec struct{ XOffset, XStride, OutStride int }

// Scoring is how a router's logits become choice and weights.
type Scoring uint8

const (
	// SoftmaxThenTopK: weights are the softmax over all experts (Qwen3-MoE).
	SoftmaxThenTopK Scoring = iota
	// TopKThenSoftmax: weights are the softmax over the chosen ones (gpt-oss).
	TopKThenSoftmax
	// SigmoidTopK: weights are the sigmoid of the logits; the choice goes by
	// those plus Correction (DeepSeek-V3, arXiv 2412.19437).
	SigmoidTopK
)

// RouterSpec is a layer's router. Ties go to the lower expert.
type RouterSpec struct {
	Scoring   Scoring
	TopK      int
	Normalize bool    // divide the chosen weights by their sum (+1e-20 with SigmoidTopK)
	Scale     float32 // of the weights, last; 1: none
	// Correction is added to the scores for the choice alone; NoVector: none.
	Correction Vector
	// Of Groups equal groups of experts only the TopGroups with the largest sum of
	// their two best scores may be chosen from; 0: no groups.
	Groups, TopGroups int
}

// ActivationKind is the function between the experts' two matrices.
type ActivationKind uint8

const (
	Silu          ActivationKind = iota // silu(gate)*up
	ClampedSwiGLU                       // gpt-oss: g=min(gate,Limit), u=clamp(up,±Limit): (u+1)*g*sigmoid(Alpha*g)
)

// Activation is a kind with its constants.
type Activation struct {
	Kind         ActivationKind
	Alpha, Limit float32
}

// Program is what a model appends its ops to. Order is execution order; ops
// read and write whole rows 0..Batch.Rows-1 of their buffers.
type Program interface {
	// Embed: out[r] = table[token r]. table is a Linear of [vocab][hidden].
	Embed(out Buffer, table Linear)
	// RMSNorm: out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * w (arXiv 1910.07467).
	RMSNorm(out, x Buffer, w Vector, eps float32)
	// Linear: out[r] = x[r]·Wᵀ + b, or out[r] += … with add.
	Linear(out, x Buffer, w Linear, add bool)
	// GatedMLP: out[r] = silu(x[r]·Wgᵀ + bg) * (x[r]·Wuᵀ + bu); w was made Gated.
	GatedMLP(out, x Buffer, w Linear)
	// StoreKV normalises (QNorm, KNorm) and rotates q and k in place in qkv and
	// writes k and v of each row to the row's page of this layer.
	StoreKV(qkv Buffer, layer int, a AttentionSpec)
	// Attention: out[r] = softmax(q·Kᵀ*Scale)·V over positions 0..pos(r) of the
	// row's own sequence, read through its page table; out is [Heads*HeadDim].
	Attention(out, qkv Buffer, layer int, a AttentionSpec)
	// Logits: for each wanted row, RMSNorm with w, then ·headᵀ, into the logits
	// buffer [wanted][vocab].
	Logits(x Buffer, w Vector, eps float32, head Linear)
	// AllReduce sums x over the ranks; nothing at size 1.
	AllReduce(x Buffer)

	// Route: the experts of row r and their weights, from the logits x[r]·Wᵀ + b.
	Route(out Routing, x Buffer, w Linear, s RouterSpec)
	// Experts: out[r] = Σ g·(down_e·act(gateUp_e·x[r] + b) + b) over row r's experts
	// e with weights g, or out[r] += … with add. gateUp's matrices were made Gated.
	Experts(out, x Buffer, by Routing, gateUp, down Stack, act Activation, add bool)
	// HeadLinear: for every matrix h of w, out[r]'s head h = x[r]'s head h · W_hᵀ.
	HeadLinear(out, x Buffer, w Stack, s HeadSpec)
	// StoreLatent normalises the latents and rotates the tail in each row of kv,
	// writes the row to its page of this layer, and rotates q's tails in place.
	StoreLatent(q, kv Buffer, layer int, a LatentSpec)
	// LatentAttention: head h's query is [absorbed's head h of Rank | q's rotated
	// tail], its keys the stored vectors, its values their latents; out is
	// [Heads*Rank].
	LatentAttention(out, absorbed, q Buffer, layer int, a LatentSpec)
}

// Backend owns one device: weights, buffers, KV pages, one program, one Batch.
// All methods are called from one goroutine (the runner's). New… are for load
// time, before Build.
type Backend interface {
	Info() Info

	NewVector(t weights.Tensor) (Vector, error)
	NewLinear(s LinearSpec) (Linear, error)
	NewRope(s RopeSpec) (Rope, error)
	NewBuffer(cols int) (Buffer, error)
	// NewStack packs matrices of equal shape, formats and kind.
	NewStack(s []LinearSpec) (Stack, error)
	NewRouting(topK int) (Routing, error)
	// NewKV allocates Config.Pages pages for each layer of [KVHeads][HeadDim].
	NewKV(layers, kvHeads, headDim int) error
	// NewLatentKV does so for vectors of width elements, see LatentSpec.
	NewLatentKV(layers, width int) error
	// Build runs model once with the device's Program and keeps the result.
	Build(model func(Program)) error

	// Batch is the one persistent batch, filled in place before Forward.
	Batch() *Batch
	// SetSlot binds a slot to a sequence; it takes effect with the next step.
	SetSlot(slot int, s Slot)
	// Forward enqueues Batch.Copies and the program over Batch.Rows rows.
	// Sample enqueues sampling of Batch.Samples into Batch.Sampled. Masks may be
	// written between the two. Neither blocks for long on a GPU; on the CPU each
	// is at most one native call. A device may hold the forward back until Sample or
	// Sync, to launch both as one, unless the batch is Guided. An error ends the
	// step; the backend stays usable, except after ErrLost.
	Forward() error
	Sample() error
	// Sync blocks until everything enqueued is done.
	Sync() error
	// LogitsRow copies logits row i of the last step; for tests and prompt_logprobs.
	LogitsRow(dst []float32, i int) error
	Close() error
}

// Info describes a backend for logs, /metrics and capacity planning.
type Info struct {
	Name        string // "cpu", "reference", …
	ISA         string // kernels in use: "avx512", "avx2", "neon", "generic"
	Vocab       int    // rows of the logits; known after Build
	Threads     int
	Pages       int   // KV pages, where the backend chose their number; known after Build
	WeightBytes int64 // memory held by packed weights
	FileBytes   int64 // the same weights' bytes in the file
	KVBytes     int64
	Drafts      bool // several Samples of a slot in one step, see Sample.Drafted
}
