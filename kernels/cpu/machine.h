// machine.h: what the executor (machine.c) and the kernels share.
#ifndef RK_MACHINE_H
#define RK_MACHINE_H

#include "crew.h"
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
  float fed[MAX_TOKENS][64];       // outputs on their way into the next op's input
  float scores[MAX_TILE][SEGMENT];
  float q[MAX_TILE][RK_MAX_KEY];
  float o[MAX_TILE][RK_MAX_KEY];   // a segment's sum of p*v
  float sum[MAX_TILE][RK_MAX_KEY]; // merged over segments
  _Alignas(64) uint16_t p16[MAX_TILE][SEGMENT];
  uint16_t q16[MAX_TILE][RK_MAX_KEY];
} scratch;

// product is one of the matrix products that a phase runs at once. Row t of its
// input is row from[t] of what f32 and the prepared forms hold, or without from
// row t of f32 and first+t of the prepared ones.
typedef struct {
  const rk_linear *l;
  const rk_act *act;      // of gated matrices; NULL: silu(gate)*up
  rk_buf out;
  const float *f32;       // the F32 form of the input, and its stride
  int64_t f32_ld;
  const int32_t *from;
  int first, rows;
  int chunk;              // its first chunk of the phase
  int panels, panel_chunk[RK_MAX_MATS], tokens_chunk; // chunks of panels over all matrices, panels and rows in one
} product;

// a_block is some consecutive rows of one sequence, the unit of attention.
typedef struct { int32_t seq, row, count; } a_block;

enum {
  A_BLOCK_ROWS = 8,
  A_BLOCK_HEADS = 12,     // query heads of a KV head in a chunk, where there are many
  SCORES = 4,             // arrays of doubles that routing a row takes
  EXPERT_ROWS = 512,      // rows whose experts run at once: what bounds their working memory
};

// phase is one parallel stretch of an op: everything a chunk needs to know.
typedef struct {
  rk_machine *m;
  const rk_op *op;
  int rows;               // rows of the input
  int grain;              // rows a chunk, where an op is cut by rows
  int base;               // experts: the batch's row that is row 0
  rk_buf x, out;          // rows in and out, where the op's are not meant
  // prepare: row i is row i%head_rows of x, head_stride*(i/head_rows) further on
  int head_rows, head_stride;
  int acts;               // forms wanted
  const rk_linear *norm;  // whose norm the rows go through; NULL: none
  const int32_t *gather;  // row i of the input is gather[i]; NULL: i
  int32_t i8_ld, bf16_ld; // records, elements a row of the prepared forms
  const product *products;
  int nproducts;
  int segments;           // attention: 0, or into how many segments each block is split
  int head_parts;         // attention: into how many parts the query heads of a KV head are cut
  int feed;               // the form of its output that the next op finds made; 0: it makes its own
  int late;               // attention: its chunks store keys and values, see stored_late
} phase;

typedef struct {
  const char *name;
  int acts[RK_FORMATS];   // the form each weight format wants (not in float32 mode)
  pool_fn rmsnorm, prepare, linear, act_mul, combine, store_kv, store_latent, attention, attention_merge, scan;
} kernels;

extern const kernels kernels_generic, kernels_neon, kernels_neon_dot, kernels_avx2, kernels_avx512;

struct rk_machine {
  rk_config cfg;
  const kernels *k;
  pool *pool;
  crew crew;              // how many of its threads a step uses
  rk_arena *arena;
  rk_batch batch;
  rk_op *ops;
  int nops;
  act_i8 *i8;             // inputs of the linear op that is running
  uint16_t *bf16;
  float *f32;
  scratch *scratch;       // [threads]
  product *products;      // [most experts or heads of an op]
  double *scores;         // [threads][SCORES*most experts]: a row being routed
  int max_experts;
  int32_t *slots, *slot_row, *starts; // experts: see experts.c
  rk_buf between, wide, result;
  a_block *blocks;
  int nblocks;
  float *partials;        // [SPLIT_ROWS*heads][segments][dim + 2]: attention split by segments
  rk_kv *kv;              // [layers]
  int kv_layers;
  int64_t k_bytes, v_bytes; // of K and of V of one page in one layer
  int64_t page_stride;    // from a page to the next
  int element;            // bytes of a K or V element
  // The inputs of the next op, whose chunks the running op makes where it feeds.
  act_i8 *next_i8;
  uint16_t *next_bf16;
  int fed;                // they are there
  double *profile;
};

// stored_late: the chunks of attention store the new keys and values of a
// sequence themselves, each those of its KV head, before they read them. So its
// rows must be one block; no other sequence reads a page that this step writes.
static inline int stored_late(const phase *ph, int seq) {
  return ph->late && ph->m->batch.seqs[seq].count <= A_BLOCK_ROWS;
}

#endif
