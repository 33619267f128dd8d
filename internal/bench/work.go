package bench

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// Work is what a step of a model must read and compute at least. Count fills it in
// while the model is loaded.
//
// Bytes are packed weights, each once a step, of experts those expected to be
// chosen, and keys and values, each once a sequence. Operations are those of the
// matrices, a multiplication and an addition counting two; attention's own, which
// grow with the depth, are left out, as peaks of other programs leave them out.
type Work struct {
	dense   matrices  // read by every step
	head    matrices  // computed for wanted rows only
	experts []experts // a layer each
	windows []int     // of attention, a layer each; 0: all
	cache   float64   // bytes of a token's keys and values, all layers together
}

// matrices are some together.
type matrices struct {
	bytes float64
	ops   map[string]float64 // for each row, by the unit that multiplies
}

type experts struct {
	matrices     // of all experts
	count, chose float64
}

func (m *matrices) add(o matrices) {
	m.bytes += o.bytes
	if m.ops == nil {
		m.ops = map[string]float64{}
	}
	for unit, n := range o.ops {
		m.ops[unit] += n
	}
}

// Step is the bytes and operations of one step: so many rows, so many of them with
// logits, and the tokens that each sequence has when it ends.
func (w *Work) Step(rows, logits int, contexts ...int) Cost {
	c := Cost{Bytes: w.dense.bytes, Ops: map[string]float64{}}
	c.add(w.dense, rows)
	if logits > 0 {
		c.Bytes += w.head.bytes
		c.add(w.head, logits)
	}
	for _, e := range w.experts {
		missed := math.Pow(1-e.chose/e.count, float64(rows))
		c.Bytes += e.bytes * (1 - missed)
		for unit, n := range e.ops {
			c.Ops[unit] += n * float64(rows) * e.chose / e.count
		}
	}
	for _, context := range contexts {
		for _, window := range w.windows {
			seen := context
			if window > 0 {
				seen = min(seen, window)
			}
			c.Bytes += float64(seen) * w.cache / float64(len(w.windows))
		}
	}
	return c
}

// Cost is what some steps read and compute.
type Cost struct {
	Bytes float64
	Ops   map[string]float64 // by unit
}

func (c *Cost) add(m matrices, rows int) {
	for unit, n := range m.ops {
		c.Ops[unit] += n * float64(rows)
	}
}

// Plus is both together.
func (c Cost) Plus(o Cost) Cost {
	sum := Cost{Bytes: c.Bytes + o.Bytes, Ops: map[string]float64{}}
	for _, ops := range []map[string]float64{c.Ops, o.Ops} {
		for unit, n := range ops {
			sum.Ops[unit] += n
		}
	}
	return sum
}

// Count returns a backend that passes everything on to be, which has so many pages
// or, where that is 0, says so itself, and notes in the Work what the model's steps
// will cost: model.Load gets it in be's place.
func Count(be backend.Backend, pages int) (backend.Backend, *Work) {
	c := &counter{Backend: be, pages: pages, work: &Work{}, linears: map[backend.Linear]matrices{}, stacks: map[backend.Stack][]matrices{}, topK: map[backend.Routing]int{}}
	return c, c.work
}

type counter struct {
	backend.Backend
	pages   int
	work    *Work
	linears map[backend.Linear]matrices
	stacks  map[backend.Stack][]matrices
	topK    map[backend.Routing]int
}

func (c *counter) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	before := c.Info().WeightBytes
	l, err := c.Backend.NewLinear(s)
	if _, known := c.linears[l]; err == nil && !known {
		c.linears[l] = c.measure(s, c.Info().WeightBytes-before)
	}
	return l, err
}

func (c *counter) NewStack(list []backend.LinearSpec) (backend.Stack, error) {
	before := c.Info().WeightBytes
	s, err := c.Backend.NewStack(list)
	if err == nil {
		packed := (c.Info().WeightBytes - before) / int64(max(len(list), 1))
		for _, spec := range list {
			c.stacks[s] = append(c.stacks[s], c.measure(spec, packed))
		}
	}
	return s, err
}

func (c *counter) NewRouting(topK int) (backend.Routing, error) {
	r, err := c.Backend.NewRouting(topK)
	c.topK[r] = topK
	return r, err
}

// measure is a matrix that took so many bytes; where the backend does not say, it
// is as large as in the file.
func (c *counter) measure(s backend.LinearSpec, packed int64) matrices {
	m := matrices{bytes: float64(packed), ops: map[string]float64{}}
	for _, p := range s.Parts {
		if packed <= 0 {
			m.bytes += float64(p.Bytes())
		}
		m.ops[c.unit(p)] += 2 * float64(p.Rows()) * float64(p.Cols())
	}
	return m
}

func (c *counter) unit(t weights.Tensor) string {
	if l, ok := c.Backend.(backend.Limited); ok {
		return l.Unit(t)
	}
	return ""
}

func (c *counter) Build(build func(backend.Program)) error {
	err := c.Backend.Build(func(p backend.Program) { build(&countedProgram{p, c}) })
	info := c.Info()
	if info.Pages > 0 {
		c.pages = info.Pages
	}
	c.work.cache = float64(info.KVBytes) / float64(max(c.pages, 1)*backend.PageTokens)
	return err
}

// countedProgram notes the ops that read weights or the cache.
type countedProgram struct {
	backend.Program
	c *counter
}

func (p *countedProgram) Linear(out, x backend.Buffer, w backend.Linear, add bool) {
	p.c.work.dense.add(p.c.linears[w])
	p.Program.Linear(out, x, w, add)
}

func (p *countedProgram) GatedMLP(out, x backend.Buffer, w backend.Linear) {
	p.c.work.dense.add(p.c.linears[w])
	p.Program.GatedMLP(out, x, w)
}

func (p *countedProgram) Logits(x backend.Buffer, w backend.Vector, eps float32, head backend.Linear) {
	p.c.work.head.add(p.c.linears[head])
	p.Program.Logits(x, w, eps, head)
}

func (p *countedProgram) Route(out backend.Routing, x backend.Buffer, w backend.Linear, s backend.RouterSpec) {
	p.c.work.dense.add(p.c.linears[w])
	p.Program.Route(out, x, w, s)
}

func (p *countedProgram) Experts(out, x backend.Buffer, by backend.Routing, gateUp, down backend.Stack, act backend.Activation, add bool) {
	e := experts{count: float64(len(p.c.stacks[gateUp])), chose: float64(p.c.topK[by])}
	for _, s := range []backend.Stack{gateUp, down} {
		for _, m := range p.c.stacks[s] {
			e.add(m)
		}
	}
	p.c.work.experts = append(p.c.work.experts, e)
	p.Program.Experts(out, x, by, gateUp, down, act, add)
}

func (p *countedProgram) HeadLinear(out, x backend.Buffer, w backend.Stack, s backend.HeadSpec) {
	for _, m := range p.c.stacks[w] {
		p.c.work.dense.add(m)
	}
	p.Program.HeadLinear(out, x, w, s)
}

func (p *countedProgram) Attention(out, qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	p.c.work.windows = append(p.c.work.windows, a.Window)
	p.Program.Attention(out, qkv, layer, a)
}

func (p *countedProgram) LatentAttention(out, absorbed, q backend.Buffer, layer int, a backend.LatentSpec) {
	p.c.work.windows = append(p.c.work.windows, 0)
	p.Program.LatentAttention(out, absorbed, q, layer, a)
}
