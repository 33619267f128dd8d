package cuda

import "fmt"

// Sampling says where a step's sampling finds and leaves everything. All that
// changes between steps lies in this memory; kernels do nothing for samples
// beyond *Count.
type Sampling struct {
	Vocab, Stride int // columns of a logits row, and floats from one row to the next
	MaxSeqs       int

	Count   Ptr // int32: samples of this step
	Samples Ptr // int32 [MaxSeqs][4]: slot, logits row, position, masked
	Masks   Ptr // uint32 [MaxSeqs][(Vocab+31)/32]: bit i%32 of word i/32 allows id i
	Logits  Ptr // float32 [rows][Stride]; they are not changed
	Slots   Ptr // [MaxSeqs] of SampleSlot
	Best    Ptr // scratch, SampleBestBytes

	Last   Ptr // int32 [MaxSeqs] by slot: the token last sampled there
	IDs    Ptr // int32 [MaxSeqs] by sample: the token, or SampledNaN or SampledNothing
	Likely Ptr // [MaxSeqs] of LikelyBytes by sample, where the slot asks for them
}

// What Sampling.IDs holds where there is no token.
const (
	SampledNaN     = -1 // the logits hold a NaN
	SampledNothing = -2 // no token is allowed
)

const (
	sampleChunk   = 4096 // ids that a block of sample_best looks through
	sampleThreads = 1024 // of the kernels with one block a row
	maxVocab      = 1 << 20
)

// MaxLikely is the most top log-probabilities of a row.
const MaxLikely = 20

// LikelyBytes is what a row's log-probabilities take: float32 of the sampled
// token's, int32 n, then int32 ids [MaxLikely] and float32 [MaxLikely], likeliest
// first, of which n are filled.
const LikelyBytes = 4 * (2 + 2*MaxLikely)

// SampleBestBytes is the size of Sampling.Best.
func SampleBestBytes(maxSeqs, vocab int) int64 {
	return 8 * int64(maxSeqs) * int64((vocab+sampleChunk-1)/sampleChunk)
}

// Launches samples up to rows samples, in order on one stream: sample_best finds
// every row's best token, sample_draw draws where a slot is not greedy,
// sample_logprobs adds log-probabilities where a slot asks for them.
func (s Sampling) Launches(rows int) ([]Launch, error) {
	switch {
	case s.Vocab < 1 || s.Vocab > maxVocab || s.Stride < s.Vocab:
		return nil, fmt.Errorf("cuda: sampling from %d logits in rows of %d", s.Vocab, s.Stride)
	case rows < 1 || rows > s.MaxSeqs || rows > 65535:
		return nil, fmt.Errorf("cuda: %d samples, at most %d", rows, s.MaxSeqs)
	}
	chunks := (s.Vocab + sampleChunk - 1) / sampleChunk
	input := []uint64{uint64(s.Count), uint64(s.Samples), uint64(s.Slots), uint64(s.Logits), Int(s.Stride), Int(s.Vocab), uint64(s.Masks)}
	with := func(more ...uint64) []uint64 { return append(input[:len(input):len(input)], more...) }
	out := []Launch{{
		Kernel: "sample_best", Grid: [3]uint32{uint32(chunks), uint32(rows), 1}, Block: [3]uint32{256, 1, 1},
		Args: with(uint64(s.Best)),
	}, {
		Kernel: "sample_draw", Grid: [3]uint32{uint32(rows), 1, 1}, Block: [3]uint32{sampleThreads, 1, 1},
		Args: with(uint64(s.Best), Int(chunks), uint64(s.IDs), uint64(s.Last)),
	}, {
		Kernel: "sample_logprobs", Grid: [3]uint32{uint32(rows), 1, 1}, Block: [3]uint32{sampleThreads, 1, 1},
		Args: []uint64{uint64(s.Count), uint64(s.Samples), uint64(s.Slots), uint64(s.Logits), Int(s.Stride), Int(s.Vocab), uint64(s.IDs), uint64(s.Likely)},
	}}
	for _, l := range out {
		if err := l.Check(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
