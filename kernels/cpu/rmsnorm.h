// rmsnorm.h: out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * w. A chunk is grain rows.
// Where only linear ops read the result, it is computed as they prepare their
// input instead (prepare.h).
#ifndef RK_RMSNORM_H
#define RK_RMSNORM_H

#include "tile.h"

static void op_rmsnorm(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  (void)thread;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    const float *x = op->x.p + (int64_t)r * op->x.ld;
    float mul = rms_factor(x, op->x.cols, op->eps);
    scale_row(op->out.p + (int64_t)r * op->out.ld, x, op->x.cols, op->x.cols, mul, op->norm);
  }
}

#endif
