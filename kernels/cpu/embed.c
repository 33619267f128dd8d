// embed.c: out[r] = table[token r]. A chunk is grain rows. A negative token is
// the last one sampled in slot ~token.
#include "machine.h"
#include "scalar_ops.h"

void op_embed(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  const rk_batch *b = &ph->m->batch;
  (void)thread;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    int32_t id = b->token[r] < 0 ? b->last[~b->token[r]] : b->token[r];
    rk_mat_row(&op->linear.mats[0], id, op->out.p + (int64_t)r * op->out.ld);
  }
}
