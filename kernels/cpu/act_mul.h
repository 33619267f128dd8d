// act_mul.h: out[r][i] = act(x[r][i], x[r][n+i]), n columns of out. Only for
// a gate and an up matrix of different formats: otherwise the product happens
// in the linear op's registers.
#ifndef RK_ACT_MUL_H
#define RK_ACT_MUL_H

#include "act.h"

static void op_act_mul(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_act *act = ph->op->kind == RK_EXPERTS ? &ph->op->experts.act : &ph->op->act;
  (void)thread;
  int n = ph->out.cols;
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    const float *g = ph->x.p + (int64_t)r * ph->x.ld, *u = g + n;
    float *o = ph->out.p + (int64_t)r * ph->out.ld;
    for (int i = 0; i < n; i += VL) {
      float gu[2][VL] = {0}, res[VL];
      int w = n - i < VL ? n - i : VL;
      memcpy(gu[0], g + i, (size_t)w * 4);
      memcpy(gu[1], u + i, (size_t)w * 4);
      vst(res, vact(act, vld(gu[0]), vld(gu[1])));
      memcpy(o + i, res, (size_t)w * 4);
    }
  }
}

#endif
