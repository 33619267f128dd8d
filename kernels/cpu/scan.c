// scan.c: see rk_scan.h.
#include "rk_scan.h"
#include "machine.h"
#include <math.h>

static void pass(rk_machine *m, rk_scan *rows, int n, int count, const double *constants) {
  int per = RK_SCAN_BLOCK * RK_SCAN_PIECE;
  scan_run run = {rows, (count + per - 1) / per, constants};
  pool_run(m->pool, m->k->scan, &run, n * run.pieces);
}

void rk_scan_read(rk_machine *m, rk_scan *rows, int n, int count, const double *constants) {
  for (int i = 0; i < n; i++) rows[i].nan = 0;
  pass(m, rows, n, count, NULL);
  int weigh = 0;
  for (int i = 0; i < n; i++) {
    rk_scan *s = &rows[i];
    s->top = -INFINITY;
    for (int b = 0; b < (s->count + RK_SCAN_BLOCK - 1) / RK_SCAN_BLOCK; b++)
      if (s->max[b] > s->top) s->top = s->max[b];
    weigh |= s->inv_t != 0 && !s->nan;
  }
  if (weigh) pass(m, rows, n, count, constants);
}
