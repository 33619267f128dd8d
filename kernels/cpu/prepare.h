// prepare.h: the input of a linear op in the forms that its matrices want:
// gathered, normalised on the way, then as float32, bfloat16 or int8 blocks.
// A head's part of a row is a row of its own. A chunk is grain rows.
#ifndef RK_PREPARE_H
#define RK_PREPARE_H

#include "phases.h"
#include "tile.h"

// quantise_64 makes one record of x [n], n <= 64; what is missing counts as 0.
#if defined(RK_ISA_AVX512)
static void quantise_64(act_i8 *a, const float *x, int n) {
  uint64_t have = n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
  __m512 v[4];
  for (int i = 0; i < 4; i++) v[i] = _mm512_maskz_loadu_ps((__mmask16)(have >> 16 * i), x + 16 * i);
  __m512 m0 = _mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_abs_ps(v[1])), m1 = _mm512_max_ps(_mm512_abs_ps(v[2]), _mm512_abs_ps(v[3]));
  __m256 t0 = _mm256_max_ps(_mm512_castps512_ps256(m0), _mm512_extractf32x8_ps(m0, 1));
  __m256 t1 = _mm256_max_ps(_mm512_castps512_ps256(m1), _mm512_extractf32x8_ps(m1, 1));
  __m256 t = _mm256_max_ps(_mm256_permute2f128_ps(t0, t1, 0x20), _mm256_permute2f128_ps(t0, t1, 0x31)); // a block a lane
  t = _mm256_max_ps(t, _mm256_shuffle_ps(t, t, 0x4e));
  t = _mm256_max_ps(t, _mm256_shuffle_ps(t, t, 0xb1));
  __m128 top = _mm_max_ps(_mm_unpacklo_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)), _mm_set1_ps(1e-30f)); // b0, b1, b0, b1
  __m128 scale = _mm_mul_ps(top, _mm_set1_ps(1.f / 127.f)), inv = _mm_div_ps(_mm_set1_ps(127.f), top);
  __m512 i0 = _mm512_broadcastss_ps(inv), i1 = _mm512_broadcastss_ps(_mm_movehdup_ps(inv));
  __m128i c[4];
  for (int i = 0; i < 4; i++) c[i] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(v[i], i < 2 ? i0 : i1)));
  // one store: reloading four small ones as 64 bytes could not be forwarded
  __m512i q = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(c[1], c[0])), _mm256_set_m128i(c[3], c[2]), 1);
  _mm512_storeu_si512(a->q, q);
  __m512i s = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), q); // of 4, then of 16 in each lane
  s = _mm512_add_epi32(s, _mm512_shuffle_epi32(s, 0x4e));
  s = _mm512_add_epi32(s, _mm512_shuffle_epi32(s, 0xb1));
  __m128i s16 = _mm512_castsi512_si128(_mm512_permutexvar_epi32(_mm512_castsi128_si512(_mm_set_epi32(12, 8, 4, 0)), s));
  __m128i s32 = _mm_hadd_epi32(s16, s16);
  __m128 sum = _mm_mul_ps(_mm_cvtepi32_ps(s32), scale);
  _mm_storeu_si128((__m128i *)a->neg32, _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(s16, 5)));
  _mm_storel_epi64((__m128i *)a->neg8, _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(s32, 3)));
  _mm_storel_pi((__m64 *)a->scale, scale);
  _mm_storel_pi((__m64 *)a->sum, sum);
  a->sum_bf16 = (uint32_t)_mm_cvtsi128_si32((__m128i)_mm_cvtneps_pbh(sum));
}
#else
static void quantise_64(act_i8 *a, const float *x, int n) {
  float y[64];
  if (n < 64) memset(y, 0, sizeof y), memcpy(y, x, (size_t)n * 4), x = y;
  for (int b = 0; b < 2; b++, x += 32) {
    vf top = vset1(1e-30f);
    for (int i = 0; i < 32; i += VL) top = vmax(top, vmax(vld(x + i), -vld(x + i)));
    float most = vtop(top);
    vf inv = vset1(127.f / most), limit = vset1(127.f);
    int32_t total[2];
    for (int h = 0; h < 2; h++) {
      vi sum = {0};
      for (int i = 16 * h; i < 16 * h + 16; i += VL) {
        // clamped so that NaN becomes a number: converting it is undefined
        vi q = __builtin_convertvector(vround(vmax(vmin(vld(x + i) * inv, limit), -limit)), vi);
        vsb narrow = __builtin_convertvector(q, vsb);
        memcpy(a->q + 32 * b + i, &narrow, VL);
        sum += q;
      }
      total[h] = vsumi(sum);
      a->neg32[2 * b + h] = -32 * total[h];
    }
    a->neg8[b] = -8 * (total[0] + total[1]);
    a->scale[b] = most * (1.f / 127.f);
    a->sum[b] = a->scale[b] * (float)(total[0] + total[1]);
  }
  a->sum_bf16 = bf16_from(a->sum[0]) | (uint32_t)bf16_from(a->sum[1]) << 16;
}
#endif

static void to_bf16(uint16_t *dst, const float *x, int n, int padded) {
  int k = 0;
#if defined(RK_ISA_AVX512)
  for (; k + 32 <= n; k += 32) _mm512_storeu_si512(dst + k, (__m512i)_mm512_cvtne2ps_pbh(vld(x + k + 16), vld(x + k)));
#endif
  for (; k < n; k++) dst[k] = bf16_from(x[k]);
  for (; k < padded; k++) dst[k] = 0;
}

// put_forms makes piece at, of up to 64 elements, in the forms acts.
static void put_forms(int acts, act_i8 *i8, uint16_t *bf16, int64_t at, const float *v, int have) {
  if (acts & RK_ACT_I8) quantise_64(i8 + at, v, have);
  if (acts & RK_ACT_BF16) to_bf16(bf16 + at * 64, v, have, 64);
}

// feed makes columns [k, k+n) of row i of the next op's input; k is a multiple of 64.
static void feed(const phase *ph, int i, int k, const float *v, int n) {
  const int64_t row = (int64_t)i * divide_up(ph->op->out.cols, 64);
  for (int at = 0; at < n; at += 64) put_forms(ph->feed, ph->m->next_i8, ph->m->next_bf16, row + (k + at) / 64, v + at, min_int(n - at, 64));
}

// whole_row is where row i of the input is wanted in float32, NULL: nowhere.
static float *whole_row(const phase *ph, int i) {
  const rk_linear *l = ph->norm;
  if (l && l->keep) return l->kept.p + (int64_t)i * l->kept.ld;
  if (ph->acts & RK_ACT_F32 && (l || ph->gather)) return ph->m->f32 + (int64_t)i * ph->bf16_ld;
  return NULL;
}

static void op_prepare(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_linear *l = ph->norm;
  rk_machine *m = ph->m;
  int n = ph->x.cols;
  (void)thread;
  for (int i = chunk * ph->grain; i < ph->rows && i < (chunk + 1) * ph->grain; i++) {
    int row = ph->gather ? ph->gather[i] : i % ph->head_rows;
    const float *x = ph->x.p + (int64_t)row * ph->x.ld + i / ph->head_rows * ph->head_stride, *norm = l ? l->norm : NULL;
    float mul = l ? rms_factor(x, n, l->eps) : 1, *whole = whole_row(ph, i);
    if (whole) {
      if (l) scale_row(whole, x, n, n, mul, norm);
      else memcpy(whole, x, (size_t)n * 4);
      x = whole, norm = NULL;
    }
    for (int k = 0; k < n; k += 64) { // normalised pieces never leave the first cache
      float piece[64];
      const float *v = x + k;
      int have = n - k < 64 ? n - k : 64;
      if (norm) scale_row(piece, v, have, have, mul, norm + k), v = piece;
      put_forms(ph->acts, m->i8, m->bf16, (int64_t)i * ph->i8_ld + k / 64, v, have);
    }
  }
}

#endif
