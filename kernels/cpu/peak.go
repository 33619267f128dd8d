package cpu

// #include <string.h>
// #include "peak.h"
// #include "rk.h"
import "C"

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// Unit is what multiplies weights: the instructions that a format's kernels rest
// on.
type Unit int

// The units. An operation is a multiplication or an addition of one of them.
const (
	UnitF32  Unit = C.RK_UNIT_F32
	UnitBF16 Unit = C.RK_UNIT_BF16
	UnitI8   Unit = C.RK_UNIT_I8
	Units         = C.RK_UNITS
)

// Unit is what a format's kernels multiply with.
func (m *Machine) Unit(format int) Unit {
	switch m.inputForm(format) {
	case formBF16:
		return UnitBF16
	case formI8:
		return UnitI8
	}
	return UnitF32
}

// Peak is what a unit of an instruction set does on so many threads, measured for
// about that time: operations a second of each of slices of 0.1 ms or so, all
// threads together. It is empty where there is no such unit.
func Peak(isa ISA, u Unit, threads int, d time.Duration) []float64 {
	ops := float64(C.rk_peak_ops(C.int(isa), C.int(u)))
	if ops == 0 {
		return nil
	}
	return together(threads, d, ops, func(int) { C.rk_peak(C.int(isa), C.int(u)) })
}

// ReadSpeed is the bytes a second that threads read from memory that no cache
// holds, each a part of its own in order, in slices as with Peak. cache is the
// bytes of the last cache. It is empty where there is no memory for it.
func ReadSpeed(threads int, cache int64, d time.Duration) []float64 {
	const least, slice = 128 << 20, 4 << 20
	part := max(max(least, 4*cache)/int64(threads)/slice, 1) * slice
	arena := C.rk_arena_new() // as weights have it: on huge pages
	defer C.rk_arena_free(arena)
	memory := make([]unsafe.Pointer, threads)
	for i := range memory {
		if memory[i] = C.rk_arena_alloc_huge(arena, C.size_t(part)); memory[i] == nil {
			return nil
		}
		C.memset(memory[i], 1, C.size_t(part))
	}
	next := make([]int64, threads)
	return together(threads, d, slice, func(i int) {
		C.rk_peak_read(unsafe.Add(memory[i], next[i]), slice)
		next[i] = (next[i] + slice) % part
	})
}

// together runs work on each of some threads at once for about that time and
// returns speeds by rank: the slowest slices of all threads added up, the next
// ones, and so on.
func together(threads int, d time.Duration, amount float64, work func(thread int)) []float64 {
	speeds := make([][]float64, threads)
	var begin, wait sync.WaitGroup
	begin.Add(threads)
	for i := range threads {
		wait.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			work(i) // caches and clocks warm up
			begin.Done()
			begin.Wait()
			end := time.Now().Add(d)
			for start := time.Now(); start.Before(end); {
				work(i)
				now := time.Now()
				speeds[i] = append(speeds[i], amount/now.Sub(start).Seconds())
				start = now
			}
		})
	}
	wait.Wait()
	least := len(speeds[0])
	for i := range speeds {
		slices.Sort(speeds[i])
		least = min(least, len(speeds[i]))
	}
	total := make([]float64, least)
	for i := range speeds {
		for r := range total {
			total[r] += speeds[i][r*len(speeds[i])/least]
		}
	}
	return total
}
