package model

import (
	"fmt"
	"slices"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// weight describes a matrix of the file, as data: its name without ".weight",
// its whole shape, how ranks share it, and whether ".bias" goes with it.
type weight struct {
	name    string
	out, in int
	split   weights.Split
	bias    bool
	copies  int // so many neighbouring ranks hold the same part; 0: 1
}

// loader moves tensors from the file to the backend. The first error sticks:
// later calls do nothing, so constructors need no error handling.
type loader struct {
	src   *weights.Model
	dst   backend.Backend
	shard weights.Shard
	err   error

	buffers  map[string]backend.Buffer // shared by the layers
	routings map[int]backend.Routing   // by the number of experts a token
}

func (l *loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// ranks is the number of ranks, at least 1.
func (l *loader) ranks() int { return max(l.shard.Size, 1) }

// checkShard refuses a number of ranks that heads, MLP rows or the vocabulary
// do not divide among.
func (l *loader) checkShard(c *Config) error {
	n := l.ranks()
	if l.shard.Rank < 0 || l.shard.Rank >= n {
		return fmt.Errorf("rank %d of %d", l.shard.Rank, n)
	}
	return c.CheckRanks(n)
}

// tensor is the whole tensor of that name, its shape checked.
func (l *loader) tensor(name string, shape ...int) weights.Tensor {
	if l.err != nil {
		return weights.Tensor{}
	}
	got, _, ok := l.src.Shape(name)
	if !ok {
		l.fail(fmt.Errorf("tensor %q is missing, expected with shape %v", name, shape))
		return weights.Tensor{}
	}
	if !slices.Equal(got, shape) {
		l.fail(fmt.Errorf("tensor %q has shape %v, expected %v", name, got, shape))
		return weights.Tensor{}
	}
	t, _ := l.src.Tensor(name)
	return t
}

// vector makes a vector of the tensor of that name, held by every rank.
func (l *loader) vector(name string, n int) backend.Vector {
	return l.newVector(l.tensor(name, n), weight{})
}

// share makes a vector whose elements are divided among the ranks.
func (l *loader) share(name string, n int) backend.Vector {
	return l.newVector(l.tensor(name, n), weight{split: weights.SplitColumn})
}

func (l *loader) newVector(whole weights.Tensor, w weight) backend.Vector {
	t := l.cut(whole, w)
	if l.err != nil {
		return backend.NoVector
	}
	v, err := l.dst.NewVector(t)
	if err != nil {
		l.fail(err)
	}
	l.src.Release(whole)
	return v
}

// linear makes one Linear of parts stacked along the output.
func (l *loader) linear(name string, gated bool, parts ...weight) backend.Linear {
	spec, whole := l.spec(name, gated, parts)
	if l.err != nil {
		return 0
	}
	return l.newLinear(spec, whole)
}

// table makes a Linear [vocab][hidden], its rows divided among the ranks.
func (l *loader) table(name string, c *Config) backend.Linear {
	spec, whole := l.spec(name, false, []weight{{name: name, out: c.Vocab, in: c.Hidden, split: weights.SplitColumn}})
	if l.err != nil {
		return 0
	}
	if n := l.ranks(); n > 1 {
		spec.Vocab = backend.VocabPart{First: c.Vocab / n * l.shard.Rank, Total: c.Vocab}
	}
	return l.newLinear(spec, whole)
}

func (l *loader) newLinear(spec backend.LinearSpec, whole []weights.Tensor) backend.Linear {
	w, err := l.dst.NewLinear(spec)
	if err != nil {
		l.fail(err)
	}
	l.release(whole)
	return w
}

// stack makes a Stack of matrices, each of parts stacked along the output.
func (l *loader) stack(name string, gated bool, matrices [][]weight) backend.Stack {
	var specs []backend.LinearSpec
	var all []weights.Tensor
	for i, parts := range matrices {
		spec, whole := l.spec(fmt.Sprintf("%s.%d", name, i), gated, parts)
		specs, all = append(specs, spec), append(all, whole...)
		if l.err != nil {
			return 0
		}
	}
	s := l.newStack(specs)
	l.release(all)
	return s
}

func (l *loader) newStack(specs []backend.LinearSpec) backend.Stack {
	if l.err != nil {
		return 0
	}
	s, err := l.dst.NewStack(specs)
	if err != nil {
		l.fail(err)
	}
	return s
}

func (l *loader) release(tensors []weights.Tensor) {
	for _, t := range tensors {
		l.src.Release(t)
	}
}

// spec is this rank's share of a matrix, and the whole tensors it is cut from.
func (l *loader) spec(name string, gated bool, parts []weight) (spec backend.LinearSpec, whole []weights.Tensor) {
	spec = backend.LinearSpec{Name: name, Gated: gated}
	biased := false
	for _, p := range parts {
		t := l.tensor(p.name+".weight", p.out, p.in)
		spec.Parts = append(spec.Parts, l.cut(t, p))
		var bias weights.Tensor
		if p.bias {
			bias = l.bias(p)
			biased = biased || len(bias.Shape) > 0
		}
		spec.Bias = append(spec.Bias, bias)
		whole = append(whole, t)
	}
	if !biased {
		spec.Bias = nil
	}
	return spec, whole
}

// bias goes with the output rows of a column split. Where the inputs are split
// only the first rank adds it: the ranks' outputs are summed.
func (l *loader) bias(p weight) weights.Tensor {
	t := l.tensor(p.name+".bias", p.out)
	if p.split == weights.SplitRow {
		if l.shard.Rank > 0 {
			return weights.Tensor{}
		}
		return t
	}
	return l.cut(t, p)
}

func (l *loader) cut(t weights.Tensor, w weight) weights.Tensor {
	if l.err != nil {
		return t
	}
	copies := max(w.copies, 1)
	part, err := weights.Shard{Rank: l.shard.Rank / copies, Size: l.shard.Size / copies}.Cut(t, w.split)
	if err != nil {
		l.fail(err)
	}
	return part
}

// buffer is the buffer of that name and size, made once: layers share it.
func (l *loader) buffer(name string, cols int) backend.Buffer {
	if l.err != nil {
		return 0
	}
	name = fmt.Sprint(name, cols)
	if b, ok := l.buffers[name]; ok {
		return b
	}
	b, err := l.dst.NewBuffer(cols)
	if err != nil {
		l.fail(err)
	}
	l.buffers[name] = b
	return b
}

// routing is the routing to topK experts, made once: layers share it.
func (l *loader) routing(topK int) backend.Routing {
	if l.err != nil {
		return 0
	}
	if r, ok := l.routings[topK]; ok {
		return r
	}
	r, err := l.dst.NewRouting(topK)
	if err != nil {
		l.fail(err)
	}
	l.routings[topK] = r
	return r
}

func (l *loader) rope(s backend.RopeSpec, interleaved bool) backend.Rope {
	if l.err != nil {
		return 0
	}
	s.Interleaved = interleaved
	r, err := l.dst.NewRope(s)
	if err != nil {
		l.fail(err)
	}
	return r
}

func (l *loader) kv(layers, kvHeads, headDim int) {
	if l.err != nil {
		return
	}
	if err := l.dst.NewKV(layers, kvHeads, headDim); err != nil {
		l.fail(err)
	}
}

func (l *loader) latentKV(layers, width int) {
	if l.err != nil {
		return
	}
	if err := l.dst.NewLatentKV(layers, width); err != nil {
		l.fail(err)
	}
}
