// linear_avx2.h: int8 tiles, 16 outputs (two vectors) times up to three rows,
// twice for a panel.
//
// vpmaddubsw multiplies unsigned weights with signed inputs and adds pairs in
// int16. As many products are added there as cannot overflow: all 32 of a block
// with 4-bit weights (15*127*2*8 < 2^15), 16 with 5 bits or MXFP4 (24*127*2*4), 8 with 6 bits; then
// they are widened to int32. Whole bytes go as |w| times sign(w)*x: 128*127*2
// fits once. All of it is exact; what follows is as in linear_avx512.h, but
// minima stay float32.
#ifndef RK_LINEAR_AVX2_H
#define RK_LINEAR_AVX2_H

// The input form for each weight format.
#define FORMS { \
  [RK_F32] = RK_ACT_F32, [RK_F16] = RK_ACT_F32, [RK_BF16] = RK_ACT_F32, [RK_Q8_0] = RK_ACT_I8, [RK_Q4_0] = RK_ACT_I8, \
  [RK_Q4_1] = RK_ACT_I8, [RK_Q5_K] = RK_ACT_I8, [RK_Q4_K] = RK_ACT_I8, [RK_Q6_K] = RK_ACT_I8, [RK_MXFP4] = RK_ACT_I8, \
}

typedef __m256i i8_sums[2][TILE];

AI __m256i load256(const void *p) { return _mm256_load_si256(p); }
AI __m256i broadcast32(const void *p) { int32_t x; memcpy(&x, p, 4); return _mm256_set1_epi32(x); }
AI vf broadcast_float(const void *p) { return (vf)broadcast32(p); }

// weights of dword j, 8 rows at byte r of it: low (half 0) or high nibbles with
// their further bits
AI __m256i nibbles(const int F, const uint8_t *q, const uint8_t *high, int j, int r, const int half) {
  __m256i x = load256(q + j * 128 + r);
  x = _mm256_and_si256(half ? _mm256_srli_epi16(x, 4) : x, _mm256_set1_epi8(15));
  if (F == RK_Q5_K) {
    __m256i h = load256(high + r);
    h = half ? _mm256_srli_epi16(h, j) : _mm256_slli_epi16(h, 4 - j);
    x = _mm256_or_si256(x, _mm256_and_si256(h, _mm256_set1_epi8(16)));
  }
  if (F == RK_Q6_K) {
    __m256i h = load256(high + r / 64 * 128 + r % 64 + half * 64);
    h = j == 3 ? _mm256_srli_epi16(h, 2) : _mm256_slli_epi16(h, 4 - 2 * j);
    x = _mm256_or_si256(x, _mm256_and_si256(h, _mm256_set1_epi8(48)));
  }
  if (F == RK_MXFP4) x = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)E2M1_PLUS_12)), x);
  return x;
}

// c += half a group (16 k) times the inputs at a[t] + at; r as in nibbles, for
// the first of the two vectors. Narrow sums are widened every `fold` dwords.
AI void dot_half(const int F, const int T, const uint8_t *q, const uint8_t *high, const int r, const int half, const char *const *a, size_t at, i8_sums c) {
  const int fold = F == RK_Q6_K ? 2 : 4;
  const __m256i ones = _mm256_set1_epi16(1);
  i8_sums n;
  UNROLL for (int j = 0; j < 4; j++) {
    __m256i x0 = nibbles(F, q, high, j, r, half), x1 = nibbles(F, q, high, j, r + 32, half);
    UNROLL for (int t = 0; t < T; t++) {
      __m256i b = broadcast32(a[t] + at + 16 * half + 4 * j);
      __m256i p0 = _mm256_maddubs_epi16(x0, b), p1 = _mm256_maddubs_epi16(x1, b);
      n[0][t] = j % fold ? _mm256_add_epi16(n[0][t], p0) : p0;
      n[1][t] = j % fold ? _mm256_add_epi16(n[1][t], p1) : p1;
      if (j % fold != fold - 1) continue;
      c[0][t] = _mm256_add_epi32(c[0][t], _mm256_madd_epi16(n[0][t], ones));
      c[1][t] = _mm256_add_epi32(c[1][t], _mm256_madd_epi16(n[1][t], ones));
    }
  }
}
// c += a group (32 k) of plain 4-bit weights
AI void dot_nibbles(const int T, const uint8_t *q, const int r, const char *const *a, size_t at, i8_sums c) {
  const __m256i ones = _mm256_set1_epi16(1), m4 = _mm256_set1_epi8(15);
  i8_sums n;
  UNROLL for (int j = 0; j < 4; j++) {
    __m256i x0 = load256(q + j * 128 + r), x1 = load256(q + j * 128 + r + 32);
    UNROLL for (int half = 0; half < 2; half++) {
      __m256i y0 = _mm256_and_si256(half ? _mm256_srli_epi16(x0, 4) : x0, m4), y1 = _mm256_and_si256(half ? _mm256_srli_epi16(x1, 4) : x1, m4);
      UNROLL for (int t = 0; t < T; t++) {
        __m256i b = broadcast32(a[t] + at + 16 * half + 4 * j);
        __m256i p0 = _mm256_maddubs_epi16(y0, b), p1 = _mm256_maddubs_epi16(y1, b);
        n[0][t] = j + half ? _mm256_add_epi16(n[0][t], p0) : p0;
        n[1][t] = j + half ? _mm256_add_epi16(n[1][t], p1) : p1;
      }
    }
  }
  UNROLL for (int t = 0; t < T; t++) {
    c[0][t] = _mm256_add_epi32(c[0][t], _mm256_madd_epi16(n[0][t], ones));
    c[1][t] = _mm256_add_epi32(c[1][t], _mm256_madd_epi16(n[1][t], ones));
  }
}
// c += 32 k of whole bytes, stored with 128 added
AI void dot_bytes(const int T, const uint8_t *q, const int r, const char *const *a, size_t at, i8_sums c) {
  const __m256i ones = _mm256_set1_epi16(1), top = _mm256_set1_epi8(-128);
  UNROLL for (int j = 0; j < 8; j++) {
    UNROLL for (int v = 0; v < 2; v++) {
      __m256i w = _mm256_xor_si256(load256(q + j * 128 + r + 32 * v), top), size = _mm256_abs_epi8(w);
      UNROLL for (int t = 0; t < T; t++) {
        __m256i b = _mm256_sign_epi8(broadcast32(a[t] + at + 4 * j), w);
        c[v][t] = _mm256_add_epi32(c[v][t], _mm256_madd_epi16(_mm256_maddubs_epi16(size, b), ones));
      }
    }
  }
}
// acc += c * weight scale * input scale (at a[t] + at)
AI void add_scaled(const int T, i8_sums c, vf d0, vf d1, const char *const *a, size_t at, vf acc[2][TILE]) {
  UNROLL for (int t = 0; t < T; t++) {
    vf s = broadcast_float(a[t] + at);
    acc[0][t] = vfma(_mm256_cvtepi32_ps(c[0][t]) * d0, s, acc[0][t]);
    acc[1][t] = vfma(_mm256_cvtepi32_ps(c[1][t]) * d1, s, acc[1][t]);
  }
}
// acc += minimum * sum of the inputs of block b
AI void add_minima(const int T, vf m0, vf m1, const char *const *a, size_t at, vf acc[2][TILE]) {
  UNROLL for (int t = 0; t < T; t++) {
    vf s = broadcast_float(a[t] + at);
    acc[0][t] = vfma(m0, s, acc[0][t]), acc[1][t] = vfma(m1, s, acc[1][t]);
  }
}
AI void start_at(const int T, const char *const *a, size_t at, i8_sums c) {
  UNROLL for (int t = 0; t < T; t++) c[0][t] = c[1][t] = broadcast32(a[t] + at);
}
AI void start_zero(const int T, i8_sums c) {
  UNROLL for (int t = 0; t < T; t++) c[0][t] = c[1][t] = _mm256_setzero_si256();
}

// 64 k of Q4_0, Q4_1, Q8_0, MXFP4. r is the byte of the row group in a dword's 128,
// r/2 in halves, r/4 in bytes.
AI void step_64(const int F, const int T, const uint8_t *w, const int r, const char *const *a, size_t o, vf acc[2][TILE]) {
  const int D = F == RK_Q8_0 ? Q8_D : Q4_D;
  for (int b = 0; b < 2; b++) {
    i8_sums c;
    const uint8_t *d = w + D + b * 64 + r / 2;
    if (F == RK_Q4_0) start_at(T, a, o + AT_START(b), c);
    else start_zero(T, c);
    if (F == RK_MXFP4) { // -12 times the sum
      start_at(T, a, o + AT_START(b), c);
      UNROLL for (int t = 0; t < T; t++) c[0][t] = c[1][t] = _mm256_add_epi32(c[0][t], _mm256_srai_epi32(c[0][t], 1));
      dot_half(F, T, w + b * 512, 0, r, 0, a, o + 32 * (size_t)b, c), dot_half(F, T, w + b * 512, 0, r, 1, a, o + 32 * (size_t)b, c);
    } else if (F == RK_Q8_0) dot_bytes(T, w + b * 1024, r, a, o + 32 * (size_t)b, c);
    else dot_nibbles(T, w + b * 512, r, a, o + 32 * (size_t)b, c);
    add_scaled(T, c, vldf16(d), vldf16(d + 16), a, o + AT_SCALE(b), acc);
    if (F == RK_Q4_1) add_minima(T, vldf16(d + Q4_M - Q4_D), vldf16(d + Q4_M - Q4_D + 16), a, o + AT_SUM(b), acc);
  }
}

// 256 k of Q4_K, Q5_K
AI void step_q45_k(const int F, const int T, const uint8_t *w, const int r, const char *const *a, size_t o, vf acc[2][TILE]) {
  for (int g = 0; g < 8; g++) {
    size_t at = o + (size_t)(g / 2) * sizeof(act_i8), x = at + 32 * (size_t)(g % 2);
    const uint8_t *q = w + g * 512, *high = w + Q5K_HIGH + g * 128;
    const uint8_t *sc = w + Q4K_SC + g * 32 + r / 4, *mn = w + Q4K_MN + g * 32 + r / 4;
    const uint8_t *d = w + Q4K_D + r / 2, *min = w + Q4K_DMIN + r / 2;
    i8_sums c;
    start_zero(T, c);
    if (F == RK_Q4_K) dot_nibbles(T, q, r, a, x, c);
    else dot_half(F, T, q, high, r, 0, a, x, c), dot_half(F, T, q, high, r, 1, a, x, c);
    add_scaled(T, c, vldf16(d) * vldu8(sc), vldf16(d + 16) * vldu8(sc + 8), a, at + AT_SCALE(g % 2), acc);
    add_minima(T, -vldf16(min) * vldu8(mn), -vldf16(min + 16) * vldu8(mn + 8), a, at + AT_SUM(g % 2), acc);
  }
}

// 256 k of Q6_K: a scale for each 16
AI void step_q6_k(const int F, const int T, const uint8_t *w, const int r, const char *const *a, size_t o, vf acc[2][TILE]) {
  vf d0 = vldf16(w + Q6K_D + r / 2), d1 = vldf16(w + Q6K_D + r / 2 + 16);
  for (int g = 0; g < 8; g++) {
    size_t at = o + (size_t)(g / 2) * sizeof(act_i8);
    int b = g % 2;
    UNROLL for (int half = 0; half < 2; half++) {
      const uint8_t *sc = w + Q6K_SC + (2 * g + half) * 32 + r / 4;
      i8_sums c;
      start_at(T, a, at + offsetof(act_i8, neg32) + 4 * (size_t)(2 * b + half), c);
      dot_half(F, T, w + g * 512, w + Q6K_HIGH + g * 256, r, half, a, at + 32 * (size_t)b, c);
      add_scaled(T, c, d0 * vlds8(sc), d1 * vlds8(sc + 8), a, at + AT_SCALE(b), acc);
    }
  }
}

// panel_minima: none are kept, reading them is cheap.
static const uint8_t *panel_minima(int fmt, const uint8_t *w, int steps, scratch *s) {
  (void)fmt, (void)w, (void)steps, (void)s;
  return NULL;
}

AI void tile_run_i8(const int F, const int T, const tile *o) {
  const size_t records = F == RK_Q8_0 || F == RK_Q4_0 || F == RK_Q4_1 || F == RK_MXFP4 ? 1 : 4;
  const char *a[TILE];
  UNROLL for (int t = 0; t < T; t++) a[t] = o->a[t];
  size_t end = (size_t)o->steps * records * sizeof(act_i8);
  UNROLL for (int r = 0; r < 128; r += 64) { // row groups
    const uint8_t *w = o->w, *fetch = o->fetch;
    int lines = r ? 0 : o->lines;
    vf acc[2][TILE];
    UNROLL for (int t = 0; t < T; t++) acc[0][t] = acc[1][t] = vset1(0);
    for (size_t at = 0; at < end; at += records * sizeof(act_i8), w += step_bytes_of(F), fetch += lines * 64) {
      fetch_lines(fetch, lines);
      if (records == 1) step_64(F, T, w, r, a, at, acc);
      else if (F == RK_Q6_K) step_q6_k(F, T, w, r, a, at, acc);
      else step_q45_k(F, T, w, r, a, at, acc);
    }
    UNROLL for (int t = 0; t < T; t++) vst(o->acc[t] + r / 4, acc[0][t]), vst(o->acc[t] + r / 4 + 8, acc[1][t]);
  }
}

#endif
