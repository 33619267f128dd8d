// store_latent.h: each row's latents are normalised and its tail rotated in
// place, then both go to the row's page (rk_kv draws it); the tails of its
// queries are rotated in place. A chunk is grain rows.
#ifndef RK_STORE_LATENT_H
#define RK_STORE_LATENT_H

#include "store_kv.h"

static void op_store_latent(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  const rk_attention *a = &op->attn;
  (void)thread;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    float *kv = op->x.p + (int64_t)r * op->x.ld, *q = a->tails.p + (int64_t)r * a->tails.ld + a->tail;
    int pos = ph->m->batch.pos[r];
    scale_row(kv, kv, a->vdim, a->vdim, rms_factor(kv, a->vdim, a->norm_eps), a->k_norm);
    rotate(a, kv + a->vdim, pos);
    store(ph, r, 0, kv, kv);
    for (int h = 0; h < a->heads; h++) rotate(a, q + h * a->tail_stride, pos);
  }
}

#endif
