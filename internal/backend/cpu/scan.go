package cpu

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/sample"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// scanner is sample's readings of logits by the machine's threads. What it reads
// and writes is machine memory: the logits, Batch.Masks and what it gives out.
type scanner struct {
	machine *kernels.Machine
	scans   *kernels.Scans
}

var (
	_ sample.Scanner = (*scanner)(nil)
	_                = kernels.Scan(sample.Scan{})              // the same fields
	_                = [1]int{}[kernels.ScanBlock-sample.Block] // the same blocks
)

func newScanner(m *kernels.Machine, cfg backend.Config) (*scanner, error) {
	scans, err := m.NewScans(2*cfg.Samples(), sample.Constants())
	return &scanner{m, scans}, err
}

// Read implements sample.Scanner.
func (s *scanner) Read(rows []sample.Scan) { s.scans.Read(alias[kernels.Scan](rows)[:len(rows)]) }

// Floats implements sample.Scanner.
func (s *scanner) Floats(n int) []float32 { return must(s.machine.Floats(n)) }

// Doubles implements sample.Scanner.
func (s *scanner) Doubles(n int) []float64 { return must(s.machine.Doubles(n)) }

// must panics where memory has run out, which ends the step.
func must[T any](memory []T, err error) []T {
	if err != nil {
		panic(err)
	}
	return memory
}
