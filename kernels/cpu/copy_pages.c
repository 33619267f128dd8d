// copy_pages.c: copies pages, K and V, in every layer before a step.
#include "machine.h"
#include "scalar_ops.h"
#include <string.h>

void op_copy_pages(void *arg, int layer, int thread) {
  const phase *ph = arg;
  const rk_machine *m = ph->m;
  const rk_kv *kv = &m->kv[layer];
  int64_t n = m->page_bytes;
  (void)thread;
  for (int i = 0; i < m->batch.ncopies; i++) {
    rk_copy c = m->batch.copies[i];
    memmove(kv->k + c.dst * n, kv->k + c.src * n, (size_t)n);
    memmove(kv->v + c.dst * n, kv->v + c.src * n, (size_t)n);
  }
}
