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
