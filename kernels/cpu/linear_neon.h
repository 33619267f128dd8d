// linear_neon.h: int8 tiles for arm64 with sdot, 16 outputs (four vectors) times
// up to three rows, twice for a panel.
//
// sdot multiplies signed bytes with signed inputs, four k at a time, and sums
// exactly in int32: weights lose their zero point as they are unpacked. What
// follows is as in linear_avx512.h, but minima stay float32. The formats with
// super-blocks are unpacked to float32 (linear.h).
#ifndef RK_LINEAR_NEON_H
#define RK_LINEAR_NEON_H

// The input form for each weight format.
#define FORMS { \
  [RK_F32] = RK_ACT_F32, [RK_F16] = RK_ACT_F32, [RK_BF16] = RK_ACT_F32, [RK_Q8_0] = RK_ACT_I8, [RK_Q4_0] = RK_ACT_I8, \
  [RK_Q4_1] = RK_ACT_I8, [RK_Q5_K] = RK_ACT_F32, [RK_Q4_K] = RK_ACT_F32, [RK_Q6_K] = RK_ACT_F32, [RK_MXFP4] = RK_ACT_I8, \
}

typedef int32x4_t i8_sums[4][TILE];

AI int8x16_t four_k(const void *p) { int32_t x; memcpy(&x, p, 4); return vreinterpretq_s8_s32(vdupq_n_s32(x)); }
AI vf broadcast_float(const void *p) { float x; memcpy(&x, p, 4); return vset1(x); }

// codes of F, one a byte, as signed weights
AI int8x16_t values_of(const int F, uint8x16_t codes) {
  if (F == RK_MXFP4) return vqtbl1q_s8(vld1q_s8(rk_e2m1), codes);
  int8x16_t v = vreinterpretq_s8_u8(codes);
  return F == RK_Q4_0 ? vsubq_s8(v, vdupq_n_s8(8)) : v;
}

// c += block b of 32 k times the inputs at a[t] + at; r is the byte of the row
// group in a dword's 128
AI void dot_block(const int F, const int T, const uint8_t *w, const int r, const char *const *a, size_t at, i8_sums c) {
  UNROLL for (int j = 0; j < (F == RK_Q8_0 ? 8 : 4); j++)
    UNROLL for (int v = 0; v < 4; v++) {
      uint8x16_t x = vld1q_u8(w + j * 128 + r + 16 * v);
      int8x16_t low = F == RK_Q8_0 ? vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80))) : values_of(F, vandq_u8(x, vdupq_n_u8(15)));
      UNROLL for (int t = 0; t < T; t++) c[v][t] = vdotq_s32(c[v][t], low, four_k(a[t] + at + 4 * j));
      if (F == RK_Q8_0) continue;
      int8x16_t high = values_of(F, vshrq_n_u8(x, 4));
      UNROLL for (int t = 0; t < T; t++) c[v][t] = vdotq_s32(c[v][t], high, four_k(a[t] + at + 16 + 4 * j));
    }
}

// 64 k of Q4_0, Q4_1, Q8_0, MXFP4
AI void step_64(const int F, const int T, const uint8_t *w, const int r, const char *const *a, size_t o, vf acc[4][TILE]) {
  const int D = F == RK_Q8_0 ? Q8_D : Q4_D, block = F == RK_Q8_0 ? 1024 : 512;
  for (int b = 0; b < 2; b++) {
    i8_sums c;
    const uint8_t *d = w + D + b * 64 + r / 2;
    UNROLL for (int v = 0; v < 4; v++) UNROLL for (int t = 0; t < T; t++) c[v][t] = vdupq_n_s32(0);
    dot_block(F, T, w + b * block, r, a, o + 32 * (size_t)b, c);
    UNROLL for (int v = 0; v < 4; v++) {
      vf scale = vldf16(d + 8 * v);
      UNROLL for (int t = 0; t < T; t++) acc[v][t] = vfma((vf)vcvtq_f32_s32(c[v][t]) * scale, broadcast_float(a[t] + o + AT_SCALE(b)), acc[v][t]);
      if (F != RK_Q4_1) continue;
      vf min = vldf16(d + Q4_M - Q4_D + 8 * v);
      UNROLL for (int t = 0; t < T; t++) acc[v][t] = vfma(min, broadcast_float(a[t] + o + AT_SUM(b)), acc[v][t]);
    }
  }
}

// panel_minima: none are kept, reading them is cheap.
static const uint8_t *panel_minima(int fmt, const uint8_t *w, int steps, scratch *s) {
  (void)fmt, (void)w, (void)steps, (void)s;
  return NULL;
}

AI void tile_run_i8(const int F, const int T, const tile *o) {
  const char *a[TILE];
  UNROLL for (int t = 0; t < T; t++) a[t] = o->a[t];
  size_t end = (size_t)o->steps * sizeof(act_i8);
  UNROLL for (int r = 0; r < 128; r += 64) { // row groups
    const uint8_t *w = o->w, *fetch = o->fetch;
    int lines = r ? 0 : o->lines;
    vf acc[4][TILE];
    UNROLL for (int v = 0; v < 4; v++) UNROLL for (int t = 0; t < T; t++) acc[v][t] = vset1(0);
    for (size_t at = 0; at < end; at += sizeof(act_i8), w += step_bytes_of(F), fetch += lines * 64) {
      fetch_lines(fetch, lines);
      step_64(F, T, w, r, a, at, acc);
    }
    UNROLL for (int v = 0; v < 4; v++) UNROLL for (int t = 0; t < T; t++) vst(o->acc[t] + r / 4 + 4 * v, acc[v][t]);
  }
}

#endif
