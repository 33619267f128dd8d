// forward.c: replays the program: cuts each op into chunks for the pool.
#include "phases.h"
#include "scalar_ops.h"
#include <stdatomic.h>
#include <string.h>
#include <time.h>

// run_linear is one product of the op's input; fill in ph->rows and ph->gather.
static void run_linear(phase *ph) {
  const rk_linear *l = &ph->op->linear;
  rk_machine *m = ph->m;
  if (ph->rows == 0) return;
  ph->x = ph->op->x, ph->acts = l->acts, ph->norm = l->norm ? l : NULL;
  prepare(ph, 1, ph->x.cols);
  product p = {.l = l, .act = &ph->op->act, .out = ph->op->out, .f32 = m->f32, .f32_ld = ph->bf16_ld, .rows = ph->rows};
  if (l->keep) p.f32 = l->kept.p, p.f32_ld = l->kept.ld;
  if (!l->norm && !ph->gather) p.f32 = ph->x.p, p.f32_ld = ph->x.ld;
  if (ph->op->feeds) m->fed = ph->feed = feeds(ph, divide_up(l->mats[0].panels, FEED_PANELS));
  run_products(ph, &p, 1);
}

// run_heads is a product for each head, all at once.
static void run_heads(phase *ph) {
  const rk_heads *h = &ph->op->head;
  rk_machine *m = ph->m;
  ph->x = ph->op->x, ph->x.p += h->offset, ph->head_stride = h->stride;
  for (int i = 0; i < h->count; i++) {
    rk_buf out = ph->op->out;
    out.p += (int64_t)i * h->out_stride;
    m->products[i] = (product){.l = &h->w[i], .out = out, .f32 = ph->x.p + (int64_t)i * h->stride, .f32_ld = ph->x.ld, .first = i * ph->rows, .rows = ph->rows};
    ph->acts |= h->w[i].acts;
  }
  prepare(ph, h->count, h->in);
  run_products(ph, m->products, h->count);
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

// store_early stores the keys and values that attention's own chunks will not: all
// of them where a thread is alone, which has no other to wait for.
static void store_early(phase *ph) {
  int early = 0;
  ph->late = !ph->segments && pool_used(ph->m->pool) > 1;
  for (int s = 0; s < ph->m->batch.nseqs; s++) early |= !stored_late(ph, s);
  if (early) by_rows(ph, ph->m->k->store_kv);
}

static void run_attention(phase *ph) {
  rk_machine *m = ph->m;
  const rk_attention *a = &ph->op->attn;
  // many heads of one key are shared among threads; few stay one tile's columns
  ph->head_parts = a->tails.p ? divide_up(a->heads / a->kv_heads, A_BLOCK_HEADS) : 1;
  int items = m->nblocks * a->kv_heads * ph->head_parts, longest = 0;
  for (int r = 0; r < ph->rows; r++)
    if (m->batch.pos[r] >= longest) longest = m->batch.pos[r] + 1;
  int segments = divide_up(longest, SEGMENT);
  ph->segments = 0;
  if (ph->rows <= SPLIT_ROWS && segments > 1 && pool_used(m->pool) > 1 && items < 8 * pool_used(m->pool)) ph->segments = segments;
  if (a->stores) store_early(ph);
  if (ph->op->feeds && ph->head_parts == 1 && !ph->segments && a->heads / a->kv_heads * a->vdim % 64 == 0)
    m->fed = ph->feed = ph->op->feeds;
  pool_run(m->pool, m->k->attention, ph, items * (ph->segments ? ph->segments : 1));
  if (ph->segments) pool_run(m->pool, m->k->attention_merge, ph, ph->rows);
}

static void run_op(phase *ph) {
  rk_machine *m = ph->m;
  switch (ph->op->kind) {
    case RK_EMBED: by_rows(ph, op_embed); break;
    case RK_RMSNORM: by_rows(ph, m->k->rmsnorm); break;
    case RK_ACT_MUL:
      ph->x = ph->op->x, ph->out = ph->op->out;
      by_rows(ph, m->k->act_mul);
      break;
    case RK_LINEAR: case RK_GATED_MLP: run_linear(ph); break;
    case RK_STORE_KV: by_rows(ph, m->k->store_kv); break;
    case RK_STORE_LATENT: by_rows(ph, m->k->store_latent); break;
    case RK_ATTENTION: case RK_LATENT_ATTENTION: run_attention(ph); break;
    case RK_ROUTE: by_rows(ph, op_route); break;
    case RK_EXPERTS: run_experts(ph); break;
    case RK_HEAD_LINEAR: run_heads(ph); break;
    case RK_LOGITS:
      ph->rows = m->batch.nlogits, ph->gather = m->batch.logit_rows;
      run_linear(ph);
      break;
  }
}

static int64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void run_ops(rk_machine *m, int first, int end) {
  if (first == 0 && m->batch.ncopies > 0) {
    phase ph = {.m = m};
    pool_run(m->pool, op_copy_pages, &ph, m->kv_layers);
  }
  attention_blocks(m);
  for (int i = first; i < end && m->batch.rows > 0; i++) {
    phase ph = {.m = m, .op = &m->ops[i], .rows = m->batch.rows};
    int64_t start = m->profile ? now_ns() : 0;
    run_op(&ph);
    if (m->profile) m->profile[m->ops[i].kind] += 1e-9 * (double)(now_ns() - start);
  }
}

void rk_forward_ops(rk_machine *m, int first, int end) {
  uint32_t mode = pool_float_mode();
  run_ops(m, first, end);
  pool_float_restore(mode);
}

// A whole step is what the crew judges.
void rk_forward(rk_machine *m) {
  int rows = m->batch.rows;
  pool_use(m->pool, crew_threads(&m->crew, rows));
  int64_t start = now_ns(), ran = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  rk_forward_ops(m, 0, m->nops);
  crew_step s = {.end = now_ns(), .late = pool_late(m->pool)};
  s.time = s.end - start, s.lost = s.time - (clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran);
  crew_done(&m->crew, rows, &s);
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
