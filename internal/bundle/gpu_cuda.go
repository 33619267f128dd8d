//go:build cuda && cgo && linux

package bundle

import (
	"github.com/reasond/reasond/internal/backend"
	backendcuda "github.com/reasond/reasond/internal/backend/cuda"
	"github.com/reasond/reasond/internal/cuda"
)

func (d Device) options() backendcuda.Options {
	return backendcuda.Options{
		Device: d.Index, Driver: d.Driver, BLAS: d.BLAS, Memory: d.share(), BatchInvariant: d.BatchInvariant,
	}
}

func openGPU(d Device, size backend.Config) (backend.Backend, error) {
	return backendcuda.New(d.options(), size)
}

func openGPURanks(d Device, size backend.Config, n int) ([]backend.Backend, error) {
	group, err := backendcuda.NewGroup(d.options(), d.NCCL, size, n)
	var all []backend.Backend
	for _, b := range group {
		all = append(all, b)
	}
	return all, err
}

// memoryOfGPU is a GPU's free and total memory, bytes.
func memoryOfGPU(d Device) (free, total int64, err error) {
	if err := cuda.Open(d.Driver); err != nil {
		return 0, 0, err
	}
	infos, err := cuda.Devices()
	if err != nil {
		return 0, 0, err
	}
	if d.Index < 0 || d.Index >= len(infos) {
		return 0, 0, cuda.ErrNoDevice
	}
	free, err = cuda.FreeMemory(d.Index)
	return free, infos[d.Index].TotalMem, err
}
