// peak.h: what this processor's multipliers and memory can do at most, measured.
//
// One call measures on one thread; whoever wants to know of several starts as
// many at once and adds up.
#ifndef RK_PEAK_H
#define RK_PEAK_H

#include <stddef.h>
#include <stdint.h>

// What multiplies: float32 multiply-adds, products of bfloat16 pairs, and sums of
// products of 8-bit integers, as linear.h uses them on an instruction set.
enum { RK_UNIT_F32, RK_UNIT_BF16, RK_UNIT_I8, RK_UNITS };

// rk_peak_ops is the operations of one call of rk_peak, a multiplication and an
// addition being two; 0: the instruction set has no such unit, or this machine
// does not run it.
double rk_peak_ops(int isa, int unit);
// rk_peak keeps the unit busy with independent chains, some 100 µs of them.
void rk_peak(int isa, int unit);
// rk_peak_read reads bytes, a multiple of 4096, from p in order and returns a sum
// that keeps the reads from being left out.
uint64_t rk_peak_read(const void *p, size_t bytes);

#endif
