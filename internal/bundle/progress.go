package bundle

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// progressing passes everything to be, tells cfg how far packing is, and stops
// where cfg says that it is in vain.
func progressing(be backend.Backend, cfg Config, total int64) backend.Backend {
	if cfg.Progress == nil && cfg.failed == nil {
		return be
	}
	return &progress{Backend: be, report: cfg.Progress, failed: cfg.failed, total: total, seen: map[*byte]bool{}}
}

type progress struct {
	backend.Backend
	report      func(done, total int64) // may be nil
	failed      func() error            // may be nil
	done, total int64
	seen        map[*byte]bool // a tied tensor counts once
}

func (p *progress) NewLinear(s backend.LinearSpec) (backend.Linear, error) {
	if p.failed != nil {
		if err := p.failed(); err != nil {
			return 0, err
		}
	}
	l, err := p.Backend.NewLinear(s)
	for _, t := range s.Parts {
		p.count(t)
	}
	return l, err
}

func (p *progress) NewVector(t weights.Tensor) (backend.Vector, error) {
	v, err := p.Backend.NewVector(t)
	p.count(t)
	return v, err
}

func (p *progress) count(t weights.Tensor) {
	if p.report == nil || len(t.Data) == 0 || p.seen[&t.Data[0]] {
		return
	}
	p.seen[&t.Data[0]] = true
	p.done = min(p.done+int64(len(t.Data)), p.total)
	p.report(p.done, p.total)
}
