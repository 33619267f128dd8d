// unpack.h: n k of a packed panel as float32 [n][32], exactly as package quant
// dequantises them. The slow and exact way to use any format.
#ifndef RK_UNPACK_H
#define RK_UNPACK_H

#include "tile.h"

// Nibble groups, see pack.h: byte i of dword (j, row) for VL rows from r.
AI vu group_dwords(const uint8_t *q, int j, int r) { return vldu(q + j * 128 + r * 4); }
AI vf byte_of(vu x, int i) { return __builtin_convertvector((vi)(x >> (8 * i) & 255), vf); }

static void unpack_f16(const uint8_t *w, int n, float *dst) {
  for (int i = 0; i < n * 32; i += VL) vst(dst + i, vldf16(w + i * 2));
}
static void unpack_bf16(const uint8_t *w, int n, float *dst) {
  for (int k = 0; k < n; k += 2, w += 128, dst += 64)
    for (int r = 0; r < 32; r += VL) {
      vu x = vldu(w + r * 4);
      vst(dst + r, (vf)(x << 16));
      vst(dst + 32 + r, (vf)(x & 0xffff0000u));
    }
}
static void unpack_q8_0(const uint8_t *w, int n, float *dst) {
  for (int k = 0; k < n; k += 32, dst += 32 * 32) {
    const uint8_t *s = w + k / 64 * 2176, *q = s + k / 32 % 2 * 1024, *ds = s + Q8_D + k / 32 % 2 * 64;
    for (int r = 0; r < 32; r += VL) {
      vf d = vldf16(ds + r * 2);
      for (int j = 0; j < 8; j++) {
        vu x = group_dwords(q, j, r);
        for (int i = 0; i < 4; i++) vst(dst + (4 * j + i) * 32 + r, (byte_of(x, i) - vset1(128)) * d);
      }
    }
  }
}
// one group of 32: d * (q + high - zero) - min
AI void unpack_group(const uint8_t *q, const uint8_t *high5, const uint8_t *high6, float zero, vf d, vf d2, vf min, int r, float *dst) {
  for (int j = 0; j < 4; j++) {
    vu x = group_dwords(q, j, r), lo = x & 0x0f0f0f0fu, hi = x >> 4 & 0x0f0f0f0fu;
    if (high5) {
      vu h = vldu(high5 + r * 4);
      lo |= (h >> j & 0x01010101u) << 4, hi |= (h >> (4 + j) & 0x01010101u) << 4;
    }
    if (high6) { // row group r/16, halves 64 bytes apart
      vu h0 = vldu(high6 + r / 16 * 128 + r % 16 * 4), h1 = vldu(high6 + r / 16 * 128 + 64 + r % 16 * 4);
      lo |= (h0 >> (2 * j) & 0x03030303u) << 4, hi |= (h1 >> (2 * j) & 0x03030303u) << 4;
    }
    for (int i = 0; i < 4; i++) {
      vst(dst + (4 * j + i) * 32 + r, d * (byte_of(lo, i) - vset1(zero)) - min);
      vst(dst + (16 + 4 * j + i) * 32 + r, d2 * (byte_of(hi, i) - vset1(zero)) - min);
    }
  }
}
static void unpack_q4(const uint8_t *w, int n, float *dst, int one) {
  for (int k = 0; k < n; k += 32, dst += 32 * 32) {
    const uint8_t *s = w + k / 64 * (one ? 1280 : 1152);
    int b = k / 32 % 2;
    for (int r = 0; r < 32; r += VL) {
      vf d = vldf16(s + Q4_D + b * 64 + r * 2), min = vset1(0);
      if (one) min = -vldf16(s + Q4_M + b * 64 + r * 2);
      unpack_group(s + b * 512, 0, 0, one ? 0 : 8, d, d, min, r, dst);
    }
  }
}
// byte i of codes as twice their values: with exponent e and mantissa f, f where
// e is 0, else (2+f) << (e-1)
AI vf e2m1_of(vu x, int i) {
  vi c = (vi)(x >> (8 * i) & 15), e = c >> 1 & 3, f = c & 1, some = (vi)(e > 0), minus = (vi)(c > 7);
  vi v = ((f - 2 * some) << e) >> (some & 1);
  return __builtin_convertvector((v ^ minus) - minus, vf);
}
static void unpack_mxfp4(const uint8_t *w, int n, float *dst) {
  for (int k = 0; k < n; k += 32, dst += 32 * 32) {
    const uint8_t *s = w + k / 64 * 1152, *q = s + k / 32 % 2 * 512;
    for (int r = 0; r < 32; r += VL) {
      vf d = vldf16(s + Q4_D + k / 32 % 2 * 64 + r * 2);
      for (int j = 0; j < 4; j++) {
        vu x = group_dwords(q, j, r);
        for (int i = 0; i < 4; i++) {
          vst(dst + (4 * j + i) * 32 + r, d * e2m1_of(x, i));
          vst(dst + (16 + 4 * j + i) * 32 + r, d * e2m1_of(x >> 4, i));
        }
      }
    }
  }
}
static void unpack_q45_k(const uint8_t *w, int n, float *dst, int five) {
  for (int k = 0; k < n; k += 32, dst += 32 * 32) {
    const uint8_t *s = w + k / 256 * (five ? 5760 : 4736);
    int g = k / 32 % 8;
    for (int r = 0; r < 32; r += VL) {
      vf d = vldf16(s + Q4K_D + r * 2) * vldu8(s + Q4K_SC + g * 32 + r);
      vf min = vldf16(s + Q4K_DMIN + r * 2) * vldu8(s + Q4K_MN + g * 32 + r);
      unpack_group(s + g * 512, five ? s + Q5K_HIGH + g * 128 : 0, 0, 0, d, d, min, r, dst);
    }
  }
}
static void unpack_q6_k(const uint8_t *w, int n, float *dst) {
  for (int k = 0; k < n; k += 32, dst += 32 * 32) {
    const uint8_t *s = w + k / 256 * 6720;
    int g = k / 32 % 8;
    for (int r = 0; r < 32; r += VL) {
      vf d = vldf16(s + Q6K_D + r * 2);
      vf d0 = d * vlds8(s + Q6K_SC + 2 * g * 32 + r), d1 = d * vlds8(s + Q6K_SC + (2 * g + 1) * 32 + r);
      unpack_group(s + g * 512, 0, s + Q6K_HIGH + g * 256, 32, d0, d1, vset1(0), r, dst);
    }
  }
}

// unpack: k from k0 (a multiple of SLICE) of a panel; n is rounded up to whole
// blocks.
static void unpack(int fmt, const uint8_t *panel, int k0, int n, float *dst) {
  const uint8_t *w = panel + (int64_t)(k0 / rk_step_k(fmt)) * rk_step_bytes(fmt);
  switch (fmt) {
    case RK_F16: unpack_f16(w, n, dst); break;
    case RK_BF16: unpack_bf16(w, n, dst); break;
    case RK_Q8_0: unpack_q8_0(w, n, dst); break;
    case RK_Q4_0: case RK_Q4_1: unpack_q4(w, n, dst, fmt == RK_Q4_1); break;
    case RK_Q4_K: case RK_Q5_K: unpack_q45_k(w, n, dst, fmt == RK_Q5_K); break;
    case RK_Q6_K: unpack_q6_k(w, n, dst); break;
    case RK_MXFP4: unpack_mxfp4(w, n, dst); break;
  }
}

#endif
