package guide

// loops finds a text that repeats itself: for every period up to maxPeriod it
// counts how many tokens in a row equal the token a period before.
type loops struct {
	last  [maxPeriod]int32 // the last tokens, in a ring
	run   [maxPeriod + 1]int
	seen  int
	found bool
}

const (
	maxPeriod = 128
	// leastRun is how many tokens at least must have come again, and leastTimes
	// how often a period: real thoughts repeat phrases, not pages.
	leastRun   = 160
	leastTimes = 4
)

func (l *loops) add(id int32) {
	for p := 1; p <= min(maxPeriod, l.seen); p++ {
		if l.last[(l.seen-p)%maxPeriod] != id {
			l.run[p] = 0
			continue
		}
		if l.run[p]++; l.run[p] >= max(leastRun, leastTimes*p) {
			l.found = true
		}
	}
	l.last[l.seen%maxPeriod] = id
	l.seen++
}
