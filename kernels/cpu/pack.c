// pack.c: from the rows of a model file to panels, and one row back. The
// layouts are drawn in pack.h; the file's blocks in package quant.
#include "pack.h"
#include "rk.h"
#include <math.h>
#include <string.h>

void rk_mat_init(rk_mat *m, int fmt, int rows, int cols, int gated) {
  int step = rk_step_k(fmt);
  memset(m, 0, sizeof *m);
  m->fmt = fmt, m->rows = rows, m->cols = cols, m->gated = gated;
  m->panels = gated ? (rows + 15) / 16 : (rows + 31) / 32;
  m->panel_bytes = (int64_t)((cols + step - 1) / step) * rk_step_bytes(fmt);
}

static uint16_t load16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static float half(const uint8_t *p) {
  uint16_t h = load16(p);
  float f = h >> 10 & 31 ? ldexpf((float)(1024 + (h & 1023)), (h >> 10 & 31) - 25) : ldexpf((float)(h & 1023), -24);
  if ((h >> 10 & 31) == 31) f = h & 1023 ? NAN : INFINITY;
  return h & 0x8000 ? -f : f;
}
static float bf16(const uint8_t *p) {
  uint32_t u = (uint32_t)load16(p) << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

// the byte of a 4-bit group, row r, that holds elements k and k+16 (k < 16)
static int nibble(int r, int k) { return k / 4 * 128 + r * 4 + k % 4; }

// ---- packing one row: src in the file's layout, w the panel, r the row in it --

static void copy4(uint8_t *dst, const uint8_t *src) { memcpy(dst, src, 4); }

static void pack_plain(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  int cols = m->cols, k = 0;
  switch (m->fmt) {
    case RK_F32: for (; k < cols; k++) copy4(w + (size_t)k * 128 + r * 4, src + (size_t)k * 4); break;
    case RK_F16: for (; k < cols; k++) memcpy(w + (size_t)k * 64 + r * 2, src + (size_t)k * 2, 2); break;
    case RK_BF16:
      for (; k + 1 < cols; k += 2) copy4(w + (size_t)k * 64 + r * 4, src + (size_t)k * 2);
      if (k < cols) memcpy(w + (size_t)k * 64 + r * 4, src + (size_t)k * 2, 2);
  }
}
static void pack_q8_0(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  for (int k = 0; k < m->cols; k += 32, src += 34) {
    uint8_t *s = w + (size_t)(k / 64) * 2176;
    int b = k / 32 % 2;
    for (int i = 0; i < 32; i += 4) {
      uint32_t q;
      memcpy(&q, src + 2 + i, 4);
      q ^= 0x80808080;
      memcpy(s + b * 1024 + i / 4 * 128 + r * 4, &q, 4);
    }
    memcpy(s + Q8_D + b * 64 + r * 2, src, 2);
  }
}
static void pack_q4(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  int one = m->fmt == RK_Q4_1;
  for (int k = 0; k < m->cols; k += 32, src += one ? 20 : 18) {
    uint8_t *s = w + (size_t)(k / 64) * (one ? 1280 : 1152);
    int b = k / 32 % 2;
    for (int i = 0; i < 16; i += 4) copy4(s + b * 512 + nibble(r, i), src + (one ? 4 : 2) + i);
    memcpy(s + Q4_D + b * 64 + r * 2, src, 2);
    if (one) memcpy(s + Q4_M + b * 64 + r * 2, src + 2, 2);
  }
}
static void pack_mxfp4(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  for (int k = 0; k < m->cols; k += 32, src += 17) {
    uint8_t *s = w + (size_t)(k / 64) * 1152;
    int b = k / 32 % 2, e = src[0] - 128; // d = 2^e
    uint16_t d = (uint16_t)(e >= -14 ? (e + 15) << 10 : 1 << (e + 24));
    for (int i = 0; i < 16; i++) s[b * 512 + nibble(r, i)] = src[1 + i];
    memcpy(s + Q4_D + b * 64 + r * 2, &d, 2);
  }
}
static void pack_q45_k(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  int five = m->fmt == RK_Q5_K;
  for (int k = 0; k < m->cols; k += 256, src += five ? 176 : 144, w += five ? 5760 : 4736) {
    const uint8_t *s = src + 4, *qh = src + 16, *ql = src + (five ? 48 : 16);
    memcpy(w + Q4K_D + r * 2, src, 2);
    memcpy(w + Q4K_DMIN + r * 2, src + 2, 2);
    for (int g = 0; g < 8; g++) {
      w[Q4K_SC + g * 32 + r] = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
      w[Q4K_MN + g * 32 + r] = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
      const uint8_t *q = ql + g / 2 * 32;
      int shift = g % 2 * 4;
      for (int i = 0; i < 16; i++) {
        w[g * 512 + nibble(r, i)] = (q[i] >> shift & 15) | (q[i + 16] >> shift & 15) << 4;
        if (!five) continue;
        uint8_t *h = w + Q5K_HIGH + g * 128 + r * 4 + i % 4;
        *h = (uint8_t)(*h | (qh[i] >> g & 1) << i / 4 | (qh[i + 16] >> g & 1) << (4 + i / 4));
      }
    }
  }
}
static void pack_q6_k(const rk_mat *m, const uint8_t *src, uint8_t *w, int r) {
  for (int k = 0; k < m->cols; k += 256, src += 210, w += 6720) {
    uint8_t q[256];
    for (int i = 0; i < 256; i++) {
      int n = i % 128, low = src[i / 128 * 64 + n % 64] >> n / 64 * 4 & 15;
      q[i] = (uint8_t)(low | (src[128 + i / 128 * 32 + n % 32] >> n / 32 * 2 & 3) << 4);
    }
    for (int i = 0; i < 256; i++) {
      int g = i / 32, h = i / 16 % 2, j = i % 16 / 4;
      uint8_t *lo = w + g * 512 + nibble(r, i % 16), *hi = w + Q6K_HIGH + g * 256 + (r / 16 * 2 + h) * 64 + r % 16 * 4 + i % 4;
      *lo = (uint8_t)(*lo | (q[i] & 15) << h * 4);
      *hi = (uint8_t)(*hi | q[i] >> 4 << 2 * j);
    }
    for (int s = 0; s < 16; s++) w[Q6K_SC + s * 32 + r] = src[192 + s];
    memcpy(w + Q6K_D + r * 2, src + 208, 2);
  }
}

static int64_t row_bytes(const rk_mat *m) {
  static const struct { int32_t k, bytes; } block[] = {{1, 4}, {1, 2}, {1, 2}, {32, 34}, {32, 18}, {32, 20}, {256, 176}, {256, 144}, {256, 210}, {32, 17}};
  return (int64_t)(m->cols / block[m->fmt].k) * block[m->fmt].bytes;
}

void rk_mat_pack(const rk_mat *m, int first, int n, const uint8_t *src, int up) {
  int64_t stride = row_bytes(m);
  for (int row = first; row < first + n; row++, src += stride) {
    int at = m->gated ? row / 16 * 32 + (up ? 16 : 0) + row % 16 : row;
    uint8_t *w = m->w + (int64_t)(at / 32) * m->panel_bytes;
    switch (m->fmt) {
      case RK_Q8_0: pack_q8_0(m, src, w, at % 32); break;
      case RK_Q4_0: case RK_Q4_1: pack_q4(m, src, w, at % 32); break;
      case RK_Q4_K: case RK_Q5_K: pack_q45_k(m, src, w, at % 32); break;
      case RK_Q6_K: pack_q6_k(m, src, w, at % 32); break;
      case RK_MXFP4: pack_mxfp4(m, src, w, at % 32); break;
      default: pack_plain(m, src, w, at % 32);
    }
  }
}

// ---- one row back, for embeddings ------------------------------------------

static void row_q8_0(const rk_mat *m, const uint8_t *w, int r, float *dst) {
  for (int k = 0; k < m->cols; k += 32) {
    const uint8_t *s = w + (size_t)(k / 64) * 2176;
    int b = k / 32 % 2;
    float d = half(s + Q8_D + b * 64 + r * 2);
    for (int i = 0; i < 32; i++) dst[k + i] = d * (float)(s[b * 1024 + i / 4 * 128 + r * 4 + i % 4] - 128);
  }
}
static void row_q4(const rk_mat *m, const uint8_t *w, int r, float *dst) {
  int one = m->fmt == RK_Q4_1;
  for (int k = 0; k < m->cols; k += 32) {
    const uint8_t *s = w + (size_t)(k / 64) * (one ? 1280 : 1152);
    int b = k / 32 % 2, zero = one ? 0 : 8;
    float d = half(s + Q4_D + b * 64 + r * 2), min = one ? half(s + Q4_M + b * 64 + r * 2) : 0;
    for (int i = 0; i < 16; i++) {
      int q = s[b * 512 + nibble(r, i)];
      dst[k + i] = d * (float)((q & 15) - zero) + min;
      dst[k + i + 16] = d * (float)((q >> 4) - zero) + min;
    }
  }
}
static void row_mxfp4(const rk_mat *m, const uint8_t *w, int r, float *dst) {
  for (int k = 0; k < m->cols; k += 32) {
    const uint8_t *s = w + (size_t)(k / 64) * 1152;
    int b = k / 32 % 2;
    float d = half(s + Q4_D + b * 64 + r * 2);
    for (int i = 0; i < 16; i++) {
      int q = s[b * 512 + nibble(r, i)];
      dst[k + i] = d * rk_e2m1[q & 15];
      dst[k + i + 16] = d * rk_e2m1[q >> 4];
    }
  }
}
static void row_q45_k(const rk_mat *m, const uint8_t *w, int r, float *dst) {
  int five = m->fmt == RK_Q5_K;
  for (int k = 0; k < m->cols; k += 32) {
    const uint8_t *s = w + (size_t)(k / 256) * (five ? 5760 : 4736);
    int g = k / 32 % 8;
    float d = half(s + Q4K_D + r * 2) * s[Q4K_SC + g * 32 + r], min = half(s + Q4K_DMIN + r * 2) * s[Q4K_MN + g * 32 + r];
    for (int i = 0; i < 16; i++) {
      int q = s[g * 512 + nibble(r, i)], h = five ? s[Q5K_HIGH + g * 128 + r * 4 + i % 4] : 0;
      dst[k + i] = d * (float)((q & 15) | (h >> i / 4 & 1) << 4) - min;
      dst[k + i + 16] = d * (float)(q >> 4 | (h >> (4 + i / 4) & 1) << 4) - min;
    }
  }
}
static void row_q6_k(const rk_mat *m, const uint8_t *w, int r, float *dst) {
  for (int k = 0; k < m->cols; k++) {
    const uint8_t *s = w + (size_t)(k / 256) * 6720;
    int i = k % 256, g = i / 32, h = i / 16 % 2;
    int lo = s[g * 512 + nibble(r, i % 16)] >> h * 4 & 15;
    int hi = s[Q6K_HIGH + g * 256 + (r / 16 * 2 + h) * 64 + r % 16 * 4 + i % 4] >> i % 16 / 4 * 2 & 3;
    dst[k] = half(s + Q6K_D + r * 2) * (float)(int8_t)s[Q6K_SC + i / 16 * 32 + r] * (float)((lo | hi << 4) - 32);
  }
}

void rk_mat_row(const rk_mat *m, int row, float *dst) {
  const uint8_t *w = m->w + (int64_t)(row / 32) * m->panel_bytes;
  int r = row % 32;
  switch (m->fmt) {
    case RK_F32: for (int k = 0; k < m->cols; k++) memcpy(dst + k, w + (size_t)k * 128 + r * 4, 4); break;
    case RK_F16: for (int k = 0; k < m->cols; k++) dst[k] = half(w + (size_t)k * 64 + r * 2); break;
    case RK_BF16: for (int k = 0; k < m->cols; k++) dst[k] = bf16(w + (size_t)(k / 2) * 128 + r * 4 + k % 2 * 2); break;
    case RK_Q8_0: row_q8_0(m, w, r, dst); break;
    case RK_Q4_0: case RK_Q4_1: row_q4(m, w, r, dst); break;
    case RK_Q4_K: case RK_Q5_K: row_q45_k(m, w, r, dst); break;
    case RK_Q6_K: row_q6_k(m, w, r, dst); break;
    case RK_MXFP4: row_mxfp4(m, w, r, dst); break;
  }
}
