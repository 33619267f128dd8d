// linear_avx512.h: bfloat16 and int8 tiles.
#ifndef RK_LINEAR_AVX512_H
#define RK_LINEAR_AVX512_H

// The input form for each weight format.
#define FORMS { \
  [RK_F32] = RK_ACT_F32, [RK_F16] = RK_ACT_F32, [RK_BF16] = RK_ACT_BF16, [RK_Q8_0] = RK_ACT_F32, [RK_Q4_0] = RK_ACT_F32, \
  [RK_Q4_1] = RK_ACT_F32, [RK_Q5_K] = RK_ACT_F32, [RK_Q4_K] = RK_ACT_F32, [RK_Q6_K] = RK_ACT_F32, \
}
static const int FORM_OF[RK_FORMATS] = FORMS;

AI void panel_bf16(const int T, const uint8_t *w, int n, const uint16_t *const *a, float (*acc)[RK_PANEL]) {
  TILE_PASSES(T, tile_bf16(PASS, T, w + v * VL * 4, RK_PANEL, n, a, c))
}

static void linear_bf16(const linear_part *lp) {
  const phase *ph = lp->ph;
  const rk_mat *m = lp->mat;
  for (int p = lp->p0; p < lp->p1; p++) {
    const uint8_t *w = m->w + p * m->panel_bytes;
    for (int t = lp->t0, c; t < lp->t1; t += c) {
      const uint16_t *a[MAX_TILE];
      float (*acc)[RK_PANEL] = lp->s->acc;
      c = lp->t1 - t < TILE ? lp->t1 - t : TILE;
      for (int i = 0; i < c; i++) a[i] = ph->m->bf16 + (int64_t)(t + i) * ph->bf16_ld;
      memset(acc, 0, sizeof acc[0] * (size_t)c);
      CALL_TILE(c, panel_bf16, w, (m->cols + 1) & ~1, a, acc)
      for (int i = 0; i < c; i++) finish(lp, p, t + i, acc[i]);
    }
  }
}
static void linear_i8(const linear_part *lp) { linear_f32(lp); }

#endif
