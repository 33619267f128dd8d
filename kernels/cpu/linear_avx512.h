// linear_avx512.h: bfloat16 and int8 tiles, 32 outputs (two vectors) times up to
// six rows.
//
// int8: vpdpbusd multiplies unsigned weights with signed inputs, four k at a
// time, and sums exactly in int32. A weight format's zero point costs nothing:
// the accumulator starts at -zero * sum(inputs) of the block, which the input's
// record holds. Per block of 32, the integer sum times the weights' scale times
// the input's scale is added to the float sum, blocks in order, whatever the
// tile. What limits the tile are the two pipes that multiply: of 21 operations
// on them for 64 k and 16 outputs, 16 are dot products (Q4_1; of 20 for Q4_0).
#ifndef RK_LINEAR_AVX512_H
#define RK_LINEAR_AVX512_H

// The input form for each weight format.
#define FORMS { \
  [RK_F32] = RK_ACT_F32, [RK_F16] = RK_ACT_F32, [RK_BF16] = RK_ACT_BF16, [RK_Q8_0] = RK_ACT_I8, [RK_Q4_0] = RK_ACT_I8, \
  [RK_Q4_1] = RK_ACT_I8, [RK_Q5_K] = RK_ACT_I8, [RK_Q4_K] = RK_ACT_I8, [RK_Q6_K] = RK_ACT_I8, [RK_MXFP4] = RK_ACT_I8, \
}

// ---- bfloat16 -----------------------------------------------------------------

// A step is 8 k, 512 B of weights. Pairs of k go in turn to two sums, which meet
// at the end: a sum takes its next product only when the last is done, and one
// sum a weight vector would keep the multipliers waiting.
AI void tile_run_bf16(const int T, const tile *o) {
  __m512 c[2][2][MAX_TILE];
  const uint16_t *a[MAX_TILE];
  const uint8_t *w = o->w, *fetch = o->fetch;
  int lines = o->lines;
  UNROLL for (int t = 0; t < T; t++) a[t] = o->a[t], c[0][0][t] = c[0][1][t] = c[1][0][t] = c[1][1][t] = _mm512_setzero_ps();
  for (int s = 0; s < o->steps; s++, fetch += lines * 64) {
    fetch_lines(fetch, lines);
    UNROLL for (int i = 0; i < 4; i++, w += 128) {
      __m512bh x0 = (__m512bh)_mm512_load_si512(w), x1 = (__m512bh)_mm512_load_si512(w + 64);
      UNROLL for (int t = 0; t < T; t++) {
        __m512bh b = (__m512bh)broadcast32(a[t] + 8 * s + 2 * i);
        c[i % 2][0][t] = _mm512_dpbf16_ps(c[i % 2][0][t], x0, b), c[i % 2][1][t] = _mm512_dpbf16_ps(c[i % 2][1][t], x1, b);
      }
    }
  }
  UNROLL for (int t = 0; t < T; t++) _mm512_storeu_ps(o->acc[t], c[0][0][t] + c[1][0][t]), _mm512_storeu_ps(o->acc[t] + 16, c[0][1][t] + c[1][1][t]);
}

// ---- int8 ---------------------------------------------------------------------

// weights of dword j, row group g, of a group of 32: its low (half 0) or high
// (half 1) nibbles with their further bits
AI __m512i nibbles(const int F, const uint8_t *q, const uint8_t *high, int j, int rg, const int half) {
  __m512i x = _mm512_load_si512(q + j * 128 + rg * 64);
  x = _mm512_and_si512(half ? _mm512_srli_epi16(x, 4) : x, _mm512_set1_epi8(15));
  if (F == RK_Q5_K) {
    __m512i h = _mm512_load_si512(high + rg * 64);
    h = half ? _mm512_srli_epi16(h, (unsigned)j) : _mm512_slli_epi16(h, (unsigned)(4 - j));
    x = _mm512_or_si512(x, _mm512_and_si512(h, _mm512_set1_epi8(16)));
  }
  if (F == RK_Q6_K) {
    __m512i h = _mm512_load_si512(high + rg * 128 + half * 64);
    h = j == 3 ? _mm512_srli_epi16(h, 2) : _mm512_slli_epi16(h, (unsigned)(4 - 2 * j));
    x = _mm512_or_si512(x, _mm512_and_si512(h, _mm512_set1_epi8(48)));
  }
  return x;
}

// c += half a group (16 k) of nibbles times the inputs at a[t] + at
AI void dot_half(const int F, const int T, const uint8_t *q, const uint8_t *high, const int half, const char *const *a, size_t at, __m512i c[2][MAX_TILE]) {
  UNROLL for (int j = 0; j < 4; j++) {
    __m512i x0 = nibbles(F, q, high, j, 0, half), x1 = nibbles(F, q, high, j, 1, half);
    UNROLL for (int t = 0; t < T; t++) {
      __m512i b = broadcast32(a[t] + at + 16 * half + 4 * j);
      c[0][t] = _mm512_dpbusd_epi32(c[0][t], x0, b), c[1][t] = _mm512_dpbusd_epi32(c[1][t], x1, b);
    }
  }
}
// c += 32 k of whole bytes
AI void dot_bytes(const int T, const uint8_t *q, const char *const *a, size_t at, __m512i c[2][MAX_TILE]) {
  UNROLL for (int j = 0; j < 8; j++) {
    __m512i x0 = _mm512_load_si512(q + j * 128), x1 = _mm512_load_si512(q + j * 128 + 64);
    UNROLL for (int t = 0; t < T; t++) {
      __m512i b = broadcast32(a[t] + at + 4 * j);
      c[0][t] = _mm512_dpbusd_epi32(c[0][t], x0, b), c[1][t] = _mm512_dpbusd_epi32(c[1][t], x1, b);
    }
  }
}
// acc += c * weight scale d * input scale (at a[t] + at)
AI void add_scaled(const int T, __m512i c[2][MAX_TILE], __m512 d0, __m512 d1, const char *const *a, size_t at, __m512 acc[2][MAX_TILE]) {
  UNROLL for (int t = 0; t < T; t++) {
    __m512 s = (__m512)broadcast32(a[t] + at);
    acc[0][t] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(c[0][t]), d0), s, acc[0][t]);
    acc[1][t] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(c[1][t]), d1), s, acc[1][t]);
  }
}

// { m'[block 0], m'[block 1] } as bfloat16 for the 16 rows of a row group: the
// minima of Q4_1 as pairs of m' = m + 8d. The zero point 8 is in the
// accumulators' start, and m', the middle of the block's values, is small, so
// that bfloat16 is enough for it beside int8 inputs.
AI __m512i minima_pair(const uint8_t *w) {
  __m512 eight = _mm512_set1_ps(8);
  __m512i round = _mm512_set1_epi32(0x8000);
  __m512i x = (__m512i)_mm512_fmadd_ps(vldf16(w + Q4_D), eight, vldf16(w + Q4_M));
  __m512i y = (__m512i)_mm512_fmadd_ps(vldf16(w + Q4_D + 64), eight, vldf16(w + Q4_M + 64));
  x = _mm512_srli_epi32(_mm512_add_epi32(x, round), 16);
  return _mm512_mask_blend_epi16(0xaaaaaaaa, x, _mm512_add_epi32(y, round));
}
// panel_minima computes all of a panel's pairs, for more than one tile to use.
static const uint8_t *panel_minima(int fmt, const uint8_t *w, int steps, scratch *s) {
  uint8_t *pairs = (uint8_t *)s->unpacked; // no weights are unpacked here
  if (fmt != RK_Q4_1 || (size_t)steps * 128 > sizeof s->unpacked) return NULL;
  for (int i = 0; i < steps; i++, w += step_bytes_of(RK_Q4_1)) {
    _mm512_store_si512(pairs + i * 128, minima_pair(w));
    _mm512_store_si512(pairs + i * 128 + 64, minima_pair(w + 32));
  }
  return pairs;
}

// codes of F as weights
AI __m512i values_of(const int F, __m512i codes) {
  if (F != RK_MXFP4) return codes;
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)E2M1_PLUS_12)), codes);
}

// 64 k of Q4_0, Q4_1, Q8_0, MXFP4
AI void step_64(const int F, const int T, const uint8_t *w, const uint8_t *minima, const char *const *a, size_t o, __m512 acc[2][MAX_TILE]) {
  const int D = F == RK_Q8_0 ? Q8_D : Q4_D;
  UNROLL for (int b = 0; b < 2; b++) {
    __m512i c[2][MAX_TILE];
    UNROLL for (int t = 0; t < T; t++) {
      __m512i start = broadcast32(a[t] + o + AT_START(b));
      c[0][t] = c[1][t] = F == RK_Q8_0 ? _mm512_slli_epi32(start, 4) : F == RK_MXFP4 ? _mm512_add_epi32(start, _mm512_srai_epi32(start, 1)) : start;
    }
    if (F == RK_Q8_0) dot_bytes(T, w + b * 1024, a, o + 32 * (size_t)b, c);
    else {
      UNROLL for (int j = 0; j < 4; j++) {
        __m512i x0 = _mm512_load_si512(w + b * 512 + j * 128), x1 = _mm512_load_si512(w + b * 512 + j * 128 + 64), m4 = _mm512_set1_epi8(15);
        __m512i l0 = values_of(F, _mm512_and_si512(x0, m4)), l1 = values_of(F, _mm512_and_si512(x1, m4));
        UNROLL for (int t = 0; t < T; t++) {
          __m512i y = broadcast32(a[t] + o + 32 * b + 4 * j);
          c[0][t] = _mm512_dpbusd_epi32(c[0][t], l0, y), c[1][t] = _mm512_dpbusd_epi32(c[1][t], l1, y);
        }
        __m512i h0 = values_of(F, _mm512_and_si512(_mm512_srli_epi16(x0, 4), m4)), h1 = values_of(F, _mm512_and_si512(_mm512_srli_epi16(x1, 4), m4));
        UNROLL for (int t = 0; t < T; t++) {
          __m512i y = broadcast32(a[t] + o + 32 * b + 16 + 4 * j);
          c[0][t] = _mm512_dpbusd_epi32(c[0][t], h0, y), c[1][t] = _mm512_dpbusd_epi32(c[1][t], h1, y);
        }
      }
    }
    add_scaled(T, c, vldf16(w + D + b * 64), vldf16(w + D + b * 64 + 32), a, o + AT_SCALE(b), acc);
  }
  if (F != RK_Q4_1) return;
  __m512bh m0 = (__m512bh)(minima ? _mm512_load_si512(minima) : minima_pair(w));
  __m512bh m1 = (__m512bh)(minima ? _mm512_load_si512(minima + 64) : minima_pair(w + 32));
  UNROLL for (int t = 0; t < T; t++) {
    __m512bh s = (__m512bh)broadcast32(a[t] + o + offsetof(act_i8, sum_bf16));
    acc[0][t] = _mm512_dpbf16_ps(acc[0][t], m0, s), acc[1][t] = _mm512_dpbf16_ps(acc[1][t], m1, s);
  }
}

// 256 k of Q4_K, Q5_K
AI void step_q45_k(const int F, const int T, const uint8_t *w, const char *const *a, size_t o, __m512 acc[2][MAX_TILE]) {
  __m512 d0 = vldf16(w + Q4K_D), d1 = vldf16(w + Q4K_D + 32), n0 = -vldf16(w + Q4K_DMIN), n1 = -vldf16(w + Q4K_DMIN + 32);
  for (int g = 0; g < 8; g++) {
    size_t at = o + (size_t)(g / 2) * sizeof(act_i8);
    int b = g % 2;
    const uint8_t *q = w + g * 512, *high = w + Q5K_HIGH + g * 128, *sc = w + Q4K_SC + g * 32, *mn = w + Q4K_MN + g * 32;
    __m512i c[2][MAX_TILE];
    UNROLL for (int t = 0; t < T; t++) c[0][t] = c[1][t] = _mm512_setzero_si512();
    dot_half(F, T, q, high, 0, a, at + 32 * (size_t)b, c);
    dot_half(F, T, q, high, 1, a, at + 32 * (size_t)b, c);
    add_scaled(T, c, d0 * vldu8(sc), d1 * vldu8(sc + 16), a, at + AT_SCALE(b), acc);
    __m512 m0 = n0 * vldu8(mn), m1 = n1 * vldu8(mn + 16);
    UNROLL for (int t = 0; t < T; t++) {
      __m512 s = (__m512)broadcast32(a[t] + at + AT_SUM(b));
      acc[0][t] = _mm512_fmadd_ps(m0, s, acc[0][t]), acc[1][t] = _mm512_fmadd_ps(m1, s, acc[1][t]);
    }
  }
}

// 256 k of Q6_K: a scale for each 16
AI void step_q6_k(const int F, const int T, const uint8_t *w, const char *const *a, size_t o, __m512 acc[2][MAX_TILE]) {
  __m512 d0 = vldf16(w + Q6K_D), d1 = vldf16(w + Q6K_D + 32);
  for (int g = 0; g < 8; g++) {
    size_t at = o + (size_t)(g / 2) * sizeof(act_i8);
    int b = g % 2;
    UNROLL for (int half = 0; half < 2; half++) {
      const uint8_t *sc = w + Q6K_SC + (2 * g + half) * 32;
      __m512i c[2][MAX_TILE];
      UNROLL for (int t = 0; t < T; t++)
        c[0][t] = c[1][t] = broadcast32(a[t] + at + offsetof(act_i8, neg32) + 4 * (size_t)(2 * b + half));
      dot_half(F, T, w + g * 512, w + Q6K_HIGH + g * 256, half, a, at + 32 * (size_t)b, c);
      add_scaled(T, c, d0 * vlds8(sc), d1 * vlds8(sc + 16), a, at + AT_SCALE(b), acc);
    }
  }
}

AI void tile_run_i8(const int F, const int T, const tile *o) {
  const size_t records = F == RK_Q8_0 || F == RK_Q4_0 || F == RK_Q4_1 || F == RK_MXFP4 ? 1 : 4;
  __m512 acc[2][MAX_TILE];
  const char *a[MAX_TILE];
  const uint8_t *w = o->w, *fetch = o->fetch, *minima = o->minima;
  int lines = o->lines;
  UNROLL for (int t = 0; t < T; t++) a[t] = o->a[t], acc[0][t] = acc[1][t] = _mm512_setzero_ps();
  size_t end = (size_t)o->steps * records * sizeof(act_i8);
  for (size_t at = 0; at < end; at += records * sizeof(act_i8), w += step_bytes_of(F), fetch += lines * 64) {
    fetch_lines(fetch, lines);
    if (records == 1) step_64(F, T, w, minima, a, at, acc), minima = minima ? minima + 128 : NULL;
    else if (F == RK_Q6_K) step_q6_k(F, T, w, a, at, acc);
    else step_q45_k(F, T, w, a, at, acc);
  }
  UNROLL for (int t = 0; t < T; t++) _mm512_storeu_ps(o->acc[t], acc[0][t]), _mm512_storeu_ps(o->acc[t] + 16, acc[1][t]);
}

#define TILE_FN_BF16(T) static NOINLINE void tile_BF16_##T(const tile *o) { tile_run_bf16(T, o); }
TILE_FN_BF16(1) TILE_FN_BF16(2) TILE_FN_BF16(3) TILE_FN_BF16(4) TILE_FN_BF16(5) TILE_FN_BF16(6)

#endif
