// machine.c: the machine's memory: batch arrays, pages, working space.
#include "machine.h"
#include "isa.h"
#include <stdlib.h>
#include <string.h>

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static int batch_new(rk_machine *m) {
  const rk_config *c = &m->cfg;
  rk_batch *b = &m->batch;
  size_t rows = (size_t)c->max_rows * 4, seqs = (size_t)c->max_seqs;
  b->token = rk_arena_alloc(m->arena, rows);
  b->pos = rk_arena_alloc(m->arena, rows);
  b->seq = rk_arena_alloc(m->arena, rows);
  b->logit_rows = rk_arena_alloc(m->arena, rows);
  b->seqs = rk_arena_alloc(m->arena, seqs * sizeof *b->seqs);
  b->pages = rk_arena_alloc(m->arena, seqs * (size_t)(c->max_context / RK_PAGE) * 4);
  b->copies = rk_arena_alloc(m->arena, (size_t)c->max_copies * sizeof *b->copies);
  b->last = rk_arena_alloc(m->arena, seqs * 4);
  m->blocks = rk_arena_alloc(m->arena, ((size_t)c->max_rows / A_BLOCK_ROWS + (size_t)c->max_rows + 1) * sizeof *m->blocks);
  m->scratch = rk_arena_alloc(m->arena, (size_t)pool_threads(m->pool) * sizeof *m->scratch);
  return b->token && b->pos && b->seq && b->logit_rows && b->seqs && b->pages && b->copies && b->last && m->blocks && m->scratch;
}

rk_machine *rk_machine_new(const rk_config *c) {
  rk_machine *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->cfg = *c;
  m->k = kernels_for(c->isa);
  m->element = c->float32 ? 4 : 2;
  m->arena = rk_arena_new();
  m->pool = pool_new(c->threads);
  if (!m->k || !m->arena || !m->pool || !batch_new(m)) {
    rk_machine_free(m);
    return NULL;
  }
  return m;
}

void rk_machine_free(rk_machine *m) {
  if (!m) return;
  pool_free(m->pool);
  rk_arena_free(m->arena);
  free(m->ops);
  free(m);
}

rk_arena *rk_machine_arena(rk_machine *m) { return m->arena; }
rk_batch *rk_machine_batch(rk_machine *m) { return &m->batch; }
void rk_profile(rk_machine *m, double *seconds) { m->profile = seconds; }

int rk_linear_acts(const rk_machine *m, int fmt) {
  return m->cfg.float32 || !m->k->acts[fmt] ? RK_ACT_F32 : m->k->acts[fmt];
}

// A page lies in one piece, all layers of it: [pages][layers][K, V]. So a
// sequence's first tokens touch few pages of the system's memory.
int rk_machine_kv(rk_machine *m, int layers, int pages, int kv_heads, int dim, rk_kv *kv) {
  m->page_bytes = (int64_t)kv_heads * dim * RK_PAGE * m->element;
  m->page_stride = 2 * layers * m->page_bytes;
  m->kv = rk_arena_alloc(m->arena, (size_t)layers * sizeof *m->kv);
  uint8_t *base = rk_arena_alloc(m->arena, (size_t)pages * (size_t)m->page_stride);
  if (!m->kv || !base) return -1;
  m->kv_layers = layers;
  for (int i = 0; i < layers; i++, base += 2 * m->page_bytes) m->kv[i] = (rk_kv){base, base + m->page_bytes};
  memcpy(kv, m->kv, (size_t)layers * sizeof *kv);
  return 0;
}

// inputs_new allocates what prepare writes, for the widest op
static int inputs_new(rk_machine *m) {
  size_t cols[3] = {0}, rows = (size_t)m->cfg.max_rows;
  for (int i = 0; i < m->nops; i++) {
    const rk_op *op = &m->ops[i];
    if (op->kind != RK_LINEAR && op->kind != RK_GATED_MLP && op->kind != RK_LOGITS) continue;
    for (int f = 0; f < 3; f++)
      if (op->linear.acts >> f & 1 && (size_t)op->x.cols > cols[f]) cols[f] = (size_t)op->x.cols;
    // normalised rows pass through float32, whatever they become
    if ((op->linear.norm || op->kind == RK_LOGITS) && (size_t)op->x.cols > cols[0]) cols[0] = (size_t)op->x.cols;
  }
  m->f32 = rk_arena_alloc(m->arena, rows * (size_t)round_up((int64_t)cols[0], 64) * 4);
  m->bf16 = rk_arena_alloc(m->arena, rows * (size_t)round_up((int64_t)cols[1], 64) * 2);
  m->i8 = rk_arena_alloc(m->arena, rows * (size_t)round_up((int64_t)cols[2], 64) / 64 * sizeof(act_i8));
  return m->f32 && m->bf16 && m->i8;
}

static int partials_new(rk_machine *m) {
  size_t width = 0;
  for (int i = 0; i < m->nops; i++) {
    const rk_attention *a = &m->ops[i].attn;
    size_t w = (size_t)a->heads * (size_t)(a->dim + 16);
    if (m->ops[i].kind == RK_ATTENTION && w > width) width = w;
  }
  size_t segments = (size_t)(m->cfg.max_context + SEGMENT - 1) / SEGMENT;
  m->partials = rk_arena_alloc(m->arena, SPLIT_ROWS * width * segments * 4);
  return m->partials != NULL;
}

int rk_machine_ready(rk_machine *m, const rk_op *ops, int n) {
  m->ops = malloc((size_t)n * sizeof *ops + 1);
  if (!m->ops) return -1;
  memcpy(m->ops, ops, (size_t)n * sizeof *ops);
  m->nops = n;
  return inputs_new(m) && partials_new(m) ? 0 : -1;
}
