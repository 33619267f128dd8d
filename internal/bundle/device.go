package bundle

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Device is what a model runs on: the zero value is the CPU.
type Device struct {
	CUDA   bool
	Index  int     // the driver's number of the GPU
	Memory float64 // share of the GPU's memory that may be used; 0: 0.9
	// BatchInvariant computes a row the same way whatever other sequences are in the
	// batch.
	BatchInvariant bool

	Driver, BLAS, NCCL string // paths of NVIDIA's libraries; empty: where the loader finds them
}

// defaultMemory is the share of a GPU's memory that may be used.
const defaultMemory = 0.9

// open makes an empty backend.
func (d Device) open(size backend.Config) (backend.Backend, error) {
	if d.CUDA {
		return openGPU(d, size)
	}
	return cpu.New(size)
}

// sizes is the backend's configuration for a model of so many bytes of weights.
func (d Device) sizes(cfg Config, arch *model.Config, weightBytes int64) (backend.Config, error) {
	if !d.CUDA {
		return sizes(cfg, arch, weightBytes, availableMemory()/int64(cfg.DataParallel))
	}
	room := int64(math.MaxInt64) // of the fullest
	for range cfg.TensorParallel {
		free, total, err := memoryOfGPU(d)
		if err != nil {
			return backend.Config{}, err
		}
		room = min(room, free-int64(float64(total)*(1-d.share())))
		d.Index++
	}
	part := arch.OfRank(cfg.TensorParallel)
	return gpuSizes(cfg, &part, weightBytes/int64(cfg.TensorParallel), room)
}

func (d Device) share() float64 {
	if d.Memory == 0 {
		return defaultMemory
	}
	return d.Memory
}

// load puts a model on a device. Of the size that is returned the pages are
// those that the device has made.
func load(cfg Config, src *weights.Model) (*model.Model, backend.Backend, backend.Config, error) {
	arch, err := model.ParseConfig(src.Config)
	if err != nil {
		return nil, nil, backend.Config{}, fmt.Errorf("model %s: %w", src.Path, err)
	}
	if err := arch.CheckRanks(cfg.TensorParallel); err != nil {
		return nil, nil, backend.Config{}, fmt.Errorf("model %s: --tensor-parallel-size %d: %w", src.Path, cfg.TensorParallel, err)
	}
	size, err := cfg.Device.sizes(cfg, &arch, src.TotalBytes())
	if err != nil {
		return nil, nil, size, fmt.Errorf("model %s: %w", src.Path, err)
	}
	loaded, be, err := loadSized(cfg, src, size)
	if err != nil {
		return nil, nil, size, err
	}
	if n := be.Info().Pages; n > 0 {
		size.Pages = n
	}
	return loaded, be, size, nil
}

// loadSized puts a model on a device whose configuration is known.
func loadSized(cfg Config, src *weights.Model, size backend.Config) (*model.Model, backend.Backend, error) {
	if cfg.TensorParallel > 1 {
		return loadRanks(cfg, src, size)
	}
	be, err := cfg.Device.open(size)
	if err != nil {
		return nil, nil, err
	}
	loaded, err := model.Load(src, progressing(be, cfg, src.TotalBytes()), weights.Shard{Size: 1})
	if err != nil {
		be.Close()
		return nil, nil, err
	}
	return loaded, be, nil
}

// reopen opens the device and the model on it once more, with the same sizes.
func reopen(cfg Config, size backend.Config) (backend.Backend, error) {
	src, err := openWeights(cfg.Path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	cfg.Progress, cfg.failed = nil, nil
	_, be, err := loadSized(cfg, src, size)
	return be, err
}
