// forward.c: replays the program: cuts each op into chunks for the pool.
#include "machine.h"
#include "scalar_ops.h"
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
  FEW_ROWS = 16,          // up to here a linear op is bound by memory: all rows in one chunk
  GRAIN_BYTES = 48 << 10, // weights in a chunk then
};

static int min_int(int a, int b) { return a < b ? a : b; }
static int divide_up(int a, int b) { return (a + b - 1) / b; }

// by_rows runs fn over the rows. Few rows stay on this thread: a barrier costs
// more than they do.
static void by_rows(phase *ph, pool_fn fn) {
  ph->grain = 8;
  int n = divide_up(ph->rows, ph->grain);
  if (n == 1) fn(ph, 0, 0);
  else pool_run(ph->m->pool, fn, ph, n);
}

static int panels_a_chunk(const phase *ph, const rk_mat *m) {
  if (ph->rows > FEW_ROWS) return 1;
  int64_t n = GRAIN_BYTES / m->panel_bytes;
  int most = m->panels / (4 * pool_threads(ph->m->pool)); // four chunks a thread to balance with
  return n > most ? (most < 1 ? 1 : most) : n < 1 ? 1 : (int)n;
}

static void run_linear(phase *ph) {
  const rk_linear *l = &ph->op->linear;
  rk_machine *m = ph->m;
  int cols = ph->op->x.cols;
  if (ph->rows == 0) return;
  ph->i8_ld = divide_up(cols, 64), ph->bf16_ld = divide_up(cols, 64) * 64;
  ph->f32 = m->f32, ph->f32_ld = ph->bf16_ld;
  if (l->keep) ph->f32 = l->kept.p, ph->f32_ld = l->kept.ld;
  int as_is = !l->norm && !ph->gather;
  if (as_is) ph->f32 = ph->op->x.p, ph->f32_ld = ph->op->x.ld;
  if (!as_is || l->acts != RK_ACT_F32) by_rows(ph, m->k->prepare);
  ph->panels = 0;
  for (int i = 0; i < l->nmats; i++) {
    ph->panel_chunk[i] = panels_a_chunk(ph, &l->mats[i]);
    ph->panels += divide_up(l->mats[i].panels, ph->panel_chunk[i]);
  }
  int parts = divide_up(ph->rows, MAX_TOKENS);
  ph->tokens_chunk = min_int(divide_up(divide_up(ph->rows, parts), MAX_TILE) * MAX_TILE, MAX_TOKENS);
  int row_chunks = divide_up(ph->rows, ph->tokens_chunk), step = POOL_MAX_CHUNKS / ph->panels;
  if (row_chunks <= step) {
    pool_run(m->pool, m->k->linear, ph, ph->panels * row_chunks);
    return;
  }
  for (int c = 0; c < ph->panels * row_chunks; c++) m->k->linear(ph, c, 0); // beyond any real shape
}

// attention_blocks cuts the batch's sequences into blocks of rows.
static void attention_blocks(rk_machine *m) {
  m->nblocks = 0;
  for (int s = 0; s < m->batch.nseqs; s++) {
    const rk_seq *q = &m->batch.seqs[s];
    for (int i = 0; i < q->count; i += A_BLOCK_ROWS)
      m->blocks[m->nblocks++] = (a_block){s, q->first + i, min_int(q->count - i, A_BLOCK_ROWS)};
  }
}

static void run_attention(phase *ph) {
  rk_machine *m = ph->m;
  int items = m->nblocks * ph->op->attn.kv_heads, longest = 0;
  for (int r = 0; r < ph->rows; r++)
    if (m->batch.pos[r] >= longest) longest = m->batch.pos[r] + 1;
  int segments = divide_up(longest, SEGMENT);
  ph->segments = 0;
  if (ph->rows <= SPLIT_ROWS && segments > 1 && pool_threads(m->pool) > 1 && items < 8 * pool_threads(m->pool)) ph->segments = segments;
  pool_run(m->pool, m->k->attention, ph, items * (ph->segments ? ph->segments : 1));
  if (ph->segments) pool_run(m->pool, m->k->attention_merge, ph, ph->rows);
}

static void run_op(phase *ph) {
  rk_machine *m = ph->m;
  switch (ph->op->kind) {
    case RK_EMBED: by_rows(ph, op_embed); break;
    case RK_RMSNORM: by_rows(ph, m->k->rmsnorm); break;
    case RK_SILU_MUL: by_rows(ph, m->k->silu_mul); break;
    case RK_LINEAR: case RK_GATED_MLP: run_linear(ph); break;
    case RK_STORE_KV: by_rows(ph, m->k->store_kv); break;
    case RK_ATTENTION: run_attention(ph); break;
    case RK_LOGITS:
      ph->rows = m->batch.nlogits, ph->gather = m->batch.logit_rows;
      run_linear(ph);
      break;
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rk_forward(rk_machine *m) { rk_forward_ops(m, 0, m->nops); }

void rk_forward_ops(rk_machine *m, int first, int end) {
  uint32_t mode = pool_float_mode();
  if (first == 0 && m->batch.ncopies > 0) {
    phase ph = {.m = m};
    pool_run(m->pool, op_copy_pages, &ph, m->kv_layers);
  }
  attention_blocks(m);
  for (int i = first; i < end && m->batch.rows > 0; i++) {
    phase ph = {.m = m, .op = &m->ops[i], .rows = m->batch.rows};
    double start = m->profile ? seconds() : 0;
    run_op(&ph);
    if (m->profile) m->profile[m->ops[i].kind] += seconds() - start;
  }
  pool_float_restore(mode);
}

static void count_chunk(void *arg, int chunk, int thread) {
  (void)chunk, (void)thread;
  atomic_fetch_add((atomic_llong *)arg, 1);
}
int64_t rk_pool_check(rk_machine *m, int n, int rounds) {
  atomic_llong count = 0;
  for (int i = 0; i < rounds; i++) pool_run(m->pool, count_chunk, &count, n);
  return atomic_load(&count);
}
