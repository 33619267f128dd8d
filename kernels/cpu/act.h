// act.h: the function of a gate and an up vector, see rk_act.
#ifndef RK_ACT_H
#define RK_ACT_H

#include "tile.h"

AI vf vact(const rk_act *a, vf g, vf u) {
  if (a->kind == RK_SILU) return vsilumul(g, u);
  vf limit = vset1(a->limit);
  g = vmin(g, limit), u = vmax(vmin(u, limit), -limit);
  vf x = vmin(g * vset1(-1.44269504f * a->alpha), vset1(126.f));
  return vdiv(g, vexp2(x) + vset1(1.f)) * (u + vset1(1.f));
}

#endif
