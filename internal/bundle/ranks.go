package bundle

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/backend/ranks"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// openRanks makes the empty backends of a group, the first on d, each of the
// others on the device behind.
func (d Device) openRanks(size backend.Config, n int) ([]backend.Backend, error) {
	if d.CUDA {
		return openGPURanks(d, size, n)
	}
	group, err := cpu.NewGroup(size, n)
	var all []backend.Backend
	for _, b := range group {
		all = append(all, b)
	}
	return all, err
}

// loadRanks puts a model on several devices, a share of each layer on each.
func loadRanks(cfg Config, src *weights.Model, size backend.Config) (*model.Model, backend.Backend, error) {
	n := cfg.TensorParallel
	all, err := cfg.Device.openRanks(size, n)
	if err != nil {
		return nil, nil, err
	}
	group := ranks.New(all)
	var loaded *model.Model
	err = group.Load(func(b backend.Backend, sh weights.Shard) error {
		if sh.Rank == 0 { // the others are as far, more or less
			b = progressing(b, cfg, src.TotalBytes()/int64(n))
		}
		m, err := model.Load(src, b, sh)
		if sh.Rank == 0 {
			loaded = m
		}
		return err
	})
	if err != nil {
		group.Close()
		return nil, nil, err
	}
	return loaded, group, nil
}
