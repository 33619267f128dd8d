// pack.h: the layouts of packed weights.
//
// A panel is 32 output rows, so that one vector holds the same k of many rows:
// a dot product needs no horizontal sum and a panel is one sequential stream.
// Row r of a panel; rg = r/16 is its row group. In a gated matrix row group 0
// holds 16 gate rows and row group 1 the same 16 up rows.
//
//   F32    for k:            32 x float                                  128 B
//   F16    for k:            32 x half                                    64 B
//   BF16   for k pair:       32 x { w[2k], w[2k+1] }; k in steps of 8    512 B
//
// The formats with blocks of 32 are cut into steps of 64 k (two blocks b):
//
//   nibbles q4(b), 512 B: for j 0..3, rg 0..1, row l 0..15, i 0..3: one byte,
//                  q[32b+4j+i] | q[32b+16+4j+i] << 4
//   Q4_0   q4(0) q4(1)  d[b][32] half                                   1152 B
//   Q4_1   q4(0) q4(1)  d[b][32] half  m[b][32] half                    1280 B
//   MXFP4  q4(0) q4(1) of e2m1 codes  d[b][32] half: half the scale     1152 B
//   Q8_0   for b, j 0..7, rg, l, i: q[32b+4j+i] + 128;  d[b][32] half   2176 B
//
// Those with super-blocks of 256 keep them, with 8 groups g of 32:
//
//   Q4_K   q4(g) x 8  d[32] dmin[32] half  sc[g][32] mn[g][32] uint8    4736 B
//   Q5_K   as Q4_K, then for g, rg, l, i one byte: bit j is bit 4 of
//          q[32g+4j+i], bit 4+j that of q[32g+16+4j+i]                  5760 B
//   Q6_K   q4(g) x 8 (low nibbles)  for g, rg, half h, l, i one byte: bits 2j,
//          2j+1 are bits 4, 5 of q[32g+16h+4j+i]                       (2048 B)
//          sc[s][32] int8, s 0..15 a scale for each 16   d[32] half     6720 B
//
// Weights of MXFP4 are d times twice the value of a code, a small integer; its
// scales must be 2^-23 to 2^16, so that d is a half.
//
// k is padded with zeros to whole steps, rows to whole panels.
#ifndef RK_PACK_H
#define RK_PACK_H

#include <stdint.h>

enum { // bytes into a step
  Q4_D = 1024, Q4_M = 1152, Q8_D = 2048,
  Q4K_D = 4096, Q4K_DMIN = 4160, Q4K_SC = 4224, Q4K_MN = 4480, Q5K_HIGH = 4736,
  Q6K_HIGH = 4096, Q6K_SC = 6144, Q6K_D = 6656,
};

// steps: how many k, and how many bytes a panel takes for them
static inline int rk_step_k(int fmt) {
  static const uint16_t k[] = {1, 1, 8, 64, 64, 64, 256, 256, 256, 64};
  return k[fmt];
}
static inline int rk_step_bytes(int fmt) {
  static const uint16_t b[] = {128, 64, 512, 2176, 1152, 1280, 5760, 4736, 6720, 1152};
  return b[fmt];
}

// rk_e2m1 is twice the value of a code of MXFP4.
static const int8_t rk_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

#endif
