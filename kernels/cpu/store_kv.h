// store_kv.h: each row's q and k are normalised per head and rotated in place,
// then its k and v go to the row's page (rk_kv draws it). A chunk is grain rows.
#ifndef RK_STORE_KV_H
#define RK_STORE_KV_H

#include "tile.h"

// pair i of the rotation is (i, i+half); what lies behind 2*half stays
static void rotate(float *x, const float *rope, int half) {
  const float *cs = rope, *sn = rope + half;
  int i = 0;
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
  rotate(x, a->rope + (int64_t)pos * 2 * a->half, a->half);
}

// one token of one KV head: slot is its place in the page. Elements are stored
// one by one: the other half of a V pair may be another thread's.
static void store_bf16(uint8_t *kp, uint8_t *vp, int slot, const float *k, const float *v, int dim) {
  uint16_t b[RK_MAX_DIM];
  to_bf16(b, k, dim, dim);
  for (int d = 0; d < dim; d += 2) memcpy(kp + (d / 2 * RK_PAGE + slot) * 4, b + d, 4);
  to_bf16(b, v, dim, dim);
  uint16_t *o = (uint16_t *)vp + (slot / 2 * dim) * 2 + slot % 2;
  for (int d = 0; d < dim; d++) o[2 * d] = b[d];
}
static void store_f32(uint8_t *kp, uint8_t *vp, int slot, const float *k, const float *v, int dim) {
  for (int d = 0; d < dim; d++) ((float *)kp)[d * RK_PAGE + slot] = k[d];
  memcpy(vp + (size_t)slot * (size_t)dim * 4, v, (size_t)dim * 4);
}

static void op_store_kv(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  const rk_attention *a = &op->attn;
  const rk_batch *b = &ph->m->batch;
  (void)thread;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    float *q = op->x.p + (int64_t)r * op->x.ld, *k = q + a->heads * a->dim, *v = k + a->kv_heads * a->dim;
    int pos = b->pos[r];
    const rk_seq *s = &b->seqs[b->seq[r]];
    int64_t page = (int64_t)b->pages[s->table + pos / RK_PAGE] * ph->m->page_stride, head = ph->m->page_bytes / a->kv_heads;
    for (int h = 0; h < a->heads; h++) head_in_place(a, q + h * a->dim, a->q_norm, pos);
    for (int h = 0; h < a->kv_heads; h++) {
      head_in_place(a, k + h * a->dim, a->k_norm, pos);
      uint8_t *kp = a->kv.k + page + h * head, *vp = a->kv.v + page + h * head;
      if (ph->m->cfg.float32) store_f32(kp, vp, pos % RK_PAGE, k + h * a->dim, v + h * a->dim, a->dim);
      else store_bf16(kp, vp, pos % RK_PAGE, k + h * a->dim, v + h * a->dim, a->dim);
    }
  }
}

#endif
