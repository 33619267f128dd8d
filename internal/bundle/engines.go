package bundle

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/dispatch"
	"github.com/reasond/reasond/internal/engine"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/weights"
)

// started is an engine with the model on its devices.
type started struct {
	engine *engine.Engine
	loaded *model.Model
	info   backend.Info
	size   backend.Config
	eos    []int32
}

type engines []*started

// startAll starts the engines that cfg asks for, all at once.
func startAll(cfg Config, src *weights.Model, text *openText) (engines, error) {
	all := make(engines, cfg.DataParallel)
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() {
			if all[i], errs[i] = start(cfg.engine(i), src, text); errs[i] != nil && len(all) > 1 {
				errs[i] = fmt.Errorf("engine %d of %d: %w", i+1, len(all), errs[i])
			}
		})
	}
	wait.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errors.Join(errs[i], all.close())
	}
	return all, nil
}

// engine is the configuration of the i-th engine: devices of its own, its share
// of the threads and of the queue.
func (c Config) engine(i int) Config {
	n := c.DataParallel
	c.Device.Index += i * c.TensorParallel
	c.MaxWaiting = (c.MaxWaiting + n - 1) / n
	if n > 1 && !c.Device.CUDA {
		if c.Threads == 0 {
			_, c.Threads = cpu.Host()
		}
		c.Threads = max(c.Threads/n, 1)
	}
	if i > 0 {
		c.Progress = nil // the others are as far, more or less
	}
	return c
}

// start puts the weights on an engine's devices and starts it.
func start(cfg Config, src *weights.Model, text *openText) (*started, error) {
	loaded, be, size, err := load(cfg, src)
	if err != nil {
		return nil, err
	}
	side, err := text.wait()
	if err != nil {
		return nil, errors.Join(err, be.Close())
	}
	draft, err := cfg.drafting.load(cfg, size)
	if err != nil {
		return nil, errors.Join(err, be.Close())
	}
	eos := slices.Concat(loaded.Generation.EOS, side.tokenizer.EOS())
	slices.Sort(eos)
	eos = slices.Compact(eos)
	s := &started{loaded: loaded, info: be.Info(), size: size, eos: eos}
	s.engine, err = engine.New(engine.Config{
		Backend: size, Model: cfg.Name, EOS: eos, MaxWaiting: cfg.MaxWaiting,
		NoPrefixCache: cfg.NoPrefixCache, DraftTokens: cfg.DraftTokens, Draft: draft, MaxPrefillStall: cfg.MaxPrefillStall,
		Reopen: func() (backend.Backend, error) { return reopen(cfg, size) },
	}, be)
	if err != nil {
		return nil, errors.Join(err, be.Close(), draft.Close())
	}
	return s, nil
}

// join is one engine over all.
func (all engines) join(cfg Config) (pipeline.Engine, error) {
	if len(all) == 1 {
		return all[0].engine, nil
	}
	var members []dispatch.Member
	for _, s := range all {
		members = append(members, s.engine)
	}
	return dispatch.New(dispatch.Config{NoPrefixCache: cfg.NoPrefixCache}, members)
}

func (all engines) close() (err error) {
	for _, s := range all {
		if s != nil {
			err = errors.Join(err, s.engine.Close())
		}
	}
	return err
}
