// Package sample turns one row of logits into a token. It is pure: the same
// logits, state, position and mask give the same token, whatever else is in the
// batch. It knows no device, no scheduler and no clock.
//
// Order of operations, as in vLLM: logit bias, penalties, min_tokens, mask,
// temperature, min-p, top-k, top-p. Tokens are ordered by value, the lower id
// first among equals, so that ties never depend on an algorithm's habits.
package sample

import (
	"errors"
	"math"
	"math/bits"

	"github.com/reasond/reasond/internal/backend"
)

// Why a row could not be sampled.
var (
	ErrNaN     = errors.New("sample: the logits hold a NaN")
	ErrNothing = errors.New("sample: no token is allowed")
)

// greedyBelow is the temperature under which sampling is greedy, as in vLLM:
// dividing by less overflows float32.
const greedyBelow = 1e-5

// Sampler holds scratch memory; the zero value is ready. It serves one
// goroutine at a time and any number of states.
type Sampler struct {
	adjusted []float32
	weights  []float64
	kept     []candidate
}

// Row samples the token at position pos from logits and counts it in st. mask
// has bit i of word i/32 set where id i is allowed; nil allows all. logits is
// not changed. out is overwritten; the storage of out.Top is reused. On an
// error out.Err is set and st is as before.
func (s *Sampler) Row(out *backend.Sampled, logits []float32, st *State, pos int32, mask []uint32) {
	*out = backend.Sampled{Top: out.Top[:0]}
	token, err := s.token(logits, st, int(pos), mask)
	if err != nil {
		out.Err = err
		return
	}
	out.Token = token
	if st.params.Logprobs {
		s.logprobs(out, logits, st.params.TopLogprobs)
	}
	st.add(token)
}

func (s *Sampler) token(logits []float32, st *State, pos int, mask []uint32) (int32, error) {
	values := logits
	if mask != nil && !st.adjusts() && st.params.Temperature < greedyBelow {
		return argmaxOf(logits, mask)
	}
	if mask != nil || st.adjusts() {
		// Adjusting can hide a NaN (a mask overwrites it), so it is looked for before.
		if hasNaN(logits) {
			return 0, ErrNaN
		}
		s.adjusted = append(s.adjusted[:0], logits...)
		values = s.adjusted
		st.adjust(values)
		applyMask(values, mask)
	}
	best, err := argmax(values)
	if err != nil || st.params.Temperature < greedyBelow {
		return best, err
	}
	return s.draw(values, values[best], st, pos), nil
}

// argmax is the id of the largest value, the lowest one among equals.
func argmax(values []float32) (int32, error) {
	best, at, nan := float32(math.Inf(-1)), -1, false
	for i, v := range values {
		if v > best {
			best, at = v, i
		}
		if v != v {
			nan = true
		}
	}
	switch {
	case nan:
		return 0, ErrNaN
	case at < 0:
		return 0, ErrNothing
	}
	return int32(at), nil
}

// argmaxOf is argmax over the ids that the mask allows, in one pass. A NaN counts
// wherever it stands.
func argmaxOf(values []float32, mask []uint32) (int32, error) {
	best, at := float32(math.Inf(-1)), -1
	for i := 0; i < len(values); i += 32 {
		chunk := values[i:min(i+32, len(values))]
		if hasNaN(chunk) {
			return 0, ErrNaN
		}
		word := uint32(0)
		if i/32 < len(mask) {
			word = mask[i/32]
		}
		for word &= uint32(1<<len(chunk) - 1); word != 0; word &= word - 1 {
			if j := bits.TrailingZeros32(word); chunk[j] > best {
				best, at = chunk[j], i+j
			}
		}
	}
	if at < 0 {
		return 0, ErrNothing
	}
	return int32(at), nil
}

func hasNaN(values []float32) bool {
	for _, v := range values {
		if v != v {
			return true
		}
	}
	return false
}

func applyMask(values []float32, mask []uint32) {
	if mask == nil {
		return
	}
	none := float32(math.Inf(-1))
	for i := 0; i < len(values); i += 32 {
		word := uint32(0)
		if i/32 < len(mask) {
			word = mask[i/32]
		}
		if word == math.MaxUint32 {
			continue
		}
		for j := range values[i:min(i+32, len(values))] {
			if word>>j&1 == 0 {
				values[i+j] = none
			}
		}
	}
}
