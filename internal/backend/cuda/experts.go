//go:build cuda && cgo && linux

package cuda

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Mixtures of experts.

// routing is the experts of each row. Route, which must come first, says how
// many there are.
type routing struct {
	topK, experts int
	ids, weights  kernels.Ptr
}

func (r *routing) view() kernels.Routing {
	return kernels.Routing{IDs: r.ids, Weights: r.weights, Experts: r.experts, TopK: r.topK}
}

// NewRouting implements backend.Backend.
func (b *Backend) NewRouting(topK int) (backend.Routing, error) {
	if topK < 1 || topK > kernels.MaxTopK {
		return 0, fmt.Errorf("cuda: a routing to %d experts, at most %d", topK, kernels.MaxTopK)
	}
	b.routings = append(b.routings, &routing{topK: topK})
	return backend.Routing(len(b.routings) - 1), nil
}

// Route implements backend.Program.
func (r *recorder) Route(out backend.Routing, x backend.Buffer, w backend.Linear, s backend.RouterSpec) {
	o, in, l, correction := r.routing(out), r.buffer(x), r.linear(w), r.vector(s.Correction)
	fits := in.cols == l.in && !l.gated && s.TopK == o.topK && s.Chooses(l.out) && correction.absent(l.out) &&
		(o.experts == 0 || o.experts == l.out)
	o.experts = l.out
	r.add("Route "+l.name, &routeOp{o, in, r.scratch(max(l.out, 1), true), l, s, correction}, fits)
}

type routeOp struct {
	out        *routing
	x, logits  *buffer
	w          *linear
	s          backend.RouterSpec
	correction *vector
}

func (o *routeOp) types(t *typing) { t.sum("Route", o.logits) }

func (o *routeOp) emit(e *emitter) error {
	if err := e.matmul(o.logits.view(), o.x.view(), o.w, false); err != nil {
		return err
	}
	return e.one(kernels.Route(e.batch, e.rows, o.out.view(), o.logits.view(), kernels.Router{
		Scoring: int(o.s.Scoring), Normalize: o.s.Normalize, Scale: o.s.Scale, Correction: o.correction.address(),
		Groups: o.s.Groups, TopGroups: o.s.TopGroups,
	}))
}

// Experts implements backend.Program.
func (r *recorder) Experts(out, x backend.Buffer, by backend.Routing, gateUp, down backend.Stack, act backend.Activation, add bool) {
	o, in, route, first, second := r.buffer(out), r.buffer(x), r.routing(by), r.stack(gateUp), r.stack(down)
	fits := in.cols == first.in && o.cols == second.out && first.out == second.in && first.gated && !second.gated &&
		first.count == second.count && route.experts == first.count && out != x
	r.add("Experts", &expertsOp{o, in, route, first, second, act, add}, fits)
}

type expertsOp struct {
	out, x       *buffer
	by           *routing
	gateUp, down *stack
	act          backend.Activation
	add          bool
}

func (o *expertsOp) types(t *typing) {
	if o.add {
		t.sum("Experts", o.out)
	}
}

func (o *expertsOp) emit(e *emitter) error {
	act := kernels.Activation{Kind: int(o.act.Kind), Alpha: o.act.Alpha, Limit: o.act.Limit}
	return e.launch(kernels.Experts(e.batch, e.b.products.scratch, e.rows, o.out.view(), o.x.view(), o.by.view(),
		o.gateUp.weights, o.down.weights, act, o.add, e.b.products.experts))
}

// allocateExperts makes the routings and the experts' scratch memory, which
// layers share.
func (b *Backend) allocateExperts() error {
	rows := int64(b.cfg.MaxRows)
	for _, r := range b.routings {
		for _, p := range []*kernels.Ptr{&r.ids, &r.weights} {
			if err := b.mem.make(p, activationMemory, 4*rows*int64(r.topK)); err != nil {
				return err
			}
		}
	}
	most := int64(0)
	for _, o := range b.ops {
		if x, ok := o.(*expertsOp); ok {
			most = max(most, kernels.ExpertsBytes(b.cfg.MaxRows, x.by.view(), x.down.in, x.down.out))
		}
	}
	if most == 0 {
		return nil
	}
	return b.mem.make(&b.products.experts, activationMemory, most)
}
