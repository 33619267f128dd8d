// combine.h: out[r] = Σ w·result[slot], or +=, over row r's experts, best first
// (experts.c). The sum is complete before it is added. A chunk is grain rows.
#ifndef RK_COMBINE_H
#define RK_COMBINE_H

#include "tile.h"

static void op_combine(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  (void)thread;
  int topk = op->routing.topk, n = op->out.cols;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    const int32_t *slots = ph->m->slots + (int64_t)r * topk;
    const float *w = op->routing.weight + (int64_t)(ph->base + r) * topk;
    float *o = op->out.p + (int64_t)(ph->base + r) * op->out.ld;
    for (int i = 0; i < n; i += VL) { // rows are padded to whole vectors
      vf sum = vset1(0);
      for (int k = 0; k < topk; k++) sum = vfma(vset1(w[k]), vld(ph->x.p + (int64_t)slots[k] * ph->x.ld + i), sum);
      if (op->experts.add) sum += vld(o + i);
      vst(o + i, sum);
    }
  }
}

#endif
