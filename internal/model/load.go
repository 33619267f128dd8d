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
}

// loader moves tensors from the file to the backend. The first error sticks:
// later calls do nothing, so constructors need no error handling.
type loader struct {
	src   *weights.Model
	dst   backend.Backend
	shard weights.Shard
	err   error
}

func (l *loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// ranks is the number of ranks, at least 1.
func (l *loader) ranks() int { return max(l.shard.Size, 1) }

// checkShard refuses a number of ranks that heads or MLP rows do not divide
// among.
func (l *loader) checkShard(c *Config) error {
	n := l.ranks()
	if l.shard.Rank < 0 || l.shard.Rank >= n {
		return fmt.Errorf("rank %d of %d", l.shard.Rank, n)
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"num_attention_heads", c.Heads}, {"num_key_value_heads", c.KVHeads}, {"intermediate_size", c.Intermediate},
	} {
		if f.value%n != 0 {
			return fmt.Errorf("%s %d does not divide among %d ranks", f.name, f.value, n)
		}
	}
	return nil
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

// vector makes a norm's weights, held by every rank.
func (l *loader) vector(name string, n int) backend.Vector {
	t := l.tensor(name+".weight", n)
	if l.err != nil {
		return backend.NoVector
	}
	v, err := l.dst.NewVector(t)
	if err != nil {
		l.fail(err)
	}
	l.src.Release(t)
	return v
}

// linear makes one Linear of parts stacked along the output.
func (l *loader) linear(name string, gated bool, parts ...weight) backend.Linear {
	spec := backend.LinearSpec{Name: name, Gated: gated}
	var whole []weights.Tensor
	biased := false
	for _, p := range parts {
		t := l.tensor(p.name+".weight", p.out, p.in)
		spec.Parts = append(spec.Parts, l.cut(t, p.split))
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
	if l.err != nil {
		return 0
	}
	w, err := l.dst.NewLinear(spec)
	if err != nil {
		l.fail(err)
	}
	for _, t := range whole {
		l.src.Release(t)
	}
	return w
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
	return l.cut(t, p.split)
}

func (l *loader) cut(t weights.Tensor, split weights.Split) weights.Tensor {
	if l.err != nil {
		return t
	}
	part, err := l.shard.Cut(t, split)
	if err != nil {
		l.fail(err)
	}
	return part
}

func (l *loader) buffer(cols int) backend.Buffer {
	if l.err != nil {
		return 0
	}
	b, err := l.dst.NewBuffer(cols)
	if err != nil {
		l.fail(err)
	}
	return b
}

func (l *loader) rope(s backend.RopeSpec) backend.Rope {
	if l.err != nil {
		return 0
	}
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
