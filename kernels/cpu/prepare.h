// prepare.h: the input of a linear op in the forms that its matrices want:
// gathered, normalised on the way, then as float32, bfloat16 or int8 blocks.
// A chunk is grain rows.
#ifndef RK_PREPARE_H
#define RK_PREPARE_H

#include "tile.h"

// x [n], n <= 64, one record; what is missing counts as 0
static void quantise_64(act_i8 *a, const float *x, int n) {
  float sums[2];
  for (int b = 0; b < 2; b++) {
    const float *v = x + 32 * b;
    int w = n - 32 * b < 0 ? 0 : n - 32 * b > 32 ? 32 : n - 32 * b;
    float top = 1e-30f;
    for (int i = 0; i < w; i++) top = fabsf(v[i]) > top ? fabsf(v[i]) : top;
    float inv = 127.f / top;
    int total[2] = {0, 0};
    for (int i = 0; i < 32; i++) {
      float y = i < w ? v[i] * inv : 0;
      // written so that NaN becomes a number: converting it is undefined
      int q = y >= 127.f ? 127 : y > -127.f ? (int)(rintf(y)) : -127;
      a->q[32 * b + i] = (int8_t)q;
      total[i / 16] += q;
    }
    a->scale[b] = top * (1.f / 127.f);
    a->neg8[b] = -8 * (total[0] + total[1]);
    a->neg32[2 * b] = -32 * total[0];
    a->neg32[2 * b + 1] = -32 * total[1];
    a->sum[b] = sums[b] = a->scale[b] * (float)(total[0] + total[1]);
  }
  a->sum_bf16 = bf16_from(sums[0]) | (uint32_t)bf16_from(sums[1]) << 16;
}

static void to_bf16(uint16_t *dst, const float *x, int n, int padded) {
  int k = 0;
#if defined(RK_ISA_AVX512)
  for (; k + 32 <= n; k += 32) _mm512_storeu_si512(dst + k, (__m512i)_mm512_cvtne2ps_pbh(vld(x + k + 16), vld(x + k)));
#endif
  for (; k < n; k++) dst[k] = bf16_from(x[k]);
  for (; k < padded; k++) dst[k] = 0;
}

static void op_prepare(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  const rk_linear *l = &op->linear;
  rk_machine *m = ph->m;
  int n = op->x.cols;
  (void)thread;
  for (int i = chunk * ph->grain; i < ph->rows && i < (chunk + 1) * ph->grain; i++) {
    const float *x = op->x.p + (int64_t)(ph->gather ? ph->gather[i] : i) * op->x.ld;
    if (l->norm || ph->gather) {
      float *y = l->keep ? l->kept.p + (int64_t)i * l->kept.ld : m->f32 + (int64_t)i * ph->f32_ld;
      if (l->norm) scale_row(y, x, n, n, rms_factor(x, n, l->eps), l->norm);
      else memcpy(y, x, (size_t)n * 4);
      x = y;
    }
    if (l->acts & RK_ACT_BF16) to_bf16(m->bf16 + (int64_t)i * ph->bf16_ld, x, n, ph->bf16_ld);
    if (l->acts & RK_ACT_I8)
      for (int g = 0; g < ph->i8_ld; g++) quantise_64(m->i8 + (int64_t)i * ph->i8_ld + g, x + 64 * g, n - 64 * g < 64 ? n - 64 * g : 64);
  }
}

#endif
