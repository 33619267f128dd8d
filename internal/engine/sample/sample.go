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
	"slices"

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
	own   []Scan  // one: of a row whose logits are adjusted
	one   []job

	adjusted []float32
	kept     []candidate
	bars     []float32
}

// job is a token to be sampled.
type job struct {
	logits []float32
	mask   []uint32
	view   int // index of the row's scan; -1: its logits have to be adjusted first
	plain  int // index of the scan of all logits, for log-probabilities; -1: not wanted
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

// read makes the scans of all jobs at once. Those whose logits their state adjusts
// follow when it is their turn: what comes before them in their slot counts.
func (s *Sampler) read(jobs []job, state func(i int) *State) {
	s.scans = s.scans[:0]
	for i := range jobs {
		j, st := &jobs[i], state(i)
		j.view, j.plain = -1, -1
		if !st.adjusts() {
			j.view = s.scan(j.logits, j.mask)
		}
		if st.params.Logprobs {
			if j.plain = j.view; j.view < 0 || j.mask != nil || st.weighs() {
				j.plain = s.scan(j.logits, nil)
			}
		}
	}
	s.scanner().Maxima(s.scans)
	weighs := false
	for i := range jobs {
		j, st := &jobs[i], state(i)
		if j.view >= 0 && st.weighs() {
			weighs = s.scans[j.view].weigh(1/st.params.Temperature, st.params.MinP) || weighs
		}
		if j.plain >= 0 {
			weighs = s.scans[j.plain].weigh(1, 0) || weighs
		}
	}
	if weighs {
		s.scanner().Sums(s.scans)
	}
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

// weigh asks for the sums of a scan that has its maxima, and reports whether they
// can be had.
func (r *Scan) weigh(invT, minP float64) bool {
	if r.NaN {
		return false
	}
	r.Top, r.InvT, r.MinP = slices.Max(r.Max), invT, minP
	return true
}

// finish samples a job that was read.
func (s *Sampler) finish(out *backend.Sampled, j *job, st *State, pos int32) {
	*out = backend.Sampled{Top: out.Top[:0]}
	var view *Scan
	if j.view < 0 || st.adjusts() {
		view = s.adjust(j, st)
	} else {
		view = &s.scans[j.view]
	}
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

// adjust is the scan of a row under its state's bias and penalties.
func (s *Sampler) adjust(j *job, st *State) *Scan {
	if cap(s.adjusted) < len(j.logits) {
		s.adjusted = s.scanner().Floats(len(j.logits))
	}
	values := s.adjusted[:len(j.logits)]
	copy(values, j.logits)
	hidden := st.adjust(values)
	if s.own == nil {
		s.own = make([]Scan, 1)
	}
	view := &s.own[0]
	view.set(values, j.mask, s.scanner())
	s.scanner().Maxima(s.own)
	if view.NaN = view.NaN || hidden; st.weighs() && view.weigh(1/st.params.Temperature, st.params.MinP) {
		s.scanner().Sums(s.own)
	}
	return view
}

func hasNaN(values []float32) bool {
	for _, v := range values {
		if v != v {
			return true
		}
	}
	return false
}
