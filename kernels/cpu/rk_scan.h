// rk_scan.h: readings of rows of logits, on the machine's threads.
#ifndef RK_SCAN_H
#define RK_SCAN_H

#include "rk.h"

enum {
  RK_SCAN_BLOCK = 128, // values of which one maximum and one sum are kept
  RK_SCAN_PIECE = 64,  // blocks in a chunk
  RK_SCAN_CONSTANTS = 66,
};

// rk_scan is a row. A value is allowed where bit i%32 of mask[i/32] is set; none is
// beyond words.
typedef struct {
  const float *values;  // [count]
  const uint32_t *mask; // [words]; NULL: all are allowed
  float *max;           // [blocks]: the largest allowed value of a block, -inf if there is none
  // [blocks]: the sum of the allowed values' weights, exp((v-top)*inv_t) where that
  // is at least min_p, else 0. Weights i, i+16, … of a block are added up for each i
  // of 16, then these halve by halve: i and i+8, i and i+4, ….
  double *sums;
  double inv_t, min_p;  // inv_t 0: no sums are wanted
  float top;            // the largest of max
  int32_t count, words;
  int32_t nan;          // there is a NaN among the values, allowed or not
} rk_scan;

// rk_scan_read fills in max, nan and top of n rows of at most count values, and sums
// where they are wanted and there is no NaN. constants are 2^(j/64) for j < 64,
// 64/ln2, ln2/64.
void rk_scan_read(rk_machine *m, rk_scan *rows, int n, int count, const double *constants);

typedef struct { rk_scan *rows; int pieces; const double *constants; } scan_run; // constants NULL: maxima

#endif
