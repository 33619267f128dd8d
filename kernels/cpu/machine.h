// machine.h: what the executor (machine.c) and the kernels share.
#ifndef RK_MACHINE_H
#define RK_MACHINE_H

#include "pack.h"
#include "pool.h"
#include "rk.h"

// The forms in which a linear op's input can be wanted.
enum { RK_ACT_F32 = 1, RK_ACT_BF16 = 2, RK_ACT_I8 = 4 };

// act_i8 is 64 elements of a row as int8, two blocks of 32 with a scale each;
// x = scale*q. One record holds all that a tile needs of a token, so that a
// token costs the tile one register.
typedef struct {
  int8_t q[64];
  int32_t neg8[2];     // -8 * sum(q) of a block: where accumulators of weights with zero point 8 start
  uint32_t sum_bf16;   // { scale*sum of block 0, of block 1 } as bfloat16
  float scale[2];
  float sum[2];        // scale * sum(q)
  int32_t neg32[4];    // -32 * sum(q) of each 16, for Q6_K
} act_i8;

enum {
  MAX_TOKENS = 132,    // rows in a chunk of a linear op
  SLICE = 256,         // k unpacked at a time
  SEGMENT = 512,       // keys whose softmax is computed apart, then merged in order
  MAX_TILE = 6,        // rows (linear) or query heads (attention) in a tile
  SPLIT_ROWS = 8,      // a step of so few rows may split attention by segments
};

// scratch is one thread's working memory.
typedef struct {
  _Alignas(64) float unpacked[SLICE * RK_PANEL];
  float acc[MAX_TOKENS][RK_PANEL];
  float scores[MAX_TILE][SEGMENT];
  float q[MAX_TILE][RK_MAX_DIM];
  float o[MAX_TILE][RK_MAX_DIM];   // a segment's sum of p*v
  float sum[MAX_TILE][RK_MAX_DIM]; // merged over segments
  _Alignas(64) uint16_t p16[MAX_TILE][SEGMENT];
  uint16_t q16[MAX_TILE][RK_MAX_DIM];
} scratch;

// a_block is some consecutive rows of one sequence, the unit of attention.
typedef struct { int32_t seq, row, count; } a_block;

enum { A_BLOCK_ROWS = 8 };

// phase is one parallel stretch of an op: everything a chunk needs to know.
typedef struct {
  rk_machine *m;
  const rk_op *op;
  int rows;               // rows of the input
  int grain;              // rows a chunk, where an op is cut by rows
  const int32_t *gather;  // row i of the input is gather[i]; NULL: i
  const float *f32;       // the F32 form of the input: where, and its stride
  int64_t f32_ld;
  int32_t i8_ld, bf16_ld; // records, elements a row
  int panels, panel_chunk[RK_MAX_MATS], tokens_chunk; // linear: chunks of panels over all matrices, panels and rows in one
  int segments;           // attention: 0, or into how many segments each block is split
} phase;

typedef struct {
  const char *name;
  int acts[RK_FORMATS];   // the form each weight format wants (not in float32 mode)
  pool_fn rmsnorm, prepare, linear, silu_mul, store_kv, attention, attention_merge;
} kernels;

extern const kernels kernels_generic, kernels_neon, kernels_avx2, kernels_avx512;

struct rk_machine {
  rk_config cfg;
  const kernels *k;
  pool *pool;
  rk_arena *arena;
  rk_batch batch;
  rk_op *ops;
  int nops;
  act_i8 *i8;             // inputs of the linear op that is running
  uint16_t *bf16;
  float *f32;
  scratch *scratch;       // [threads]
  a_block *blocks;
  int nblocks;
  float *partials;        // [SPLIT_ROWS*heads][segments][dim + 2]: attention split by segments
  rk_kv *kv;              // [layers]
  int kv_layers;
  int64_t page_bytes;     // of K, or V, of one page in one layer
  int64_t page_stride;    // from a page to the next
  int element;            // bytes of a K or V element
  double *profile;
};

#endif
