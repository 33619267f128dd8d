package cpu

import (
	"testing"
	"time"
)

// office is a machine in numbers: how long a step takes with so many threads,
// and how long of that it waits for how many that are late.
type office func(now time.Duration, threads int) (took, lost time.Duration, late int)

// quiet cores: two threads take half the time of one, and so on.
func quiet(_ time.Duration, threads int) (time.Duration, time.Duration, int) {
	return 12 * time.Millisecond / time.Duration(threads), 0, 0
}

// busy has so many of all cores taken by something else: as long as a thread is
// on one of them, a step waits as long again as one thread alone would work.
func busy(all, taken int) office {
	return func(now time.Duration, threads int) (time.Duration, time.Duration, int) {
		took, _, _ := quiet(now, threads)
		if late := threads - (all - taken); late > 0 {
			return took + 12*time.Millisecond, 12 * time.Millisecond, late
		}
		return took, 0, 0
	}
}

// work has the crew do steps of one row until the clock shows end, and returns
// how many there were and with how many threads the last was done.
func (w *crew) work(now, end time.Duration, o office) (steps, threads int) {
	for ; now < end; steps++ {
		threads = w.threads(1)
		took, lost, late := o(now, threads)
		now += took
		w.done(1, now, took, lost, late)
	}
	return steps, threads
}

func TestACrewThatIsNotLateStaysWhole(t *testing.T) {
	w := newCrew(4)
	for now := time.Duration(0); now < 10*time.Second; {
		took, _, _ := quiet(now, w.threads(1))
		now += took
		w.done(1, now, took, took/20, 0) // waits for chunks that end last are no lateness
		if n := w.threads(1); n != 4 {
			t.Fatalf("%d threads after %v", n, now)
		}
	}
}

func TestABusyCoreIsLeftAtOnceAndTakenBack(t *testing.T) {
	for _, c := range []struct{ all, taken int }{{2, 1}, {8, 1}, {8, 3}} {
		w := newCrew(c.all)
		o := busy(c.all, c.taken)
		alone, _, _ := quiet(0, c.all-c.taken)
		steps, threads := w.work(0, 10*time.Second, o)
		if best := int(10 * time.Second / alone); steps < best*9/10 || threads != c.all-c.taken {
			t.Errorf("%d of %d cores busy: %d steps of %d, %d threads at the end", c.taken, c.all, steps, best, threads)
		}
		if _, threads = w.work(10*time.Second, 12500*time.Millisecond, quiet); threads != c.all {
			t.Errorf("%d of %d cores were busy: %d threads after 2.5 quiet seconds", c.taken, c.all, threads)
		}
	}
}

// Late threads may still be worth their place.
func TestFewerThreadsThatAreSlowerAreNotKept(t *testing.T) {
	w := newCrew(2)
	o := func(_ time.Duration, threads int) (time.Duration, time.Duration, int) {
		if threads == 2 {
			return 8 * time.Millisecond, 2 * time.Millisecond, 1
		}
		return 12 * time.Millisecond, 0, 0
	}
	steps, _ := w.work(0, 10*time.Second, o)
	if most := int(10 * time.Second / (8 * time.Millisecond)); steps < most*98/100 {
		t.Errorf("%d steps of %d", steps, most)
	}
}

// Where the caller itself is taken off its core nobody else is late.
func TestACallerThatIsTakenOffIsNoticed(t *testing.T) {
	w := newCrew(2)
	for now := time.Duration(0); now < time.Second; {
		took, lost := 5*time.Millisecond, time.Duration(0)
		if w.threads(1) == 2 {
			took, lost = 9*time.Millisecond, 4*time.Millisecond
		}
		now += took
		w.done(1, now, took, lost, 0)
	}
	if n := w.threads(1); n != 1 {
		t.Errorf("%d threads", n)
	}
}

func TestStepsOfOtherSizesAreJudgedApart(t *testing.T) {
	w := newCrew(2)
	w.work(0, time.Second, busy(2, 1))
	if one, many := w.threads(1), w.threads(128); one != 1 || many != 2 {
		t.Errorf("%d threads for a row, %d for 128", one, many)
	}
}
