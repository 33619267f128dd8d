package cpu

import (
	"slices"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// fuse joins ops that do better together, see there. What the program computes
// stays the same to the last bit.
func fuse(ops []recorded) []recorded {
	ops = fuseStores(fuseNorms(ops))
	feed(ops)
	return ops
}

// fuseNorms moves an RMSNorm into the linear op right behind it, which
// normalises as it prepares its input. If anything else reads the norm's
// result, the linear op leaves it there too.
func fuseNorms(ops []recorded) []recorded {
	var out []recorded
	for i := 0; i < len(ops); i++ {
		op := ops[i]
		if op.Kind != kernels.RMSNorm || i+1 == len(ops) || !takesNorm(ops[i+1], op) {
			out = append(out, op)
			continue
		}
		next := ops[i+1]
		next.Norm, next.Eps, next.X, next.x = op.Norm, op.Eps, op.X, op.x
		if readLater(ops[i+2:], op.out) {
			kept := op.Out
			next.Kept = &kept
		}
		out = append(out, next)
		i++
	}
	return out
}

func takesNorm(op, norm recorded) bool {
	return (op.Kind == kernels.LinearOp || op.Kind == kernels.GatedMLP) && op.x == norm.out && op.out != norm.out && op.out != norm.x
}

// readLater: does an op read the buffer before one overwrites it? At the end
// of the program nothing remains to be read.
func readLater(ops []recorded, buf backend.Buffer) bool {
	for _, op := range ops {
		if op.x == buf || op.Add && op.out == buf || slices.Contains(op.reads, buf) {
			return true
		}
		if op.out == buf {
			return false
		}
	}
	return false
}

// fuseStores makes StoreKV a part of the Attention right behind it, whose chunks
// then store what they read.
func fuseStores(ops []recorded) []recorded {
	var out []recorded
	for i, op := range ops {
		if op.Kind == kernels.StoreKV && i+1 < len(ops) && attends(ops[i+1], op) {
			ops[i+1].Heads.Stores = true
			continue
		}
		out = append(out, op)
	}
	return out
}

func attends(op, store recorded) bool {
	return op.Kind == kernels.Attention && op.x == store.x && op.spec == store.spec && op.Heads.KV == store.Heads.KV
}

// feed has ops make their output in the form that the linear op right behind them
// wants, where nothing else reads it.
func feed(ops []recorded) {
	for i := range len(ops) - 1 {
		op, next := &ops[i], &ops[i+1]
		feeds := op.Kind == kernels.GatedMLP || op.Kind == kernels.Attention
		takes := next.Kind == kernels.LinearOp && next.x == op.out && next.out != op.out && next.Norm == nil && !next.Exact
		if feeds && takes && !readLater(ops[i+2:], op.out) {
			op.Feeds = next.Linear
		}
	}
}
