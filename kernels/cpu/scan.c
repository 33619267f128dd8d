// scan.c: see rk_scan.h.
#include "rk_scan.h"
#include "machine.h"

static void scan(rk_machine *m, rk_scan *rows, int n, int count, const double *constants) {
  int per = RK_SCAN_BLOCK * RK_SCAN_PIECE;
  scan_run run = {rows, (count + per - 1) / per, constants};
  pool_run(m->pool, m->k->scan, &run, n * run.pieces);
}

void rk_scan_maxima(rk_machine *m, rk_scan *rows, int n, int count) {
  for (int i = 0; i < n; i++) rows[i].nan = 0;
  scan(m, rows, n, count, NULL);
}

void rk_scan_sums(rk_machine *m, rk_scan *rows, int n, int count, const double *constants) {
  scan(m, rows, n, count, constants);
}
