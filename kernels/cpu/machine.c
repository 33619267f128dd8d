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
  crew_init(&m->crew, pool_threads(m->pool));
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
int rk_machine_kv(rk_machine *m, int layers, int pages, int kv_heads, int dim, int vdim, rk_kv *kv) {
  m->k_bytes = (int64_t)kv_heads * dim * RK_PAGE * m->element;
  m->v_bytes = (int64_t)kv_heads * vdim * RK_PAGE * m->element;
  m->page_stride = layers * (m->k_bytes + m->v_bytes);
  m->kv = rk_arena_alloc(m->arena, (size_t)layers * sizeof *m->kv);
  uint8_t *base = rk_arena_alloc_huge(m->arena, (size_t)pages * (size_t)m->page_stride);
  if (!m->kv || !base) return -1;
  m->kv_layers = layers;
  for (int i = 0; i < layers; i++, base += m->k_bytes + m->v_bytes) m->kv[i] = (rk_kv){base, base + m->k_bytes};
  memcpy(kv, m->kv, (size_t)layers * sizeof *kv);
  return 0;
}

// input_sizes is how many elements of each form prepare must have room for.
typedef struct { size_t f32, bf16, i8; } input_sizes;

static void want(input_sizes *s, int64_t rows, int cols, int acts, int f32) {
  size_t n = (size_t)(rows * round_up(cols, 64));
  if (f32 && n > s->f32) s->f32 = n;
  if (acts & RK_ACT_BF16 && n > s->bf16) s->bf16 = n;
  if (acts & RK_ACT_I8 && n > s->i8) s->i8 = n;
}

static int64_t expert_slots(const rk_machine *m, const rk_op *op) {
  return (int64_t)(m->cfg.max_rows < EXPERT_ROWS ? m->cfg.max_rows : EXPERT_ROWS) * op->routing.topk;
}

// inputs_new allocates what prepare writes, for the largest op.
static int inputs_new(rk_machine *m) {
  input_sizes s = {0, 0, 0};
  int64_t rows = m->cfg.max_rows;
  int feeds = 0;
  for (int i = 0; i < m->nops; i++) {
    const rk_op *op = &m->ops[i];
    feeds |= op->feeds;
    switch (op->kind) {
      case RK_LINEAR: case RK_GATED_MLP: case RK_LOGITS:
        want(&s, rows, op->x.cols, op->linear.acts, op->linear.acts & RK_ACT_F32 && (op->linear.norm || op->kind == RK_LOGITS));
        break;
      case RK_EXPERTS:
        for (int e = 0; e < op->experts.count; e++) {
          want(&s, rows < EXPERT_ROWS ? rows : EXPERT_ROWS, op->x.cols, op->experts.up[e].acts, 0);
          want(&s, expert_slots(m, op), op->experts.inner, op->experts.down[e].acts, 0);
        }
        break;
      case RK_HEAD_LINEAR:
        for (int h = 0; h < op->head.count; h++) want(&s, rows * op->head.count, op->head.in, op->head.w[h].acts, 0);
    }
  }
  m->f32 = rk_arena_alloc(m->arena, s.f32 * 4);
  m->bf16 = rk_arena_alloc(m->arena, s.bf16 * 2);
  m->i8 = rk_arena_alloc(m->arena, s.i8 / 64 * sizeof(act_i8));
  m->next_bf16 = rk_arena_alloc(m->arena, feeds ? s.bf16 * 2 : 0);
  m->next_i8 = rk_arena_alloc(m->arena, feeds ? s.i8 / 64 * sizeof(act_i8) : 0);
  return m->f32 && m->bf16 && m->i8 && m->next_bf16 && m->next_i8;
}

// buf_new allocates rows for a buffer of at most cols columns.
static int buf_new(rk_machine *m, rk_buf *b, int64_t rows, int cols) {
  *b = (rk_buf){NULL, cols, (int32_t)round_up(cols, 16)};
  b->p = rk_arena_alloc(m->arena, (size_t)(rows * b->ld) * 4);
  return b->p != NULL;
}

// experts_new allocates the working memory of experts, routers and heads.
static int experts_new(rk_machine *m) {
  int64_t slots = 0, products = 1, experts = 0;
  int inner = 0, wide = 0, outs = 0;
  for (int i = 0; i < m->nops; i++) {
    const rk_op *op = &m->ops[i];
    const rk_experts *x = &op->experts;
    if (op->kind == RK_HEAD_LINEAR && op->head.count > products) products = op->head.count;
    if (op->kind == RK_ROUTE && op->x.cols > experts) experts = op->x.cols;
    if (op->kind != RK_EXPERTS) continue;
    if (x->count > products) products = x->count;
    if (x->count > experts) experts = x->count;
    if (expert_slots(m, op) > slots) slots = expert_slots(m, op);
    if (x->inner > inner) inner = x->inner;
    if (x->wide && 2 * x->inner > wide) wide = 2 * x->inner;
    if (op->out.cols > outs) outs = op->out.cols;
  }
  m->max_experts = (int)experts;
  m->products = rk_arena_alloc(m->arena, (size_t)products * sizeof *m->products);
  m->scores = rk_arena_alloc(m->arena, (size_t)pool_threads(m->pool) * SCORES * (size_t)experts * sizeof *m->scores);
  m->slots = rk_arena_alloc(m->arena, (size_t)slots * sizeof *m->slots);
  m->slot_row = rk_arena_alloc(m->arena, (size_t)slots * sizeof *m->slot_row);
  m->starts = rk_arena_alloc(m->arena, (size_t)(experts + 2) * sizeof *m->starts);
  return m->products && m->scores && m->slots && m->slot_row && m->starts && buf_new(m, &m->between, slots, inner) &&
         buf_new(m, &m->wide, slots, wide) && buf_new(m, &m->result, slots, outs);
}

static int partials_new(rk_machine *m) {
  size_t width = 0;
  for (int i = 0; i < m->nops; i++) {
    const rk_attention *a = &m->ops[i].attn;
    size_t w = (size_t)a->heads * (size_t)(a->vdim + 16);
    if ((m->ops[i].kind == RK_ATTENTION || m->ops[i].kind == RK_LATENT_ATTENTION) && w > width) width = w;
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
  return inputs_new(m) && experts_new(m) && partials_new(m) ? 0 : -1;
}
