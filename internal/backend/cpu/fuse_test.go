package cpu

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Law: a norm's result is kept where an op behind the next reads it, in whatever
// place, before it is overwritten.
func TestNormsAreKeptForWhoReadsThem(t *testing.T) {
	const normed, other = backend.Buffer(1), backend.Buffer(2)
	for _, c := range []struct {
		name string
		op   recorded
		kept bool
	}{
		{"input", recorded{x: normed, out: other}, true},
		{"further input", recorded{x: other, out: other, reads: []backend.Buffer{normed}}, true},
		{"sum", recorded{Op: kernels.Op{Add: true}, x: other, out: normed}, true},
		{"overwritten", recorded{x: other, out: normed}, false},
		{"not named", recorded{x: other, out: other}, false},
	} {
		norm := recorded{Op: kernels.Op{Kind: kernels.RMSNorm}, x: 3, out: normed}
		next := recorded{Op: kernels.Op{Kind: kernels.LinearOp}, x: normed, out: 4}
		ops := fuseNorms([]recorded{norm, next, c.op})
		if len(ops) != 2 || (ops[0].Kept != nil) != c.kept {
			t.Errorf("%s: %d ops, kept %v", c.name, len(ops), ops[0].Kept != nil)
		}
	}
}

// Law: attention stores keys and values itself only where it would read what was
// stored just before, in the same way.
func TestAttentionStoresWhatItReads(t *testing.T) {
	const qkv, heads = backend.Buffer(1), backend.Buffer(2)
	store := recorded{Op: kernels.Op{Kind: kernels.StoreKV}, x: qkv, out: qkv}
	for _, c := range []struct {
		name   string
		ops    []recorded
		stores bool
	}{
		{"right behind", []recorded{store, {Op: kernels.Op{Kind: kernels.Attention}, x: qkv, out: heads}}, true},
		{"other rows", []recorded{store, {Op: kernels.Op{Kind: kernels.Attention}, x: 3, out: heads}}, false},
		{"other heads", []recorded{store, {Op: kernels.Op{Kind: kernels.Attention}, x: qkv, out: heads, spec: backend.AttentionSpec{Window: 1}}}, false},
		{"later", []recorded{store, {Op: kernels.Op{Kind: -1}, x: qkv, out: qkv}, {Op: kernels.Op{Kind: kernels.Attention}, x: qkv, out: heads}}, false},
		{"the end", []recorded{store}, false},
	} {
		n := len(c.ops)
		ops := fuseStores(c.ops)
		if last := ops[len(ops)-1]; last.Heads.Stores != c.stores || (len(ops) < n) != c.stores {
			t.Errorf("%s: %d of %d ops are left, stores %v", c.name, len(ops), n, last.Heads.Stores)
		}
	}
}

// Law: an op makes its output in the next one's form only where that is a linear op
// that takes it as it is, and nothing else reads it.
func TestOpsFeedTheirOnlyReader(t *testing.T) {
	const between, out = backend.Buffer(1), backend.Buffer(2)
	down := &kernels.Linear{}
	first := recorded{Op: kernels.Op{Kind: kernels.GatedMLP}, x: out, out: between}
	next := recorded{Op: kernels.Op{Kind: kernels.LinearOp, Linear: down, Add: true}, x: between, out: out}
	with := func(change func(*recorded)) recorded { op := next; change(&op); return op }
	for _, c := range []struct {
		name  string
		ops   []recorded
		feeds bool
	}{
		{"the reader", []recorded{first, next}, true},
		{"attention", []recorded{{Op: kernels.Op{Kind: kernels.Attention}, x: 3, out: between}, next}, true},
		{"a plain product", []recorded{{Op: kernels.Op{Kind: kernels.LinearOp}, x: 3, out: between}, next}, false},
		{"another input", []recorded{first, with(func(op *recorded) { op.x = 3 })}, false},
		{"a norm between", []recorded{first, with(func(op *recorded) { op.Norm = []float32{1} })}, false},
		{"exact", []recorded{first, with(func(op *recorded) { op.Exact = true })}, false},
		{"read again", []recorded{first, next, {x: between, out: 3}}, false},
		{"overwritten, then read", []recorded{first, next, {x: out, out: between}, {x: between, out: 3}}, true},
	} {
		feed(c.ops)
		if got := c.ops[0].Feeds; (got == down) != c.feeds {
			t.Errorf("%s: feeds %v", c.name, got != nil)
		}
	}
}
