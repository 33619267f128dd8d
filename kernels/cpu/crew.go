package cpu

// #include "crew.h"
import "C"

import "time"

// crew is the judge of how many threads a step uses (crew.h), for tests: it sees
// times only.
type crew struct{ c C.crew }

func newCrew(threads int) *crew {
	w := &crew{}
	C.crew_init(&w.c, C.int(threads))
	return w
}

func (w *crew) threads(rows int) int { return int(C.crew_threads(&w.c, C.int(rows))) }

// done tells of a step: when it ended, how long it took, how much of that its
// caller did not run, and how many threads were late at once.
func (w *crew) done(rows int, end, took, lost time.Duration, late int) {
	s := C.crew_step{end: C.int64_t(end), time: C.int64_t(took), lost: C.int64_t(lost), late: C.int(late)}
	C.crew_done(&w.c, C.int(rows), &s)
}
