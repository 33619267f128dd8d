package bundle

import (
	"errors"
	"testing"

	"github.com/reasond/reasond/internal/backend"
)

// Packing gigabytes stops as soon as the text side cannot be opened.
func TestNothingIsPackedInVain(t *testing.T) {
	why := errors.New("no template")
	p := progressing(nil, Config{failed: func() error { return why }}, 1) // no backend: asking it would panic
	if _, err := p.NewLinear(backend.LinearSpec{}); !errors.Is(err, why) {
		t.Errorf("NewLinear: %v", err)
	}
	if _, err := Open(Config{ChatTemplate: "{{ oh"}); err == nil || err.Error()[:len("model tiny-reasoner: ")] != "model tiny-reasoner: " {
		t.Errorf("a template that does not compile: %v", err)
	}
}
