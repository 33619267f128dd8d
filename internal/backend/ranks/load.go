package ranks

import (
	"errors"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// errOneByOne: a rank's weights are its own, so the group as a whole has no
// handles to give out.
var errOneByOne = errors.New("ranks: each rank is loaded by itself (Load)")

// The methods of load time; all fail. See Load.

func (g *Group) NewVector(weights.Tensor) (backend.Vector, error)     { return 0, errOneByOne }
func (g *Group) NewLinear(backend.LinearSpec) (backend.Linear, error) { return 0, errOneByOne }
func (g *Group) NewRope(backend.RopeSpec) (backend.Rope, error)       { return 0, errOneByOne }
func (g *Group) NewBuffer(cols int) (backend.Buffer, error)           { return 0, errOneByOne }
func (g *Group) NewStack([]backend.LinearSpec) (backend.Stack, error) { return 0, errOneByOne }
func (g *Group) NewRouting(topK int) (backend.Routing, error)         { return 0, errOneByOne }
func (g *Group) NewKV(layers, kvHeads, headDim int) error             { return errOneByOne }
func (g *Group) NewLatentKV(layers, width int) error                  { return errOneByOne }
func (g *Group) Build(model func(backend.Program)) error              { return errOneByOne }
