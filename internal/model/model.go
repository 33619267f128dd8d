// Package model turns a model's configuration and weights into a program of
// backend ops. One file holds one architecture; layers.go holds what they
// share; adding-a-model.md tells how to add one. It knows no device and no
// scheduler.
package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// architecture is an entry of the registry: the class in config.json's
// architectures, and what it means.
type architecture struct {
	name string
	// configure sets what the class decides and checks what only it knows.
	configure func(c *Config, raw *rawConfig) error
	// load makes the handles and returns the program's recorder.
	load func(l *loader, c *Config) func(backend.Program)
}

var registry = map[string]architecture{}

// register adds an architecture; twice the same name is a programming mistake.
func register(a architecture) {
	if _, dup := registry[a.name]; dup {
		panic("model: architecture " + a.name + " is registered twice")
	}
	registry[a.name] = a
}

// Architectures lists the supported classes, sorted.
func Architectures() []string {
	var names []string
	for name := range registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func lookup(classes []string) (architecture, error) {
	for _, class := range classes {
		if a, ok := registry[class]; ok {
			return a, nil
		}
	}
	known := strings.Join(Architectures(), ", ")
	if len(classes) == 0 {
		return architecture{}, fmt.Errorf("architectures is missing; supported: %s", known)
	}
	return architecture{}, fmt.Errorf("architecture %.60q is not supported; supported: %s", classes[0], known)
}

// Model is a model that lies on a backend, ready to run.
type Model struct {
	Config     Config
	Generation Generation
	Shard      weights.Shard
}

// Load puts a model's weights on b, cut to the shard, and builds its program.
// The tensors' memory is released as soon as the backend has packed them; src
// may be closed afterwards unless the backend says otherwise. An error is one
// line that names the field or tensor.
func Load(src *weights.Model, b backend.Backend, sh weights.Shard) (*Model, error) {
	c, err := ParseConfig(src.Config)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, err)
	}
	gen, err := ParseGeneration(src.Config, src.Generation)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, err)
	}
	l := &loader{src: src, dst: b, shard: sh, buffers: map[string]backend.Buffer{}, routings: map[int]backend.Routing{}}
	if err := l.checkShard(&c); err != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, err)
	}
	program := registry[c.Architecture].load(l, &c)
	if l.err != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, l.err)
	}
	if err := b.Build(program); err != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, err)
	}
	return &Model{Config: c, Generation: gen, Shard: sh}, nil
}
