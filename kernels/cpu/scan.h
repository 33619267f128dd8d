// scan.h: passes over rows of logits, by blocks of RK_SCAN_BLOCK values. Their
// results do not depend on the instruction set: maxima know no order, and sums
// are of doubles in the order that rk_scan says, without fused operations.
#ifndef RK_SCAN_KERNEL_H
#define RK_SCAN_KERNEL_H

#include "machine.h"
#include "rk_scan.h"
#include "vec.h"

enum { DL = VL / 2, SCAN_WORDS = RK_SCAN_BLOCK / 32 }; // doubles in a vector, words of a block's mask

typedef double vd __attribute__((vector_size(DL * 8)));
typedef int64_t vl __attribute__((vector_size(DL * 8)));
typedef float vhf __attribute__((vector_size(DL * 4)));
typedef int32_t vhi __attribute__((vector_size(DL * 4)));

AI vd vdset1(double x) { return (vd){} + x; }
AI vd vdselect(vl mask, vd a, vd b) { return (vd)((mask & (vl)a) | (~mask & (vl)b)); }

// a_scan_block is a block with its mask; the row's last one is filled up with
// values that are not allowed.
typedef struct {
  const float *v;
  uint32_t mask[SCAN_WORDS];
  uint32_t any, all;
  float rest[RK_SCAN_BLOCK];
} a_scan_block;

AI void scan_block(a_scan_block *b, const rk_scan *s, int block) {
  int first = block * RK_SCAN_BLOCK, n = s->count - first;
  b->v = s->values + first;
  b->any = 0, b->all = ~0u;
  for (int w = 0; w < SCAN_WORDS; w++) {
    uint32_t m = !s->mask ? ~0u : first / 32 + w < s->words ? s->mask[first / 32 + w] : 0;
    if (n < 32 * (w + 1)) m &= n > 32 * w ? (1u << (n - 32 * w)) - 1 : 0;
    b->mask[w] = m, b->any |= m, b->all &= m;
  }
  if (n >= RK_SCAN_BLOCK) return;
  memcpy(b->rest, b->v, (size_t)n * 4);
  for (int i = n; i < RK_SCAN_BLOCK; i++) b->rest[i] = 0;
  b->v = b->rest;
}

// Lanes i of a vector for which bit i of bits is set.
AI vi scan_bits(uint32_t bits) {
  vi lane;
  for (int i = 0; i < VL; i++) lane[i] = 1 << i;
  return (vi)((lane & (int32_t)bits) != 0);
}
AI vl scan_wide_bits(uint32_t bits) {
  vl lane;
  for (int i = 0; i < DL; i++) lane[i] = 1 << i;
  return (vl)((lane & (int64_t)bits) != 0);
}

static void scan_max_block(const a_scan_block *b, float *max, int *nan) {
  vf none = vset1(-INFINITY), m = none, m2 = none;
  vi bad = (vi){};
  for (int i = 0; i < RK_SCAN_BLOCK; i += 2 * VL) {
    vf x = vld(b->v + i), y = vld(b->v + i + VL);
    bad |= (vi)(x != x) | (vi)(y != y);
    if (b->all != ~0u) {
      x = vselect(scan_bits(b->mask[i / 32] >> i % 32), x, none);
      y = vselect(scan_bits(b->mask[(i + VL) / 32] >> (i + VL) % 32), y, none);
    }
    m = vmax(m, x), m2 = vmax(m2, y);
  }
  *max = vtop(vmax(m, m2));
  if (vsumi(bad)) *nan = 1;
}

// e^x for x <= 0 as package sample has it, operation by operation; constants has
// 2^(j/64) for j < 64, then 64/ln2 and ln2/64.
AI vd scan_exp(vd x, const double *constants) {
  vl low = (vl)(x < -700.0);
  vd c = vdselect(low, vdset1(-700), x);
  vd t = c * constants[64];
  t = t - 0.5;
  vhi k = __builtin_convertvector(t, vhi);
  vd back = __builtin_convertvector(k, vd) * constants[65];
  vd r = c - back;
  vd p = r * (1.0 / 24);
  p = (1.0 / 6) + p;
  p = r * p;
  p = 0.5 + p;
  p = r * p;
  p = 1.0 + p;
  p = r * p;
  p = 1.0 + p;
  vhi j = k & 63;
  vd table;
#if defined(RK_ISA_AVX512)
  table = (vd)_mm512_i32gather_pd((__m256i)j, constants, 8);
#elif defined(RK_ISA_AVX2)
  table = (vd)_mm256_i32gather_pd(constants, (__m128i)j, 8);
#else
  for (int i = 0; i < DL; i++) table[i] = constants[j[i]];
#endif
  vl e = __builtin_convertvector((k >> 6) + 1023, vl) << 52;
  p = table * p;
  p = p * (vd)e;
  return vdselect(low, vdset1(0), p);
}

static double scan_sum_block(const a_scan_block *b, const rk_scan *s, const double *constants) {
  vd lanes[16 / DL];
  for (int l = 0; l < 16 / DL; l++) lanes[l] = vdset1(0);
  vd top = vdset1((double)s->top), inv_t = vdset1(s->inv_t), min_p = vdset1(s->min_p), one = vdset1(1), zero = vdset1(0);
  for (int i = 0; i < RK_SCAN_BLOCK; i += 16) {
    for (int l = 0; l < 16 / DL; l++) {
      int at = i + l * DL;
      vhf f;
      memcpy(&f, b->v + at, sizeof f);
      vd v = __builtin_convertvector(f, vd);
      vd x = v - top;
      x = x * inv_t;
      vd w = vdselect((vl)(v == top), one, scan_exp(x, constants));
      w = vdselect((vl)(w < min_p), zero, w);
      if (b->all != ~0u) w = vdselect(scan_wide_bits(b->mask[at / 32] >> at % 32), w, zero);
      lanes[l] += w;
    }
  }
  double t[16];
  memcpy(t, lanes, sizeof t);
  for (int w = 8; w; w /= 2)
    for (int i = 0; i < w; i++) t[i] += t[i + w];
  return t[0];
}

// A chunk is some blocks of a row. Small numbers count here as everywhere else.
static void op_scan(void *arg, int chunk, int thread) {
  (void)thread;
  const scan_run *run = arg;
  rk_scan *s = &run->rows[chunk / run->pieces];
  if (run->constants && (s->inv_t == 0 || s->nan)) return;
  int first = chunk % run->pieces * RK_SCAN_PIECE, end = first + RK_SCAN_PIECE, nan = 0;
  int blocks = (s->count + RK_SCAN_BLOCK - 1) / RK_SCAN_BLOCK;
  if (end > blocks) end = blocks;
  uint32_t mode = pool_float_mode();
  pool_float_restore(mode & ~0x8040u); // flush nothing
  for (int i = first; i < end; i++) {
    a_scan_block b;
    scan_block(&b, s, i);
    if (!run->constants) scan_max_block(&b, &s->max[i], &nan);
    else s->sums[i] = b.any ? scan_sum_block(&b, s, run->constants) : 0;
  }
  pool_float_restore(mode);
  if (nan) __atomic_store_n(&s->nan, 1, __ATOMIC_RELAXED);
}

#endif
