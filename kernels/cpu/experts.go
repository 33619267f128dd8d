package cpu

// #include "rk.h"
import "C"

import "unsafe"

// Act is the function of a gate and an up; the zero value is silu(gate)*up. See
// rk.h for the other.
type Act struct {
	Clamped      bool
	Alpha, Limit float32
}

// Stack is linears of equal shape: experts, or one a head. Formats may differ.
type Stack struct {
	c     []C.rk_linear // in C memory
	In    int
	Out   int
	Count int
}

// NewStack makes a stack of linears.
func (m *Machine) NewStack(linears []*Linear) (*Stack, error) {
	p, err := m.alloc(len(linears) * int(unsafe.Sizeof(C.rk_linear{})))
	if err != nil {
		return nil, err
	}
	s := &Stack{c: unsafe.Slice((*C.rk_linear)(p), len(linears)), In: linears[0].In, Out: linears[0].Out, Count: len(linears)}
	for i, l := range linears {
		s.c[i].mats, s.c[i].nmats, s.c[i].acts = &l.mats[0], C.int32_t(len(l.mats)), l.acts
	}
	return s, nil
}

// Routing is the experts of each row, best first, and their weights.
type Routing struct {
	expert []int32 // [MaxRows][TopK], below the router's number of experts
	weight []float32
	TopK   int
}

// NewRouting allocates a routing of rows.
func (m *Machine) NewRouting(rows, topK int) (*Routing, error) {
	expert, err := m.ints(rows * topK)
	if err != nil {
		return nil, err
	}
	weight, err := m.Floats(rows * topK)
	return &Routing{expert, weight, topK}, err
}

// Scoring numbers are those of package backend.
type Scoring int

// The ways to score experts, see package backend.
const (
	SoftmaxThenTopK Scoring = C.RK_SOFTMAX_TOPK
	TopKThenSoftmax Scoring = C.RK_TOPK_SOFTMAX
	SigmoidTopK     Scoring = C.RK_SIGMOID_TOPK
)

// Router is what Route needs beside the logits. Correction may be nil.
type Router struct {
	Scoring           Scoring
	Normalize         bool
	Groups, TopGroups int
	Scale             float32
	Correction        []float32
}

// PerHead says where HeadLinear's heads lie, as backend.HeadSpec does.
type PerHead struct{ XOffset, XStride, OutStride int }

// mixture fills in what ops of experts and heads have.
func (o *Op) mixture(c *C.rk_op) {
	act := C.rk_act{alpha: C.float(o.Act.Alpha), limit: C.float(o.Act.Limit)}
	if o.Act.Clamped {
		act.kind = C.RK_CLAMPED
	}
	c.act = act
	if t := o.Routing; t != nil {
		c.routing = C.rk_routing{expert: (*C.int32_t)(unsafe.Pointer(&t.expert[0])), weight: floats(t.weight), topk: C.int32_t(t.TopK)}
	}
	switch r := o.Router; o.Kind {
	case Route:
		c.router = C.rk_router{
			scoring: C.int32_t(r.Scoring), normalize: flag(r.Normalize), groups: C.int32_t(r.Groups),
			top_groups: C.int32_t(r.TopGroups), scale: C.float(r.Scale), correction: floats(r.Correction),
		}
	case Experts:
		c.experts = C.rk_experts{
			up: &o.Up.c[0], down: &o.Down.c[0], count: C.int32_t(o.Up.Count), inner: C.int32_t(o.Down.In),
			wide: flag(o.Wide), add: flag(o.Add), act: act,
		}
	case HeadLinear:
		c.head = C.rk_heads{
			w: &o.Up.c[0], count: C.int32_t(o.Up.Count), in: C.int32_t(o.Up.In), offset: C.int32_t(o.PerHead.XOffset),
			stride: C.int32_t(o.PerHead.XStride), out_stride: C.int32_t(o.PerHead.OutStride),
		}
	}
}
