package cpu

import (
	"errors"

	"github.com/reasond/reasond/internal/backend"
)

var errNotYet = errors.New("cpu: mixtures of experts, latent attention and their formats are not supported")

// NewStack implements backend.Backend.
func (b *Backend) NewStack([]backend.LinearSpec) (backend.Stack, error) { return 0, errNotYet }

// NewRouting implements backend.Backend.
func (b *Backend) NewRouting(int) (backend.Routing, error) { return 0, errNotYet }

// NewLatentKV implements backend.Backend.
func (b *Backend) NewLatentKV(layers, width int) error { return errNotYet }

// Route implements backend.Program.
func (p *recorder) Route(backend.Routing, backend.Buffer, backend.Linear, backend.RouterSpec) {
	p.err = errNotYet
}

// Experts implements backend.Program.
func (p *recorder) Experts(out, x backend.Buffer, by backend.Routing, gateUp, down backend.Stack, act backend.Activation, add bool) {
	p.err = errNotYet
}

// HeadLinear implements backend.Program.
func (p *recorder) HeadLinear(out, x backend.Buffer, w backend.Stack, s backend.HeadSpec) {
	p.err = errNotYet
}

// StoreLatent implements backend.Program.
func (p *recorder) StoreLatent(q, kv backend.Buffer, layer int, a backend.LatentSpec) {
	p.err = errNotYet
}

// LatentAttention implements backend.Program.
func (p *recorder) LatentAttention(out, absorbed, q backend.Buffer, layer int, a backend.LatentSpec) {
	p.err = errNotYet
}
