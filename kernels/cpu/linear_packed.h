// linear_packed.h: linear ops on packed weights as they are, without unpacking:
// the tiles of an instruction set (linear_avx2.h, linear_avx512.h, linear_neon.h)
// over panels.
//
// Weights are fetched ahead: with one tile a panel, some 4 KB ahead in the
// stream; with several, the first four fetch the next panel meanwhile.
#ifndef RK_LINEAR_PACKED_H
#define RK_LINEAR_PACKED_H

enum { AHEAD = 4096, FETCHERS = 4 };

// a tile: weights, the inputs of its rows, where its sums go, and what to fetch
// (lines a step) while it runs
typedef struct {
  const uint8_t *w, *fetch;
  int lines, steps;
  const void *a[MAX_TILE];
  const uint8_t *minima; // of the panel, see panel_minima; NULL: none are kept
  float (*acc)[RK_PANEL];
} tile;

// rk_step_bytes as a constant
AI int step_bytes_of(const int F) {
  return F == RK_Q8_0 ? 2176 : F == RK_Q4_0 || F == RK_MXFP4 ? 1152 : F == RK_Q4_1 ? 1280 : F == RK_Q5_K ? 5760 : F == RK_Q4_K ? 4736 : 6720;
}

// The codes of MXFP4 as bytes: twice their value plus 12, so none is negative.
static const uint8_t E2M1_PLUS_12[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Offsets into a record of the input, for block b.
#define AT_START(b) (offsetof(act_i8, neg8) + 4 * (size_t)(b))
#define AT_SCALE(b) (offsetof(act_i8, scale) + 4 * (size_t)(b))
#define AT_SUM(b) (offsetof(act_i8, sum) + 4 * (size_t)(b))

#if defined(RK_ISA_AVX512)
#include "linear_avx512.h"
#elif defined(RK_ISA_AVX2)
#include "linear_avx2.h"
#else
#include "linear_neon.h"
#endif

static const int FORM_OF[RK_FORMATS] = FORMS;

#define TILE_FN(F, T) static NOINLINE void tile_##F##_##T(const tile *o) { tile_run_i8(RK_##F, T, o); }
#if defined(RK_ISA_AVX512)
#define TILE_FNS(F) TILE_FN(F, 1) TILE_FN(F, 2) TILE_FN(F, 3) TILE_FN(F, 4) TILE_FN(F, 5) TILE_FN(F, 6)
#define TILE_ROW(F) [RK_##F] = {0, tile_##F##_1, tile_##F##_2, tile_##F##_3, tile_##F##_4, tile_##F##_5, tile_##F##_6}
#else
#define TILE_FNS(F) TILE_FN(F, 1) TILE_FN(F, 2) TILE_FN(F, 3)
#define TILE_ROW(F) [RK_##F] = {0, tile_##F##_1, tile_##F##_2, tile_##F##_3}
#endif
TILE_FNS(Q8_0) TILE_FNS(Q4_0) TILE_FNS(Q4_1) TILE_FNS(MXFP4)
#if !defined(RK_ISA_NEON_DOT)
TILE_FNS(Q5_K) TILE_FNS(Q4_K) TILE_FNS(Q6_K)
#endif

static void (*const tile_fns[RK_FORMATS][TILE + 1])(const tile *) = {
#if defined(RK_ISA_AVX512)
  TILE_ROW(BF16),
#endif
#if !defined(RK_ISA_NEON_DOT)
  TILE_ROW(Q5_K), TILE_ROW(Q4_K), TILE_ROW(Q6_K),
#endif
  TILE_ROW(Q8_0), TILE_ROW(Q4_0), TILE_ROW(Q4_1), TILE_ROW(MXFP4),
};

// input_row is row t of the input in the form that the format wants.
static const void *input_row(const linear_part *lp, int t) {
  const phase *ph = lp->ph;
  int64_t row = lp->p->first + input_at(lp->p, t);
  if (lp->mat->fmt == RK_BF16) return ph->m->bf16 + row * ph->bf16_ld;
  return ph->m->i8 + row * ph->i8_ld;
}

// fetch_out asks for the lines that a tile's sums go to, to write on: other
// threads have read them, and it takes a while to take them back.
static void fetch_out(const linear_part *lp, int panel, int t, int n) {
  const int width = panel_width(lp->mat);
  const float *out = lp->out + (t - lp->t0) * lp->ld + (panel - lp->p0) * width;
  for (int r = 0; r < n; r++)
    for (int i = 0; i < width; i += 16) __builtin_prefetch(out + r * lp->ld + i, 1);
}

static void linear_packed(const linear_part *lp) {
  const rk_mat *m = lp->mat;
  const int shared = pool_used(lp->ph->m->pool) > 1;
  const int rows = lp->t1 - lp->t0, tiles = (rows + TILE - 1) / TILE;
  const int step_k = m->fmt == RK_BF16 ? 8 : rk_step_k(m->fmt), steps = (m->cols + step_k - 1) / step_k;
  const int fetchers = tiles < FETCHERS ? tiles : FETCHERS;
  const int share = (int)((m->panel_bytes / 64 + fetchers - 1) / fetchers + steps - 1) / steps; // lines a step
  for (int p = lp->p0; p < lp->p1; p++) {
    const uint8_t *w = m->w + p * m->panel_bytes;
    const uint8_t *minima = tiles > 1 ? panel_minima(m->fmt, w, steps, lp->s) : NULL;
    for (int i = 0, t = lp->t0, n; i < tiles; i++, t += n) {
      n = (lp->t1 - t + tiles - i - 1) / (tiles - i); // 7 rows go 4+3, not 6+1
      tile o = {.w = w, .steps = steps, .minima = minima, .acc = lp->s->acc};
      if (tiles == 1) o.fetch = w + AHEAD, o.lines = (int)(m->panel_bytes / 64 / steps);
      else o.fetch = w + m->panel_bytes + (int64_t)i * steps * share * 64, o.lines = i < fetchers ? share : 0;
      for (int r = 0; r < n; r++) o.a[r] = input_row(lp, t + r);
      if (shared) fetch_out(lp, p, t, n);
      tile_fns[m->fmt][n](&o);
      finish(lp, p, t, n, (const float (*)[RK_PANEL])o.acc);
    }
  }
}

#endif
