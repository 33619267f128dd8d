//go:build cuda && cgo && linux

package cuda

import (
	"math"
	"slices"

	"github.com/reasond/reasond/internal/backend"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// slotState is what the host keeps of a slot.
type slotState struct {
	likely int32 // top log-probabilities that it reports; -1: none, nor the token's
	err    error // why nothing can be sampled for its sequence: there was no memory

	// Device memory that the slot keeps once a sequence has needed it.
	table     kernels.Ptr // uint16 [vocab]; 0: none yet
	lists     kernels.Ptr
	listWords int
}

// binding is a sequence that is about to be bound to a slot: a message to
// sample_set, but for the addresses.
type binding struct {
	slot    int
	state   kernels.SampleSlot
	last    int32
	lists   []uint32
	entries []uint32 // id, value
}

// bind encodes what package sample's State keeps of a slot. Ids beyond the
// vocabulary are left out, as they change no logit.
func (s *sampling) bind(slot int, v backend.Slot) binding {
	p := &v.Params
	b := binding{slot: slot, last: lastToken(v), state: kernels.SampleSlot{
		Seed: p.Seed, Choice: uint64(v.Choice),
		Frequency: p.FrequencyPenalty, Presence: float32(p.PresencePenalty), Repetition: 1,
		TopP: p.TopP, TopK: clamp32(max(p.TopK, 0)), Least: leastWeight(p.MinP), Scale: scale(p.Temperature),
		MinTokens: clamp32(p.MinTokens), Generated: int32(len(v.Generated)),
		Likely: -1,
	}}
	if p.Logprobs {
		b.state.Likely = int32(min(max(p.TopLogprobs, 0), kernels.MaxLikely))
	}
	if p.RepetitionPenalty > 0 {
		b.state.Repetition = float32(p.RepetitionPenalty)
	}
	s.bindLists(&b, v)
	s.bindTable(&b, v)
	return b
}

// bindLists fills in the logit bias and the ids that MinTokens forbids.
func (s *sampling) bindLists(b *binding, v backend.Slot) {
	biased := make([]int32, 0, len(v.Params.LogitBias))
	for id := range v.Params.LogitBias {
		if s.isToken(id) {
			biased = append(biased, id)
		}
	}
	slices.Sort(biased)
	for _, id := range biased {
		b.lists = append(b.lists, uint32(id), math.Float32bits(v.Params.LogitBias[id]))
	}
	b.state.Biases = int32(len(biased))
	if v.Params.MinTokens <= len(v.Generated) {
		return
	}
	ends := slices.DeleteFunc(slices.Concat(v.EOS, v.Params.StopIDs), func(id int32) bool { return !s.isToken(id) })
	slices.Sort(ends)
	ends = slices.Compact(ends)
	for _, id := range ends {
		b.lists = append(b.lists, uint32(id))
	}
	b.state.Ends = int32(len(ends))
}

// bindTable fills in what is known of single tokens.
func (s *sampling) bindTable(b *binding, v backend.Slot) {
	note := func(id int32) *uint16 {
		if s.seen[id] == 0 {
			s.noted = append(s.noted, id)
		}
		return &s.seen[id]
	}
	for i := range b.state.Biases {
		*note(int32(b.lists[2*i])) |= kernels.TableListed
	}
	for _, id := range b.lists[2*b.state.Biases:] {
		*note(int32(id)) |= kernels.TableListed
	}
	if penalises(b.state) {
		b.state.Counts = 1
		for _, id := range v.Prompt {
			if s.isToken(id) {
				*note(id) |= kernels.TableSeen
			}
		}
		for _, id := range v.Generated {
			if !s.isToken(id) {
				continue
			}
			t := note(id)
			*t |= kernels.TableSeen
			if *t&kernels.TableTimes < kernels.TableTimes {
				*t++
			}
		}
	}
	for _, id := range s.noted {
		b.entries = append(b.entries, uint32(id), uint32(s.seen[id]))
		s.seen[id] = 0
	}
	s.noted = s.noted[:0]
}

func penalises(s kernels.SampleSlot) bool {
	return s.Repetition != 1 || s.Presence != 0 || s.Frequency != 0
}

func (s *sampling) isToken(id int32) bool { return id >= 0 && int(id) < s.at.Vocab }

// lastToken is what ^slot stands for before anything is sampled.
func lastToken(v backend.Slot) int32 {
	switch {
	case len(v.Generated) > 0:
		return v.Generated[len(v.Generated)-1]
	case len(v.Prompt) > 0:
		return v.Prompt[len(v.Prompt)-1]
	}
	return 0
}

// greedyBelow is package sample's: dividing by less overflows float32.
const greedyBelow = 1e-5

// scale turns differences of logits into powers of two; 0 stands for greedy.
func scale(temperature float64) float32 {
	if temperature < greedyBelow {
		return 0
	}
	return float32(math.Log2E / temperature)
}

// leastWeight is the weight that min-p asks for, in the device's units.
func leastWeight(minP float64) uint64 {
	return uint64(max(1, math.Ceil(min(minP, 2)*kernels.SampleOne)))
}

func clamp32(v int) int32 { return int32(min(v, math.MaxInt32)) }
