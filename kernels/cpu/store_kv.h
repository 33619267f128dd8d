// store_kv.h: each row's q and k are normalised per head and rotated in place,
// then its k and v go to the row's page (rk_kv draws it). A chunk is grain rows;
// rows of sequences that attention stores (stored_late) are left to it.
#ifndef RK_STORE_KV_H
#define RK_STORE_KV_H

#include "tile.h"

// part puts the first elements of neighbouring pairs before the second ones.
static void part(float *x, int half) {
  float pairs[RK_MAX_DIM];
  memcpy(pairs, x, (size_t)half * 8);
  for (int i = 0; i < half; i++) x[i] = pairs[2 * i], x[half + i] = pairs[2 * i + 1];
}

// rotate turns x to position pos: pair i of the rotation is (i, i+half), once
// interleaved pairs were parted; what lies behind 2*half stays
static void rotate(const rk_attention *a, float *x, int pos) {
  const int half = a->half;
  const float *cs = a->rope + (int64_t)pos * 2 * half, *sn = cs + half;
  int i = 0;
  if (a->interleaved) part(x, half);
  for (; i + VL <= half; i += VL) {
    vf a = vld(x + i), b = vld(x + half + i), c = vld(cs + i), s = vld(sn + i);
    vst(x + i, a * c - b * s);
    vst(x + half + i, b * c + a * s);
  }
  for (; i < half; i++) {
    float a = x[i], b = x[half + i];
    x[i] = a * cs[i] - b * sn[i];
    x[half + i] = b * cs[i] + a * sn[i];
  }
}

static void head_in_place(const rk_attention *a, float *x, const float *norm, int pos) {
  if (norm) scale_row(x, x, a->dim, a->dim, rms_factor(x, a->dim, a->norm_eps), norm);
  rotate(a, x, pos);
}

// one token of one KV head, [dim] and [vdim]: slot is its place in the page.
// Elements are stored one by one: the other half of a V pair may be another
// thread's.
static void store_bf16(uint8_t *kp, uint8_t *vp, int slot, const float *k, int dim, const float *v, int vdim) {
  uint16_t b[RK_MAX_KEY];
  to_bf16(b, k, dim, dim);
  for (int d = 0; d < dim; d += 2) memcpy(kp + (d / 2 * RK_PAGE + slot) * 4, b + d, 4);
  to_bf16(b, v, vdim, vdim);
  uint16_t *o = (uint16_t *)vp + (slot / 2 * vdim) * 2 + slot % 2;
  for (int d = 0; d < vdim; d++) o[2 * d] = b[d];
}
static void store_f32(uint8_t *kp, uint8_t *vp, int slot, const float *k, int dim, const float *v, int vdim) {
  for (int d = 0; d < dim; d++) ((float *)kp)[d * RK_PAGE + slot] = k[d];
  memcpy(vp + (size_t)slot * (size_t)vdim * 4, v, (size_t)vdim * 4);
}

// store writes k and v of KV head h of row r to the row's page.
static void store(const phase *ph, int r, int h, const float *k, const float *v) {
  const rk_attention *a = &ph->op->attn;
  const rk_batch *b = &ph->m->batch;
  int pos = b->pos[r];
  int64_t page = (int64_t)b->pages[b->seqs[b->seq[r]].table + pos / RK_PAGE] * ph->m->page_stride;
  uint8_t *kp = a->kv.k + page + ph->m->k_bytes / a->kv_heads * h, *vp = a->kv.v + page + ph->m->v_bytes / a->kv_heads * h;
  if (ph->m->cfg.float32) store_f32(kp, vp, pos % RK_PAGE, k, a->dim, v, a->vdim);
  else store_bf16(kp, vp, pos % RK_PAGE, k, a->dim, v, a->vdim);
}

// store_group is all of it for KV head h of row r and the query heads that read it.
static void store_group(const phase *ph, int r, int h) {
  const rk_attention *a = &ph->op->attn;
  const int group = a->heads / a->kv_heads, pos = ph->m->batch.pos[r];
  float *q = ph->op->x.p + (int64_t)r * ph->op->x.ld, *k = q + (a->heads + h) * a->dim, *v = q + (a->heads + a->kv_heads + h) * a->dim;
  for (int g = h * group; g < (h + 1) * group; g++) head_in_place(a, q + g * a->dim, a->q_norm, pos);
  head_in_place(a, k, a->k_norm, pos);
  store(ph, r, h, k, v);
}

static void op_store_kv(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  (void)thread;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    if (stored_late(ph, ph->m->batch.seq[r])) continue;
    for (int h = 0; h < ph->op->attn.kv_heads; h++) store_group(ph, r, h);
  }
}

#endif
