//go:build cuda && cgo && linux

package cuda

import driver "github.com/reasond/reasond/internal/cuda"

// program is what Build made of the model: segments to enqueue for each bucket,
// and the graphs captured of them.
type program struct {
	buckets []int     // of rows
	bodies  []segment // the model's ops, by bucket of rows
	narrow  []segment // the same for steps that have no wide attention, such as decoding
	heads   []segment // Logits, by bucket of wanted rows
	samples []segment // by bucket of samples
	copies  segment   // page copies
	graphs  []graphs  // of the first buckets, up to that of MaxSeqs rows
}

// graph is one of a bucket's graphs: forward and sample as one, or apart, with
// the masks copied in between.
type graph int

const (
	wholeGraph graph = iota
	forwardGraph
	sampleGraph
	graphKinds
)

// graphs are a bucket's; nil: not captured so far.
type graphs [graphKinds]*driver.Exec

// shape is which of the program's parts a step needs: indices of buckets.
type shape struct {
	rows, logits, samples int
	wide                  bool // there is wide attention
	graph                 bool // the step fits the graphs of bucket rows
}

// shape chooses by the batch's numbers. A graph has a bucket's rows, as many
// logits and as many samples, and narrow attention alone.
func (p *program) shape(rows, logits, samples int, wide bool) shape {
	s := shape{bucketOf(p.buckets, rows), bucketOf(p.buckets, logits), bucketOf(p.buckets, samples), wide, false}
	s.graph = !wide && s.rows < len(p.graphs) && max(s.logits, s.samples) <= s.rows
	return s
}

// body is the model's ops.
func (p *program) body(s shape) segment {
	if s.wide {
		return p.bodies[s.rows]
	}
	return p.narrow[s.rows]
}

// forward enqueues the model's ops and the logits.
func (b *Backend) forward(s shape) error {
	p := &b.program
	if s.graph {
		return b.replay(s, forwardGraph)
	}
	if err := p.body(s).run(b.stream); err != nil {
		return err
	}
	return p.heads[s.logits].run(b.stream)
}

// sample enqueues the sampling behind forward.
func (b *Backend) sample(s shape) error {
	if s.graph {
		return b.replay(s, sampleGraph)
	}
	return b.program.samples[s.samples].run(b.stream)
}

// whole enqueues both.
func (b *Backend) whole(s shape) error {
	if s.graph {
		return b.replay(s, wholeGraph)
	}
	if err := b.forward(s); err != nil {
		return err
	}
	return b.sample(s)
}

// replay launches a bucket's graph, captured on first use.
func (b *Backend) replay(s shape, which graph) error {
	exec := &b.program.graphs[s.rows][which]
	if *exec == nil {
		e, err := b.capture(b.program.parts(s.rows, which))
		if err != nil {
			return err
		}
		*exec = e
	}
	return b.stream.LaunchGraph(*exec)
}

// parts are the segments of a bucket's graph.
func (p *program) parts(bucket int, which graph) []segment {
	switch which {
	case forwardGraph:
		return []segment{p.narrow[bucket], p.heads[bucket]}
	case sampleGraph:
		return []segment{p.samples[bucket]}
	}
	return []segment{p.narrow[bucket], p.heads[bucket], p.samples[bucket]}
}

func (b *Backend) capture(segments []segment) (*driver.Exec, error) {
	graph, err := b.stream.Capture(func() error {
		for _, s := range segments {
			if err := s.run(b.stream); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	exec, err := graph.Instantiate()
	if e := graph.Close(); err == nil {
		err = e
	}
	return exec, err
}
