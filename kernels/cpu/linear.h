// linear.h: out[r] = x[r]·Wᵀ + b (or +=), and silu(gate)*up of a gated matrix.
//
// What only the next op reads, it gets in the form that it wants, piece by piece.
//
// A phase is one product or, for experts and heads, many. A chunk is some panels
// of one matrix times up to MAX_TOKENS rows. For each
// panel the rows go in tiles; the form of the input decides the tile:
//   F32   weights as they are (F32; F16 and BF16 for one tile) or unpacked to
//         float32, SLICE k at a time; the same arithmetic
//   BF16  pairs of bfloat16 (AVX-512)               linear_packed.h
//   I8    int8 dot products over blocks of 32       linear_packed.h
#ifndef RK_LINEAR_H
#define RK_LINEAR_H

#include "act.h"
#include "prepare.h"
#include "unpack.h"

// linear_part is a chunk, decoded.
typedef struct {
  const phase *ph;
  const product *p;
  const rk_mat *mat;
  int p0, p1, t0, t1; // panels and rows
  scratch *s;
  float *out;         // where output 0 of panel p0 of row t0 goes, and from row to row
  int64_t ld;
} linear_part;

AI int panel_width(const rk_mat *m) { return m->gated ? 16 : 32; } // outputs of a panel

AI vf biased(const float *bias, const float *acc) { return bias ? vld(acc) + vld(bias) : vld(acc); }

// n rows of a panel's sums become rows of the output from o on, ld apart: the
// sums, added or not, or of a gated panel the activation.
static void put_gated(const rk_act *act, const float *bias, const float (*acc)[RK_PANEL], float *o, int64_t ld, int n) {
  for (int r = 0; r < n; r++, o += ld)
    UNROLL for (int i = 0; i < 16; i += VL) vst(o + i, vact(act, biased(bias ? bias + i : 0, acc[r] + i), biased(bias ? bias + 16 + i : 0, acc[r] + 16 + i)));
}
static void put_sums(int add, const float *bias, const float (*acc)[RK_PANEL], float *o, int64_t ld, int n) {
  for (int r = 0; r < n; r++, o += ld)
    UNROLL for (int i = 0; i < 32; i += VL) {
      vf v = biased(bias ? bias + i : 0, acc[r] + i);
      vst(o + i, add ? vld(o + i) + v : v);
    }
}

// finish writes a panel's sums of n rows from t on.
static NOINLINE void finish(const linear_part *lp, int panel, int t, int n, const float (*acc)[RK_PANEL]) {
  const rk_mat *m = lp->mat;
  const int add = lp->p->l->add, width = panel_width(m), have = m->rows - panel * width;
  const float *bias = m->bias ? m->bias + panel * RK_PANEL : 0;
  float *o = lp->out + (t - lp->t0) * lp->ld + (panel - lp->p0) * width;
  if (have >= width) {
    if (m->gated) put_gated(lp->p->act, bias, acc, o, lp->ld, n);
    else put_sums(add, bias, acc, o, lp->ld, n);
    return;
  }
  for (int r = 0; r < n; r++, o += lp->ld) { // the last panel, not whole
    float part[RK_PANEL] = {0};
    if (m->gated) put_gated(lp->p->act, bias, acc + r, part, 0, 1);
    else {
      if (add) memcpy(part, o, (size_t)have * 4);
      put_sums(add, bias, acc + r, part, 0, 1);
    }
    memcpy(o, part, (size_t)have * 4);
  }
}

// One tile over a panel's 32 outputs, PASS vectors at a time, added to acc: the
// sums of slices are added up, which keeps rounding errors of long rows small.
#define TILE_PASSES(T, BODY) \
  for (int v = 0; v < RK_PANEL / VL; v += PASS) { \
    vf c[4][MAX_TILE]; \
    UNROLL for (int r = 0; r < PASS; r++) UNROLL for (int t = 0; t < T; t++) c[r][t] = vset1(0); \
    BODY; \
    UNROLL for (int r = 0; r < PASS; r++) UNROLL for (int t = 0; t < T; t++) vst(acc[t] + (v + r) * VL, vld(acc[t] + (v + r) * VL) + c[r][t]); \
  }
AI void panel_f32(const int T, const float *w, int n, const float *const *a, float (*acc)[RK_PANEL]) {
  TILE_PASSES(T, tile_f32(PASS, T, w + v * VL, RK_PANEL, n, a, c))
}
AI void panel_f16_f32(const int T, const uint8_t *w, int n, const float *const *a, float (*acc)[RK_PANEL]) {
  TILE_PASSES(T, tile_f16_f32(PASS, T, w + v * VL * 2, RK_PANEL, n, a, c))
}
AI void panel_bf16_f32(const int T, const uint8_t *w, int n, const float *const *a, float (*acc)[RK_PANEL]) {
  TILE_PASSES(T, tile_bf16_f32(PASS, T, w + v * VL * 4, RK_PANEL, n, a, c))
}

// input_at is the row of the input that is row t of the product.
AI int64_t input_at(const product *p, int t) { return p->from ? p->from[t] : t; }

// slice_f32 adds k to k+n of a panel to the sums of c rows from t.
static void slice_f32(const linear_part *lp, const uint8_t *panel, int k, int n, int t, int c, int direct) {
  const product *p = lp->p;
  const float *a[MAX_TILE];
  for (int i = 0; i < c; i++) a[i] = p->f32 + input_at(p, t + i) * p->f32_ld + k;
  float (*acc)[RK_PANEL] = lp->s->acc + (t - lp->t0);
  if (!direct) { CALL_TILE(c, panel_f32, lp->s->unpacked, n, a, acc) }
  else if (lp->mat->fmt == RK_F32) { CALL_TILE(c, panel_f32, (const float *)(panel + (int64_t)k * 128), n, a, acc) }
  else if (lp->mat->fmt == RK_F16) { CALL_TILE(c, panel_f16_f32, panel + (int64_t)k * 64, n, a, acc) }
  else { CALL_TILE(c, panel_bf16_f32, panel + (int64_t)k * 64, n, a, acc) }
}

static void linear_f32(const linear_part *lp) {
  const rk_mat *m = lp->mat;
  int direct = m->fmt == RK_F32 || ((m->fmt == RK_F16 || m->fmt == RK_BF16) && lp->t1 - lp->t0 <= TILE);
  for (int p = lp->p0; p < lp->p1; p++) {
    const uint8_t *panel = m->w + p * m->panel_bytes;
    memset(lp->s->acc, 0, sizeof lp->s->acc[0] * (size_t)(lp->t1 - lp->t0));
    for (int k = 0; k < m->cols; k += SLICE) {
      int n = m->cols - k < SLICE ? m->cols - k : SLICE;
      if (!direct) unpack(m->fmt, panel, k, n, lp->s->unpacked);
      for (int t = lp->t0, c; t < lp->t1; t += c) {
        c = lp->t1 - t < TILE ? lp->t1 - t : TILE;
        slice_f32(lp, panel, k, n, t, c, direct);
      }
    }
    finish(lp, p, lp->t0, lp->t1 - lp->t0, (const float (*)[RK_PANEL])lp->s->acc);
  }
}

#if defined(RK_ISA_AVX512) || defined(RK_ISA_AVX2) || defined(RK_ISA_NEON_DOT)
#include "linear_packed.h"
#endif

// product_of finds the product that a chunk belongs to.
static const product *product_of(const phase *ph, int chunk) {
  int lo = 0, hi = ph->nproducts;
  while (hi - lo > 1) {
    int mid = (lo + hi) / 2;
    if (ph->products[mid].chunk <= chunk) lo = mid;
    else hi = mid;
  }
  return &ph->products[lo];
}

// linear_direct computes a part with the tiles of its weights and input.
static void linear_direct(const linear_part *lp) {
#if defined(RK_ISA_AVX512) || defined(RK_ISA_AVX2) || defined(RK_ISA_NEON_DOT)
  if (!lp->ph->m->cfg.float32 && !lp->p->l->exact && FORM_OF[lp->mat->fmt] != RK_ACT_F32) {
    linear_packed(lp);
    return;
  }
#endif
  linear_f32(lp);
}

// linear_fed does so for as many panels at a time as make a piece of the next
// op's input, which never leaves the first caches as float32.
static void linear_fed(linear_part lp) {
  const int width = panel_width(lp.mat), p1 = lp.p1;
  lp.out = lp.s->fed[0], lp.ld = 64;
  for (; lp.p0 < p1; lp.p0 += 64 / width) {
    lp.p1 = min_int(lp.p0 + 64 / width, p1);
    linear_direct(&lp);
    int k = lp.p0 * width, n = min_int(lp.mat->rows - k, 64);
    for (int t = lp.t0; t < lp.t1; t++) feed(lp.ph, t, k, lp.s->fed[t - lp.t0], n);
  }
}

static void op_linear(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const product *pr = product_of(ph, chunk);
  const rk_linear *l = pr->l;
  chunk -= pr->chunk;
  int rows = chunk / pr->panels, p = chunk % pr->panels, i = 0;
  for (;; i++) { // which matrix
    int n = (l->mats[i].panels + pr->panel_chunk[i] - 1) / pr->panel_chunk[i];
    if (p < n) break;
    p -= n;
  }
  const rk_mat *m = &l->mats[i];
  linear_part lp = {ph, pr, m, p * pr->panel_chunk[i], (p + 1) * pr->panel_chunk[i], rows * pr->tokens_chunk, (rows + 1) * pr->tokens_chunk, &ph->m->scratch[thread]};
  lp.p1 = min_int(lp.p1, m->panels), lp.t1 = min_int(lp.t1, pr->rows);
  lp.out = pr->out.p + (int64_t)lp.t0 * pr->out.ld + m->out + lp.p0 * panel_width(m), lp.ld = pr->out.ld;
  if (ph->feed) linear_fed(lp);
  else linear_direct(&lp);
}

#endif
