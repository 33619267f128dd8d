package bundle

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/weights"
)

// The parts of a bundle, for those who measure them alone.

// Weights opens a model's tensors; an empty path is the embedded model.
func Weights(path string) (*weights.Model, error) { return openWeights(path) }

// Backend makes an empty backend on the device.
func (d Device) Backend(size backend.Config) (backend.Backend, error) { return d.open(size) }

// Tokenizer opens the tokenizer that a model brings. Close it.
func Tokenizer(src *weights.Model) (*tokenizer.Tokenizer, error) {
	tok, _, err := openTokenizer(src)
	return tok, err
}
