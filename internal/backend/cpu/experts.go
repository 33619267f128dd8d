package cpu

import (
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// stack is packed matrices of equal shape.
type stack struct {
	*kernels.Stack
	name  string
	gated bool
	wide  bool // gate and up lie side by side, as in one of them their forms differ
}

// routing is the choice of experts; of how many is known from its router.
type routing struct {
	*kernels.Routing
	experts int
}

// NewStack implements backend.Backend.
func (b *Backend) NewStack(specs []backend.LinearSpec) (backend.Stack, error) {
	if len(specs) == 0 {
		return 0, errors.New("cpu: a stack of no matrices")
	}
	s := stack{name: specs[0].Name, gated: specs[0].Gated}
	layouts := make([]layout, len(specs))
	for i, spec := range specs {
		if err := b.checkSpec(spec); err != nil {
			return 0, fmt.Errorf("cpu: linear %q: %w", spec.Name, err)
		}
		if !alike(specs[0], spec) {
			return 0, fmt.Errorf("cpu: linear %q is not like the first of its stack, %q", spec.Name, specs[0].Name)
		}
		layouts[i] = b.layout(spec)
		s.wide = s.wide || s.gated && !layouts[i].fused
	}
	var linears []*kernels.Linear
	for i, spec := range specs {
		if s.wide {
			layouts[i] = joined(spec, b.forms(spec.Parts))
		}
		l, err := b.pack(spec, layouts[i])
		if err != nil {
			return 0, fmt.Errorf("cpu: linear %q: %w", spec.Name, err)
		}
		linears = append(linears, l.Linear)
	}
	var err error
	if s.Stack, err = b.machine.NewStack(linears); err != nil {
		return 0, err
	}
	b.stacks = append(b.stacks, s)
	return backend.Stack(len(b.stacks) - 1), nil
}

// alike: two specs have the same shape and kind.
func alike(a, b backend.LinearSpec) bool {
	rows := func(parts []weights.Tensor) (n int) {
		for _, p := range parts {
			n += p.Rows()
		}
		return n
	}
	return a.Gated == b.Gated && a.Parts[0].Cols() == b.Parts[0].Cols() && rows(a.Parts) == rows(b.Parts)
}

// out is the width of what a matrix gives: of gated ones, behind the activation.
func (s *stack) out() int {
	if s.wide {
		return s.Out / 2
	}
	return s.Out
}

// NewRouting implements backend.Backend.
func (b *Backend) NewRouting(topK int) (backend.Routing, error) {
	if topK < 1 {
		return 0, fmt.Errorf("cpu: a routing to %d experts", topK)
	}
	t, err := b.machine.NewRouting(b.cfg.MaxRows, topK)
	if err != nil {
		return 0, err
	}
	b.routings = append(b.routings, routing{Routing: t})
	return backend.Routing(len(b.routings) - 1), nil
}

func (r *recorder) stack(h backend.Stack) *stack {
	if h < 0 || int(h) >= len(r.b.stacks) {
		r.fail("stack", int(h))
		return &stack{Stack: &kernels.Stack{}}
	}
	return &r.b.stacks[h]
}

func (r *recorder) routing(h backend.Routing) *routing {
	if h < 0 || int(h) >= len(r.b.routings) {
		r.fail("routing", int(h))
		return &routing{Routing: &kernels.Routing{}}
	}
	return &r.b.routings[h]
}

// Route implements backend.Program: a linear op, whose input stays float32 as
// the choice should not hang on rounding, then the choice.
func (r *recorder) Route(out backend.Routing, x backend.Buffer, w backend.Linear, s backend.RouterSpec) {
	t, in, l, correction := r.routing(out), r.buffer(x), r.linear(w), r.vector(s.Correction)
	scores := r.scores(l.Out)
	logits := r.buffer(scores)
	fits := t.TopK == s.TopK && (correction == nil || len(correction) == l.Out) && s.Chooses(l.Out)
	t.experts = l.Out
	r.add(recorded{Op: kernels.Op{Kind: kernels.LinearOp, Out: logits, X: in, Linear: l.Linear, Exact: true}, out: scores, x: x}, in.Cols == l.In && !l.gated)
	r.add(recorded{Op: kernels.Op{Kind: kernels.Route, X: logits, Routing: t.Routing, Router: kernels.Router{
		Scoring: kernels.Scoring(s.Scoring), Normalize: s.Normalize, Groups: s.Groups, TopGroups: s.TopGroups,
		Scale: s.Scale, Correction: correction,
	}}, out: noBuffer, x: scores}, fits)
}

// scores is a buffer for routers' logits, which routers of one width share.
func (r *recorder) scores(experts int) backend.Buffer {
	if h, ok := r.logits[experts]; ok {
		return h
	}
	h, err := r.b.NewBuffer(max(experts, 1))
	if err != nil && r.err == nil {
		r.err = err
	}
	if r.logits == nil {
		r.logits = map[int]backend.Buffer{}
	}
	r.logits[experts] = h
	return h
}

// Experts implements backend.Program.
func (r *recorder) Experts(out, x backend.Buffer, by backend.Routing, gateUp, down backend.Stack, act backend.Activation, add bool) {
	o, in, t, up, dn := r.buffer(out), r.buffer(x), r.routing(by), r.stack(gateUp), r.stack(down)
	fits := out != x && up.gated && !dn.gated && up.Count == dn.Count && t.experts == up.Count &&
		in.Cols == up.In && up.out() == dn.In && dn.Out == o.Cols
	op := kernels.Op{
		Kind: kernels.Experts, Out: o, X: in, Add: add, Routing: t.Routing, Up: up.Stack, Down: dn.Stack, Wide: up.wide,
		Act: kernels.Act{Clamped: act.Kind == backend.ClampedSwiGLU, Alpha: act.Alpha, Limit: act.Limit},
	}
	r.add(recorded{Op: op, out: out, x: x}, fits)
}

// HeadLinear implements backend.Program.
func (r *recorder) HeadLinear(out, x backend.Buffer, w backend.Stack, s backend.HeadSpec) {
	o, in, heads := r.buffer(out), r.buffer(x), r.stack(w)
	last := heads.Count - 1
	fits := out != x && !heads.gated && s.XOffset >= 0 && s.XStride >= 0 && s.OutStride >= heads.Out &&
		last*s.XStride+s.XOffset+heads.In <= in.Cols && last*s.OutStride+heads.Out <= o.Cols
	op := kernels.Op{
		Kind: kernels.HeadLinear, Out: o, X: in, Up: heads.Stack,
		PerHead: kernels.PerHead{XOffset: s.XOffset, XStride: s.XStride, OutStride: s.OutStride},
	}
	// What lies between the heads stays: so out is read, too.
	r.add(recorded{Op: op, out: out, x: x, reads: []backend.Buffer{out}}, fits)
}
