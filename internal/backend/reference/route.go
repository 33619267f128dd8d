package reference

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// routing holds the experts of each row, best first, and their weights.
type routing struct {
	topK    int
	experts int       // to choose from; known from the router
	expert  []int     // [MaxRows][topK]
	weight  []float32 // [MaxRows][topK]
}

func (t routing) row(r int) ([]int, []float32) {
	from, to := r*t.topK, (r+1)*t.topK
	return t.expert[from:to], t.weight[from:to]
}

// NewRouting implements backend.Backend.
func (b *Backend) NewRouting(topK int) (backend.Routing, error) {
	if topK < 1 {
		return 0, fmt.Errorf("reference: a routing to %d experts", topK)
	}
	n := b.cfg.MaxRows * topK
	b.routings = append(b.routings, routing{topK: topK, expert: make([]int, n), weight: make([]float32, n)})
	return backend.Routing(len(b.routings) - 1), nil
}

// Route implements backend.Program.
func (p *program) Route(out backend.Routing, x backend.Buffer, w backend.Linear, s backend.RouterSpec) {
	b := p.b
	t, in, l := b.routings[out], b.buffers[x], b.linears[w]
	logits := buffer{cols: l.out, data: make([]float32, b.cfg.MaxRows*l.out)}
	var correction []float32
	if s.Correction != backend.NoVector {
		correction = b.vectors[s.Correction]
	}
	fits := in.cols == l.in && !l.gated && t.topK == s.TopK && (correction == nil || len(correction) == l.out) && s.Chooses(l.out)
	b.routings[out].experts = l.out
	p.add("Route "+l.name, fits, func() {
		b.matmul(in, l, b.batch.Rows, func(r, n int, sum float64) {
			if l.bias != nil {
				sum += float64(l.bias[n])
			}
			logits.data[r*l.out+n] = float32(sum)
		})
		for r := range b.batch.Rows {
			experts, weights := t.row(r)
			route(experts, weights, logits.row(r), correction, s)
		}
	})
}

// route chooses the experts of one row and weighs them.
func route(experts []int, weights, logits, correction []float32, s backend.RouterSpec) {
	scores := make([]float64, len(logits)) // what the weights are made of
	switch s.Scoring {
	case backend.SoftmaxThenTopK:
		softmax(scores, logits)
	case backend.TopKThenSoftmax:
		for i, v := range logits {
			scores[i] = float64(v)
		}
	case backend.SigmoidTopK:
		for i, v := range logits {
			scores[i] = 1 / (1 + math.Exp(-float64(v)))
		}
	}
	choice := append([]float64(nil), scores...)
	for i, c := range correction {
		choice[i] += float64(c)
	}
	if s.Groups > 0 {
		keepGroups(choice, s.Groups, s.TopGroups)
	}
	best(experts, choice)
	sum := 0.0
	for _, e := range experts {
		sum += scores[e]
	}
	switch {
	case s.Scoring == backend.TopKThenSoftmax:
		chosen := make([]float32, len(experts))
		for i, e := range experts {
			chosen[i] = logits[e]
		}
		scores, sum = make([]float64, len(experts)), 1
		softmax(scores, chosen)
		for i, v := range scores {
			weights[i] = float32(v * float64(s.Scale))
		}
		return
	case !s.Normalize:
		sum = 1
	case s.Scoring == backend.SigmoidTopK:
		sum += 1e-20
	}
	for i, e := range experts {
		weights[i] = float32(scores[e] / sum * float64(s.Scale))
	}
}

// keepGroups makes -Inf of the scores outside the top groups, those with the
// largest sum of their two best scores.
func keepGroups(scores []float64, groups, top int) {
	size := len(scores) / groups
	sums := make([]float64, groups)
	for g := range sums {
		two := make([]int, min(2, size))
		best(two, scores[g*size:(g+1)*size])
		for _, i := range two {
			sums[g] += scores[g*size+i]
		}
	}
	kept := make([]int, top)
	best(kept, sums)
	keep := make([]bool, groups)
	for _, g := range kept {
		keep[g] = true
	}
	for i := range scores {
		if !keep[i/size] {
			scores[i] = math.Inf(-1)
		}
	}
}

// best fills ids with the indices of the largest scores, largest first, the
// lower index first among equals. A NaN is below every number.
func best(ids []int, scores []float64) {
	taken := make([]bool, len(scores))
	for k := range ids {
		at := -1
		for i, v := range scores {
			if !taken[i] && (at < 0 || v > scores[at] || scores[at] != scores[at] && v == v) {
				at = i
			}
		}
		ids[k], taken[at] = at, true
	}
}

// softmax of x, in float64.
func softmax(out []float64, x []float32) {
	top := math.Inf(-1)
	for _, v := range x {
		top = math.Max(top, float64(v))
	}
	sum := 0.0
	for i, v := range x {
		out[i] = math.Exp(float64(v) - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
}
