// attention.h: out[r] = softmax(q·Kᵀ*scale)·V over the last positions of the
// row's sequence, read through its page table.
//
// The query heads of a KV head, for a few consecutive rows, are the tile's
// columns: a page of K is the panel of a matrix with 32 keys as outputs, a page
// of V one with dim outputs and keys as k. Keys are taken in segments of SEGMENT
// positions, counted from position 0: each has its own maximum, and they are
// merged in order. So a row's arithmetic does not depend on the rows beside it,
// and segments may be computed anywhere.
//
// A key at or behind a row's length, or before its window, has probability 0;
// a slot that no row of the tile may see is not multiplied at all: its bytes
// may be anything.
//
// A sink is a key of its own without a value: it joins the sum at the end.
//
// Latent attention is the same with one KV head, whose values are the first
// part of its keys, and with a query in two places. Its many heads are cut into
// parts.
//
// A chunk is a block of rows of one sequence times a KV head (times a part of
// its query heads) (times a segment). Where the sequence has no other rows, the
// chunk stores their keys and values before it reads them: the page that they go
// to is fetched once, by the thread that needs it (8 % of a step of 16 rows).
#ifndef RK_ATTENTION_H
#define RK_ATTENTION_H

#include "prepare.h"
#include "store_kv.h"

// a_tile is T query heads over the keys of one KV head.
typedef struct {
  const phase *ph;
  scratch *s;
  const uint8_t *k, *v;      // pages of this head
  const int32_t *table;
  int dim, vdim;
  int lo[MAX_TILE], hi[MAX_TILE]; // positions that column t sees: [lo, hi)
  float top[MAX_TILE], mass[MAX_TILE]; // merged maximum (base 2) and sum; mass 0: nothing yet
} a_tile;

// a segment: positions [from, to), from a multiple of a page, base that of the segment
typedef struct { int base, from, to; } a_segment;

static int max_of(const int *x, int n) { int m = x[0]; for (int i = 1; i < n; i++) if (x[i] > m) m = x[i]; return m; }
static int min_of(const int *x, int n) { int m = x[0]; for (int i = 1; i < n; i++) if (x[i] < m) m = x[i]; return m; }

#if defined(RK_ISA_AVX512)
// The scores of a page in bfloat16. The halves of a key are two sums, which meet
// at the end: one alone would wait for each product before it takes the next.
AI void scores_bf16(const int T, const a_tile *at, const uint8_t *page, int at_key) {
  const uint16_t *q[2][MAX_TILE];
  const int half = at->dim / 4 * 2; // whole pairs
  vf c[2][4][MAX_TILE];
  UNROLL for (int t = 0; t < T; t++) q[0][t] = at->s->q16[t], q[1][t] = at->s->q16[t] + half;
  UNROLL for (int h = 0; h < 2; h++) UNROLL for (int i = 0; i < 2; i++) UNROLL for (int t = 0; t < T; t++) c[h][i][t] = vset1(0);
  for (int k = 0; k < half; k += 2, page += RK_PAGE * 4)
    UNROLL for (int h = 0; h < 2; h++) {
      const uint8_t *w = page + h * half * (RK_PAGE * 2);
      __m512bh x0 = (__m512bh)_mm512_loadu_si512(w), x1 = (__m512bh)_mm512_loadu_si512(w + 64);
      UNROLL for (int t = 0; t < T; t++) {
        __m512bh b = (__m512bh)broadcast32(q[h][t] + k);
        c[h][0][t] = _mm512_dpbf16_ps(c[h][0][t], x0, b), c[h][1][t] = _mm512_dpbf16_ps(c[h][1][t], x1, b);
      }
    }
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int t = 0; t < T; t++) vst(at->s->scores[t] + at_key + i * VL, c[0][i][t] + c[1][i][t]);
}
#endif

AI void scores_page(const int T, const a_tile *at, const uint8_t *page, int at_key) {
#if defined(RK_ISA_AVX512)
  if (!at->ph->m->cfg.float32) {
    scores_bf16(T, at, page, at_key);
    return;
  }
#endif
  const float *q[MAX_TILE];
  for (int t = 0; t < T; t++) q[t] = at->s->q[t];
  for (int r = 0; r < RK_PAGE / VL; r += PASS) {
    vf c[4][MAX_TILE];
    UNROLL for (int i = 0; i < PASS; i++) UNROLL for (int t = 0; t < T; t++) c[i][t] = vset1(0);
    if (at->ph->m->cfg.float32) tile_f32(PASS, T, (const float *)page + r * VL, RK_PAGE, at->dim, q, c);
    else tile_bf16_f32(PASS, T, page + r * VL * 4, RK_PAGE, at->dim, q, c);
    UNROLL for (int i = 0; i < PASS; i++) UNROLL for (int t = 0; t < T; t++) vst(at->s->scores[t] + at_key + (r + i) * VL, c[i][t]);
  }
}

AI vi seen_mask(int lo, int hi) { return vbelow(hi) & ~vbelow(lo); }

// keep is x where a key of k to k+VL-1 is in [lo, hi), else other.
AI vf keep(vf x, vf other, int k, int lo, int hi) { return k >= lo && k + VL <= hi ? x : vselect(seen_mask(lo - k, hi - k), x, other); }

// put_p stores a page's part of the probabilities in the form that values wants.
AI void put_p(const a_tile *at, int t, int k, const vf *p) {
#if defined(RK_ISA_AVX512)
  if (!at->ph->m->cfg.float32) {
    _mm512_storeu_si512(at->s->p16[t] + k, (__m512i)_mm512_cvtne2ps_pbh(p[1], p[0]));
    return;
  }
#endif
  UNROLL for (int i = 0; i < RK_PAGE / VL; i++) vst(at->s->scores[t] + k + i * VL, p[i]);
}

// scores become probabilities without their divisor, 0 where a key is not seen;
// returns the maximum and the sum. A page's vectors are maxima and sums of their
// own until the end.
static void softmax(const a_tile *at, const a_segment *g, int t, float *top, float *mass) {
  enum { N = RK_PAGE / VL };
  const float *x = at->s->scores[t];
  const int from = g->from - g->base, to = g->to - g->base, lo = at->lo[t] - g->base, hi = at->hi[t] - g->base;
  vf most[N], sum[N];
  UNROLL for (int i = 0; i < N; i++) most[i] = vset1(-INFINITY), sum[i] = vset1(0);
  for (int k = from; k < to; k += RK_PAGE)
    UNROLL for (int i = 0; i < N; i++) most[i] = vmax(most[i], keep(vld(x + k + i * VL), vset1(-INFINITY), k + i * VL, lo, hi));
  UNROLL for (int w = N / 2; w; w /= 2) UNROLL for (int i = 0; i < w; i++) most[i] = vmax(most[i], most[i + w]);
  *top = vtop(most[0]);
  vf m = vset1(*top);
  for (int k = from; k < to; k += RK_PAGE) {
    vf p[N];
    UNROLL for (int i = 0; i < N; i++) {
      p[i] = keep(vexp2(vld(x + k + i * VL) - m), vset1(0), k + i * VL, lo, hi);
      sum[i] += p[i];
    }
    put_p(at, t, k, p);
  }
  UNROLL for (int w = N / 2; w; w /= 2) UNROLL for (int i = 0; i < w; i++) sum[i] += sum[i + w];
  *mass = vsum(sum[0]);
}

// fetch starts reading a head's part of a page, which lies anywhere. In larger
// tiles arithmetic takes longer than memory, and rows before have read it.
AI void fetch(const a_tile *at, const uint8_t *page, int dim) { fetch_lines(page, dim * RK_PAGE * at->ph->m->element / 64); }
AI const uint8_t *page_at(const a_tile *at, const uint8_t *base, int key) {
  return base + at->table[key / RK_PAGE] * at->ph->m->page_stride;
}

// R vectors of columns of V from column c0, over the segment's pages, into s->o
AI void values(const int R, const int T, const a_tile *at, const a_segment *g, int c0) {
  const int dim = at->vdim;
  vf c[4][MAX_TILE];
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int t = 0; t < T; t++) c[r][t] = vset1(0);
  for (int key = g->from; key < g->to; key += RK_PAGE) {
    const uint8_t *page = page_at(at, at->v, key) + c0 * 4;
    if (T <= 3 && c0 == 0 && key + RK_PAGE < g->to) fetch(at, page_at(at, at->v, key + RK_PAGE), dim);
    int n = g->to - key < RK_PAGE ? g->to - key : RK_PAGE;
    const float *p[MAX_TILE];
    for (int t = 0; t < T; t++) p[t] = at->s->scores[t] + (key - g->base);
    if (at->ph->m->cfg.float32) { tile_f32(R, T, (const float *)page, dim, n, p, c); continue; }
#if defined(RK_ISA_AVX512)
    const uint16_t *p16[MAX_TILE];
    for (int t = 0; t < T; t++) p16[t] = at->s->p16[t] + (key - g->base);
    tile_bf16(R, T, page, dim, n, p16, c);
#else
    tile_bf16_f32(R, T, page, dim, n, p, c);
#endif
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int t = 0; t < T; t++) vst(at->s->o[t] + c0 + r * VL, c[r][t]);
}

// The keys of the last page are followed by the values of the first.
AI void segment_sums(const int T, a_tile *at, const a_segment *g, float *top, float *mass) {
  for (int key = g->from; key < g->to; key += RK_PAGE) {
    if (T <= 3 && key + RK_PAGE < g->to) fetch(at, page_at(at, at->k, key + RK_PAGE), at->dim);
    else if (T <= 3) fetch(at, page_at(at, at->v, g->from), at->vdim);
    scores_page(T, at, page_at(at, at->k, key), key - g->base);
  }
  for (int t = 0; t < T; t++) softmax(at, g, t, &top[t], &mass[t]);
  int c = 0;
  for (; c + 4 * VL <= at->vdim; c += 4 * VL) values(4, T, at, g, c);
#if defined(RK_ISA_AVX512)
  for (; c + 2 * VL <= at->vdim; c += 2 * VL) values(2, T, at, g, c);
  for (; c + VL <= at->vdim; c += VL) values(1, T, at, g, c);
#elif defined(RK_ISA_AVX2)
  for (; c + 2 * VL <= at->vdim; c += 2 * VL) values(2, T, at, g, c);
#endif
}
#define SEGMENT_SUMS(T) static NOINLINE void segment_sums_##T(a_tile *at, const a_segment *g, float *top, float *mass) { segment_sums(T, at, g, top, mass); }
SEGMENT_SUMS(1) SEGMENT_SUMS(2) SEGMENT_SUMS(3)
#if defined(RK_ISA_AVX512)
SEGMENT_SUMS(4) SEGMENT_SUMS(5) SEGMENT_SUMS(6)
#endif
typedef void (*segment_fn)(a_tile *, const a_segment *, float *, float *);
static const segment_fn segment_fns[] = {
  0, segment_sums_1, segment_sums_2, segment_sums_3,
#if defined(RK_ISA_AVX512)
  segment_sums_4, segment_sums_5, segment_sums_6,
#endif
};

// merge adds a segment (its maximum, sum and p*v) to what came before it
static void merge(float *top, float *mass, float *sum, float seg_top, float seg_mass, const float *seg, int dim) {
  if (seg_mass == 0) return;
  if (*mass == 0) {
    *top = seg_top, *mass = seg_mass;
    memcpy(sum, seg, (size_t)dim * 4);
    return;
  }
  float m = seg_top > *top ? seg_top : *top, e[VL] = {*top - m, seg_top - m};
  vst(e, vexp2(vld(e)));
  vf before = vset1(e[0]), now = vset1(e[1]);
  for (int d = 0; d < dim; d += VL) vst(sum + d, vfma(vld(seg + d), now, vld(sum + d) * before));
  *mass = *mass * e[0] + seg_mass * e[1];
  *top = m;
}

// a_part is what a chunk computes: query heads [head, head+heads) of a KV head
// for the rows of a block. Column e is row e/heads, head e%heads of it.
typedef struct {
  const a_block *block;
  int head, heads;
} a_part;

AI int column_row(const a_part *p, int e) { return p->block->row + e / p->heads; }
AI int column_head(const a_part *p, int e) { return p->head + e % p->heads; }

static float *partial_of(const phase *ph, int row, int head, int segment) {
  const rk_attention *a = &ph->op->attn;
  return ph->m->partials + (((int64_t)row * a->heads + head) * ph->segments + segment) * (a->vdim + VL);
}

// query writes the scaled query of a row and head to dst
static void query(const phase *ph, int row, int head, float *dst) {
  const rk_attention *a = &ph->op->attn;
  const int n = a->tails.p ? a->vdim : a->dim;
  const float *q = ph->op->x.p + (int64_t)row * ph->op->x.ld + head * n;
  float factor = a->scale * 1.44269504f;
  scale_row(dst, q, n, n, factor, 0);
  if (a->tails.p) scale_row(dst + n, a->tails.p + (int64_t)row * a->tails.ld + a->tail + head * a->tail_stride, a->dim - n, a->dim - n, factor, 0);
}

// tile_open sets up columns [e, e+n) of a part
static void tile_open(a_tile *at, const a_part *p, int e, int n) {
  const phase *ph = at->ph;
  const rk_attention *a = &ph->op->attn;
  for (int t = 0; t < n; t++) {
    int row = column_row(p, e + t);
    query(ph, row, column_head(p, e + t), at->s->q[t]);
#if defined(RK_ISA_AVX512)
    if (!ph->m->cfg.float32) to_bf16(at->s->q16[t], at->s->q[t], a->dim, a->dim);
#endif
    at->hi[t] = ph->m->batch.pos[row] + 1;
    at->lo[t] = a->window && at->hi[t] > a->window ? at->hi[t] - a->window : 0;
    at->mass[t] = 0, at->top[t] = 0;
  }
}

// put divides a column's merged sum, with the head's sink in the divisor, and
// writes it to the output
static void put(const phase *ph, int row, int head, float top, float mass, const float *sum) {
  const rk_attention *a = &ph->op->attn;
  float *o = ph->op->out.p + (int64_t)row * ph->op->out.ld + head * a->vdim, mul = 1;
  if (a->sinks) {
    float sink = a->sinks[head] * 1.44269504f, m = sink > top ? sink : top, e[VL] = {top - m, sink - m};
    vst(e, vexp2(vld(e)));
    mul = e[0], mass = mass * e[0] + e[1];
  }
  vf inv = vset1(mul / mass);
  for (int d = 0; d < a->vdim; d += VL) vst(o + d, vld(sum + d) * inv);
}

// fetch_ends starts reading what the chunk of a block that stores late begins
// with: the page that its new keys and values go to and the first page of keys.
static void fetch_ends(const phase *ph, int chunk) {
  const rk_attention *a = &ph->op->attn;
  const rk_machine *m = ph->m;
  const int h = chunk % a->kv_heads, block = m->nblocks - 1 - chunk / a->kv_heads;
  if (block < 0) return;
  const a_block *b = &m->blocks[block];
  const int32_t *table = m->batch.pages + m->batch.seqs[b->seq].table;
  const int64_t k_bytes = m->k_bytes / a->kv_heads, v_bytes = m->v_bytes / a->kv_heads;
  const int pos = m->batch.pos[b->row], first = a->window && pos >= a->window ? (pos + 1 - a->window) / RK_PAGE : 0, last = pos / RK_PAGE;
  fetch_lines(a->kv.k + table[last] * m->page_stride + h * k_bytes, (int)(k_bytes / 64));
  fetch_lines(a->kv.v + table[last] * m->page_stride + h * v_bytes, (int)(v_bytes / 64));
  if (first < last) fetch_lines(a->kv.k + table[first] * m->page_stride + h * k_bytes, (int)(k_bytes / 64));
}

// store_block stores the block's keys and values of KV head h. Few rows take less
// time than memory does, so the next chunk's pages are asked for.
static void store_block(const phase *ph, const a_block *b, int h, int chunk) {
  if (b->count <= 2) fetch_ends(ph, chunk + 1);
  for (int r = b->row; r < b->row + b->count; r++) store_group(ph, r, h);
}

// feed_block makes the next op's input of a part's outputs.
static void feed_block(const phase *ph, const a_part *p) {
  const rk_buf *out = &ph->op->out;
  const int k = p->head * ph->op->attn.vdim, n = p->heads * ph->op->attn.vdim;
  for (int r = p->block->row; r < p->block->row + p->block->count; r++) feed(ph, r, k, out->p + (int64_t)r * out->ld + k, n);
}

static void op_attention(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_attention *a = &ph->op->attn;
  rk_machine *m = ph->m;
  int only = -1, group = a->heads / a->kv_heads;
  if (ph->segments) only = chunk % ph->segments, chunk /= ph->segments;
  int part = chunk % ph->head_parts, h = chunk / ph->head_parts % a->kv_heads;
  // the longest blocks, which come last, first
  const a_block *b = &m->blocks[m->nblocks - 1 - chunk / ph->head_parts / a->kv_heads];
  int first = group * part / ph->head_parts, last = group * (part + 1) / ph->head_parts;
  a_part p = {b, h * group + first, last - first};
  a_tile at = {.ph = ph, .s = &m->scratch[thread], .k = a->kv.k + m->k_bytes / a->kv_heads * h, .v = a->kv.v + m->v_bytes / a->kv_heads * h,
               .table = m->batch.pages + m->batch.seqs[b->seq].table, .dim = a->dim, .vdim = a->vdim};
  if (stored_late(ph, b->seq)) store_block(ph, b, h, chunk);
  for (int e = 0, n, all = b->count * p.heads; e < all; e += n) {
    n = all - e < TILE ? all - e : TILE;
    tile_open(&at, &p, e, n);
    int lo = min_of(at.lo, n) / RK_PAGE * RK_PAGE, hi = max_of(at.hi, n);
    for (int s = lo / SEGMENT; s * SEGMENT < hi; s++) {
      if (only >= 0 && s != only) continue;
      a_segment g = {s * SEGMENT, s * SEGMENT < lo ? lo : s * SEGMENT, hi < (s + 1) * SEGMENT ? hi : (s + 1) * SEGMENT};
      float top[MAX_TILE], mass[MAX_TILE];
      segment_fns[n](&at, &g, top, mass);
      for (int t = 0; t < n; t++) {
        if (only < 0) { merge(&at.top[t], &at.mass[t], at.s->sum[t], top[t], mass[t], at.s->o[t], a->vdim); continue; }
        float *o = partial_of(ph, column_row(&p, e + t), column_head(&p, e + t), s);
        o[0] = top[t], o[1] = mass[t];
        memcpy(o + VL, at.s->o[t], (size_t)a->vdim * 4);
      }
    }
    for (int t = 0; only < 0 && t < n; t++) put(ph, column_row(&p, e + t), column_head(&p, e + t), at.top[t], at.mass[t], at.s->sum[t]);
  }
  if (ph->feed) feed_block(ph, &p);
}

// After a split: a chunk is a row, all its heads.
static void op_attention_merge(void *arg, int row, int thread) {
  const phase *ph = arg;
  const rk_attention *a = &ph->op->attn;
  scratch *s = &ph->m->scratch[thread];
  int hi = ph->m->batch.pos[row] + 1, lo = a->window && hi > a->window ? hi - a->window : 0;
  for (int h = 0; h < a->heads; h++) {
    float top = 0, mass = 0;
    for (int g = lo / SEGMENT; g * SEGMENT < hi; g++) {
      const float *p = partial_of(ph, row, h, g);
      merge(&top, &mass, s->sum[0], p[0], p[1], p + VL, a->vdim);
    }
    put(ph, row, h, top, mass, s->sum[0]);
  }
}

#endif
