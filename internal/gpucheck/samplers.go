//go:build cuda && cgo && linux

package gpucheck

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	kernels "github.com/reasond/reasond/kernels/cuda"
)

// sampler is a way of sampling that is measured. Bytes are those of the logits,
// read once.
type sampler struct {
	name string
	slot kernels.SampleSlot
}

var sampled = []sampler{
	{"greedy", kernels.SampleSlot{TopP: 1, Least: 1, Repetition: 1, Likely: -1}},
	{"temperature 1", kernels.SampleSlot{TopP: 1, Least: 1, Repetition: 1, Likely: -1, Scale: math.Log2E}},
	{"top-p 0.95", kernels.SampleSlot{TopP: 0.95, Least: 1, Repetition: 1, Likely: -1, Scale: math.Log2E / 0.6}},
	{"top-k 20, top-p 0.95", kernels.SampleSlot{TopP: 0.95, TopK: 20, Least: 1, Repetition: 1, Likely: -1, Scale: math.Log2E / 0.6}},
	{"greedy, 20 log-probabilities", kernels.SampleSlot{TopP: 1, Least: 1, Repetition: 1, Likely: 20}},
}

func samplers(m *measurement) error {
	vocab := pick(m.Rig, 151936, 300)
	for _, rows := range pick(m.Rig, []int{1, 64, 256}, []int{2}) {
		s, err := m.sampling(rows, vocab)
		if err != nil {
			return err
		}
		for _, kind := range sampled {
			slots := make([]byte, 0, rows*kernels.SampleSlotBytes)
			for i := range rows {
				kind.slot.Seed = uint64(i)
				slots = kind.slot.Append(slots)
			}
			if s.Slots, err = m.upload(slots); err != nil {
				return err
			}
			launches, err := s.Launches(rows)
			if err != nil {
				return err
			}
			err = m.add("sample "+kind.name, fmt.Sprintf("%d × %d", rows, vocab), int64(rows)*int64(vocab)*4, [][]kernels.Launch{launches})
			if err != nil {
				return err
			}
		}
		m.release()
	}
	return nil
}

// sampling is rows of logits as a model has them: most far below a few.
func (m *measurement) sampling(rows, vocab int) (kernels.Sampling, error) {
	s := kernels.Sampling{Vocab: vocab, Stride: vocab, MaxSeqs: rows}
	rng := rand.New(rand.NewPCG(1, uint64(vocab)))
	logits, samples := make([]byte, 0, 4*vocab), make([]int32, 0, 4*rows)
	for range vocab {
		logits = binary.LittleEndian.AppendUint32(logits, math.Float32bits(float32(rng.NormFloat64()*2.5)))
	}
	for i := range rows {
		samples = append(samples, int32(i), int32(i), 100, 0)
	}
	var err error
	for _, part := range []struct {
		to    *kernels.Ptr
		bytes int64
	}{
		{&s.Masks, int64(rows) * int64((vocab+31)/32) * 4}, {&s.Logits, int64(rows) * int64(vocab) * 4},
		{&s.Best, kernels.SampleBestBytes(rows, vocab)},
		{&s.Last, int64(4 * rows)}, {&s.IDs, int64(4 * rows)}, {&s.Likely, int64(kernels.LikelyBytes * rows)},
	} {
		if *part.to, err = m.take(part.bytes); err != nil {
			return s, err
		}
	}
	for i := range rows {
		if err := m.stream.CopyIn(s.Logits+kernels.Ptr(4*i*vocab), logits); err != nil {
			return s, err
		}
	}
	if s.Count, err = m.upload(little([]int32{int32(rows)})); err != nil {
		return s, err
	}
	s.Samples, err = m.upload(little(samples))
	return s, err
}
