package bench

import (
	"time"

	"github.com/reasond/reasond/internal/backend"
)

// Limits are what the machine does at most on so many threads: medians of short
// slices of time, measured before and after what they are compared with.
type Limits struct {
	Threads  int                `json:"threads"`
	Read     float64            `json:"read_gb_s"`
	ReadBest float64            `json:"read_best_gb_s"` // of the fastest twentieth of the slices
	Multiply map[string]float64 `json:"multiply_gop_s"` // by unit: int8, bfloat16, float32
}

// limitsTime is how long the limits of a number of threads are measured in all.
const limitsTime = 1600 * time.Millisecond

// measure is one half of the time.
func measure(be backend.Backend) backend.Limits {
	l, ok := be.(backend.Limited)
	if !ok {
		return backend.Limits{}
	}
	return l.Limits(limitsTime / 2)
}

// limitsOf joins what was measured before and after; nil where nothing was.
func limitsOf(threads int, before, after backend.Limits) *Limits {
	const giga = 1e9
	read := append(before.Read, after.Read...)
	if len(read) == 0 {
		return nil
	}
	l := &Limits{Threads: threads, Read: Median(read) / giga, ReadBest: Quantile(read, 0.95) / giga, Multiply: map[string]float64{}}
	for unit, s := range before.Multiply {
		l.Multiply[unit] = Median(append(s, after.Multiply[unit]...)) / giga
	}
	return l
}

// shares are the parts of the limits that a cost in so many seconds comes to; nil
// where a limit is not known.
func (l *Limits) shares(c Cost, seconds float64) (bandwidth, peak *float64) {
	if l == nil || seconds <= 0 {
		return nil, nil
	}
	if l.Read > 0 {
		v := c.Bytes / seconds / (l.Read * 1e9)
		bandwidth = &v
	}
	ideal := 0.0
	for unit, n := range c.Ops {
		if l.Multiply[unit] == 0 {
			return bandwidth, nil
		}
		ideal += n / (l.Multiply[unit] * 1e9)
	}
	ideal /= seconds
	return bandwidth, &ideal
}
