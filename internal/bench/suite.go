package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Config says what is measured: everything in every combination.
type Config struct {
	Prefill     []int // lengths of prompts, tokens
	Decode      []int // tokens that each sequence grows by
	Batch       []int // sequences that are decoded at once
	Depth       []int // tokens that lie before
	Threads     []int // 0: as many as the process may use
	Repetitions int   // of each measurement
	Chunk       int   // most rows of a step
	Float32     bool  // compute exactly
	// Patience ends the repetitions of a measurement that takes longer, three at
	// least; 0: never.
	Patience time.Duration
}

// Opener makes an empty backend of that size.
type Opener func(backend.Config) (backend.Backend, error)

// Progress is told that done of total repetitions are over and what comes next.
type Progress func(done, total int, what string)

// Run measures a model. With ctx done it returns what was measured until then and
// ctx's error.
func Run(ctx context.Context, cfg Config, src *weights.Model, open Opener, progress Progress) (*Result, error) {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	s := &suite{cfg: cfg, src: src, open: open, progress: progress, result: newResult()}
	s.total = len(cfg.Threads) * len(s.rows(0)) * cfg.Repetitions
	for _, threads := range cfg.Threads {
		if err := s.withThreads(ctx, threads); err != nil {
			return s.result, err
		}
	}
	progress(s.total, s.total, "")
	return s.result, nil
}

type suite struct {
	cfg      Config
	src      *weights.Model
	open     Opener
	progress Progress
	result   *Result
	done     int
	total    int

	be     backend.Backend
	work   *Work
	driver *Driver
}

// rows are the measurements on so many threads.
func (s *suite) rows(threads int) []Row {
	var list []Row
	for _, depth := range s.cfg.Depth {
		for _, n := range s.cfg.Prefill {
			list = append(list, Row{Test: PrefillTest, Threads: threads, Batch: 1, Tokens: n, Depth: depth})
		}
	}
	for _, depth := range s.cfg.Depth {
		for _, n := range s.cfg.Decode {
			for _, batch := range s.cfg.Batch {
				list = append(list, Row{Test: DecodeTest, Threads: threads, Batch: batch, Tokens: n, Depth: depth})
			}
		}
	}
	return list
}

// size is a backend in which every measurement fits.
func (s *suite) size(threads int) backend.Config {
	longest, batch := 1, 1
	for _, r := range s.rows(threads) {
		longest, batch = max(longest, r.Depth+r.Tokens), max(batch, r.Batch)
	}
	pages := PagesFor(longest)
	return backend.Config{
		Float32: s.cfg.Float32, MaxRows: max(s.cfg.Chunk, batch), MaxSeqs: batch, MaxContext: pages * backend.PageTokens,
		Pages: batch * pages, MaxLogits: batch, Threads: threads,
	}
}

func (s *suite) withThreads(ctx context.Context, threads int) error {
	s.progress(s.done, s.total, "loading")
	size := s.size(threads)
	be, err := s.open(size)
	if err != nil {
		return err
	}
	defer be.Close()
	counted, work := Count(be, size.Pages)
	loaded, err := model.Load(s.src, counted, weights.Shard{Size: 1})
	if err != nil {
		return err
	}
	s.be, s.work, s.driver = be, work, NewDriver(be, size, s.cfg.Chunk)
	s.result.describe(s.src, be, &loaded.Config, s.cfg.Float32)
	threads = be.Info().Threads
	s.progress(s.done, s.total, "limits of the machine")
	before := measure(be)
	first := len(s.result.Rows)
	err = s.measureAll(ctx, threads)
	if len(s.result.Rows) == first {
		return err
	}
	s.progress(s.done, s.total, "limits of the machine")
	s.share(first, limitsOf(threads, before, measure(be)))
	return err
}

func (s *suite) measureAll(ctx context.Context, threads int) error {
	for _, row := range s.rows(threads) {
		if err := s.measure(ctx, &row); err != nil {
			if errors.Is(err, ctx.Err()) {
				return err
			}
			return fmt.Errorf("%s of %d tokens, batch %d, depth %d: %w", row.Test, row.Tokens, row.Batch, row.Depth, err)
		}
		s.result.Rows = append(s.result.Rows, row)
	}
	return nil
}

// share fills in what rows from first on are of the limits.
func (s *suite) share(first int, l *Limits) {
	if l != nil {
		s.result.Limits = append(s.result.Limits, *l)
	}
	for i := range s.result.Rows[first:] {
		r := &s.result.Rows[first+i]
		r.Bandwidth, r.Peak = l.shares(Cost{r.Bytes, r.Ops}, float64(r.Tokens*r.Batch)/r.Speed)
	}
}

// leastRepetitions are made however long they take.
const leastRepetitions = 3

// measure fills in a row's speed and cost.
func (s *suite) measure(ctx context.Context, r *Row) error {
	s.progress(s.done, s.total, r.String())
	if err := s.warmUp(r); err != nil {
		return err
	}
	began := time.Now()
	for i := range s.cfg.Repetitions {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.cfg.Patience > 0 && i >= leastRepetitions && time.Since(began) > s.cfg.Patience {
			s.done += s.cfg.Repetitions - i
			break
		}
		took, err := s.once(r)
		if err != nil {
			return err
		}
		r.Samples = append(r.Samples, float64(r.Tokens*r.Batch)/took.Seconds())
		s.done++
		s.progress(s.done, s.total, r.String())
	}
	r.Speed, r.Spread = Median(r.Samples), Spread(r.Samples)
	c := s.cost(r)
	r.Bytes, r.Ops = c.Bytes, c.Ops
	return nil
}

// warmSteps are decoded before the first measured one.
const warmSteps = 4

// warmUp computes what lies before the measured tokens, and some of these.
func (s *suite) warmUp(r *Row) error {
	if err := s.driver.Prepare(r.Batch, r.Depth); err != nil {
		return err
	}
	if r.Test == PrefillTest {
		_, err := s.once(r)
		return err
	}
	_, err := s.driver.Decode(r.Batch, r.Depth, min(warmSteps, r.Tokens))
	return err
}

// once is the time of one repetition.
func (s *suite) once(r *Row) (time.Duration, error) {
	if r.Test == PrefillTest {
		return s.driver.Prefill(r.Depth, r.Tokens)
	}
	return s.driver.Decode(r.Batch, r.Depth, r.Tokens)
}

// cost is what one repetition must read and compute.
func (s *suite) cost(r *Row) Cost {
	var sum Cost
	if r.Test == PrefillTest {
		for at := 0; at < r.Tokens; at += s.cfg.Chunk {
			count, logits := min(s.cfg.Chunk, r.Tokens-at), 0
			if at+count == r.Tokens {
				logits = 1
			}
			sum = sum.Plus(s.work.Step(count, logits, r.Depth+at+count))
		}
		return sum
	}
	for i := range r.Tokens {
		sum = sum.Plus(s.work.Step(r.Batch, r.Batch, slices.Repeat([]int{r.Depth + i + 1}, r.Batch)...))
	}
	return sum
}
