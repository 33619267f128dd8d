package weights

import (
	"encoding/json"
	"fmt"
)

// Of is a model of tensors that are in memory, under the names and formats that
// a folder of safetensors would have, or under the canonical ones. config is its
// config.json. Tensors may share their Data, which stays the caller's.
func Of(name string, config json.RawMessage, tensors []Tensor) (*Model, error) {
	m := &Model{Path: name, Format: FormatSafetensors, Config: config, tensors: map[string]*entry{}}
	for _, t := range tensors {
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("model %s: %w", name, err)
		}
		if err := m.add(t.Name, &entry{tensor: t}); err != nil {
			return nil, fmt.Errorf("model %s: %w", name, err)
		}
	}
	if err := m.canonicalise(); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}
