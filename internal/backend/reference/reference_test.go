package reference_test

import (
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/reference"
)

func open(c backend.Config) (backend.Backend, error) { return reference.New(c) }

func TestTinyReasonerIsExact(t *testing.T) {
	backendtest.TinyReasoner(t, open, "../../../testdata/tiny-reasoner", backendtest.ExactTiny)
}

func TestRandomModelsMatchTransformers(t *testing.T) {
	backendtest.Models(t, open, "../../../testdata/models", backendtest.ExactGoldens)
}

func TestConformance(t *testing.T) { backendtest.Run(t, open, backendtest.Float32) }
