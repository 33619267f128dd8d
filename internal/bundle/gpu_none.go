//go:build !cuda || !cgo || !linux

package bundle

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/cuda"
)

func openGPU(Device, backend.Config) (backend.Backend, error) { return nil, cuda.ErrNotBuilt }

func openGPURanks(Device, backend.Config, int) ([]backend.Backend, error) {
	return nil, cuda.ErrNotBuilt
}

func memoryOfGPU(Device) (free, total int64, err error) { return 0, 0, cuda.ErrNotBuilt }
