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
	by    Scanner // nil: Plain
	scans []Scan  // of the jobs at hand
	one   []job

	adjusted [][]float32 // rows under their states' bias and penalties
	used     int         // of adjusted, by the jobs at hand
	guesses  []int32     // counted in a state for now
	kept     []candidate
	bars     []float32
}

// job is a token to be sampled.
type job struct {
	logits  []float32
	mask    []uint32
	drafted bool  // the job before this one is of the same state,
	guess   int32 // and this is what it is expected to give

	view   int  // index of the row's scan
	hidden bool // a NaN is not among its values, but was
	plain  int  // index of the scan of all logits, for log-probabilities; -1: not wanted
}

// Row samples the token at position pos from logits and counts it in st. mask
// has bit i of word i/32 set where id i is allowed; nil allows all. logits is
// not changed. out is overwritten; the storage of out.Top is reused. On an
// error out.Err is set and st is as before.
func (s *Sampler) Row(out *backend.Sampled, logits []float32, st *State, pos int32, mask []uint32) {
	s.one = append(s.one[:0], job{logits: logits, mask: mask})
	s.read(s.one, func(int) *State { return st })
	s.finish(out, &s.one[0], st, pos)
}

func (s *Sampler) scanner() Scanner {
	if s.by == nil {
		return Plain{}
	}
	return s.by
}

// read makes the scans of all jobs at once. A drafted one counts what is guessed to
// come before it: where the guess is wrong, nobody asks for what comes after.
func (s *Sampler) read(jobs []job, state func(i int) *State) {
	s.scans, s.used = s.scans[:0], 0
	for i := 0; i < len(jobs); {
		st := state(i)
		known := len(st.count)
		s.guesses = s.guesses[:0]
		s.look(&jobs[i], st)
		for i++; i < len(jobs) && jobs[i].drafted; i++ {
			s.guesses = append(s.guesses, jobs[i].guess)
			st.add(jobs[i].guess)
			s.look(&jobs[i], st)
		}
		st.forget(s.guesses, known)
	}
	s.scanner().Read(s.scans)
}

// look takes the scans that a job needs.
func (s *Sampler) look(j *job, st *State) {
	p, values := &st.params, j.logits
	if st.adjusts() {
		values = s.copy(j.logits)
		j.hidden = st.adjust(values)
	}
	j.view, j.plain = s.scan(values, j.mask), -1
	if st.weighs() {
		s.scans[j.view].InvT, s.scans[j.view].MinP = 1/p.Temperature, p.MinP
	}
	if !p.Logprobs {
		return
	}
	j.plain = j.view
	if st.adjusts() || j.mask != nil || st.weighs() {
		j.plain = s.scan(j.logits, nil)
	}
	s.scans[j.plain].InvT = 1
}

// copy is a copy of a row that lasts until the next read.
func (s *Sampler) copy(logits []float32) []float32 {
	if s.used == len(s.adjusted) {
		s.adjusted = append(s.adjusted, nil)
	}
	row := &s.adjusted[s.used]
	s.used++
	if cap(*row) < len(logits) {
		*row = s.scanner().Floats(len(logits))
	}
	copy((*row)[:len(logits)], logits)
	return (*row)[:len(logits)]
}

// scan takes the next scan and returns its index.
func (s *Sampler) scan(values []float32, mask []uint32) int {
	n := len(s.scans)
	if n < cap(s.scans) {
		s.scans = s.scans[:n+1]
	} else {
		s.scans = append(s.scans, Scan{})
	}
	s.scans[n].set(values, mask, s.scanner())
	return n
}

// finish samples a job that was read.
func (s *Sampler) finish(out *backend.Sampled, j *job, st *State, pos int32) {
	*out = backend.Sampled{Top: out.Top[:0]}
	view := &s.scans[j.view]
	view.NaN = view.NaN || j.hidden
	token, err := view.best()
	if err != nil {
		out.Err = err
		return
	}
	if st.params.Temperature >= greedyBelow {
		token = s.draw(view, view.Values[token], st, int(pos))
	}
	out.Token = token
	if j.plain >= 0 {
		s.logprobs(out, &s.scans[j.plain], st.params.TopLogprobs)
	}
	st.add(token)
}

func hasNaN(values []float32) bool {
	for _, v := range values {
		if v != v {
			return true
		}
	}
	return false
}
