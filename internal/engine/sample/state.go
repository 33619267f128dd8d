package sample

import (
	"math"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
)

// State is what sampling remembers of one sequence: its parameters, how many
// tokens it has generated and, where a penalty needs it, which. The zero value
// is an empty sequence sampled greedily.
type State struct {
	params    llm.SamplingParams
	choice    int
	generated int
	bias      []bias
	end       []int32 // ids that MinTokens suppresses

	seen  map[int32]int32 // id -> index into count
	count []occurrence
}

type bias struct {
	id    int32
	value float32
}

// occurrence is a token of the prompt (times 0) or the output (1 or more).
type occurrence struct {
	id, times int32
}

// Reset makes st the state of slot. Its memory is reused, slot's slices are not
// kept.
func (st *State) Reset(slot backend.Slot) {
	st.params, st.choice, st.generated = slot.Params, slot.Choice, 0
	st.bias, st.end, st.count = st.bias[:0], st.end[:0], st.count[:0]
	for id, v := range slot.Params.LogitBias {
		st.bias = append(st.bias, bias{id, v})
	}
	if slot.Params.MinTokens > len(slot.Generated) {
		st.end = append(append(st.end, slot.EOS...), slot.Params.StopIDs...)
	}
	clear(st.seen)
	if st.penalises() {
		for _, id := range slot.Prompt {
			st.note(id)
		}
	}
	for _, id := range slot.Generated {
		st.add(id)
	}
}

// add counts a generated token.
func (st *State) add(id int32) {
	st.generated++
	if st.penalises() {
		st.count[st.note(id)].times++
	}
}

// forget takes back the last adds, of ids, before which known occurrences were
// there.
func (st *State) forget(ids []int32, known int) {
	st.generated -= len(ids)
	if !st.penalises() {
		return
	}
	for _, id := range ids {
		st.count[st.seen[id]].times--
	}
	for _, c := range st.count[known:] {
		delete(st.seen, c.id)
	}
	st.count = st.count[:known]
}

// note returns the index of id's occurrence.
func (st *State) note(id int32) int32 {
	if st.seen == nil {
		st.seen = map[int32]int32{}
	}
	at, ok := st.seen[id]
	if !ok {
		at = int32(len(st.count))
		st.seen[id] = at
		st.count = append(st.count, occurrence{id: id})
	}
	return at
}

func (st *State) repeats() bool {
	return st.params.RepetitionPenalty != 1 && st.params.RepetitionPenalty > 0
}

func (st *State) penalises() bool {
	return st.repeats() || st.params.PresencePenalty != 0 || st.params.FrequencyPenalty != 0
}

func (st *State) tooShort() bool { return st.generated < st.params.MinTokens }

// adjusts reports whether adjust would change anything.
func (st *State) adjusts() bool {
	return len(st.bias) > 0 || len(st.count) > 0 || st.tooShort() && len(st.end) > 0
}

// weighs reports whether a token is drawn by the weights of all.
func (st *State) weighs() bool { return st.params.Temperature >= greedyBelow && st.params.TopK <= 0 }

// adjust applies bias, penalties and min_tokens to a row of logits, and reports
// whether it has hidden a NaN. Ids beyond the row are ignored.
func (st *State) adjust(values []float32) (hidden bool) {
	in := func(id int32) bool { return id >= 0 && int(id) < len(values) }
	for _, b := range st.bias {
		if in(b.id) {
			values[b.id] += b.value
		}
	}
	repetition := float32(st.params.RepetitionPenalty)
	for _, c := range st.count {
		if !in(c.id) {
			continue
		}
		v := &values[c.id]
		if st.repeats() { // CTRL, arXiv 1909.05858, with the sign minded
			if *v > 0 {
				*v /= repetition
			} else {
				*v *= repetition
			}
		}
		if c.times > 0 {
			*v -= float32(st.params.FrequencyPenalty * float64(c.times))
			*v -= float32(st.params.PresencePenalty)
		}
	}
	if st.tooShort() {
		for _, id := range st.end {
			if in(id) {
				hidden = hidden || values[id] != values[id]
				values[id] = float32(math.Inf(-1))
			}
		}
	}
	return hidden
}
