// copy_pages.c: copies pages, K and V, in every layer before a step.
#include "machine.h"
#include "scalar_ops.h"
#include <string.h>

void op_copy_pages(void *arg, int layer, int thread) {
  const phase *ph = arg;
  const rk_machine *m = ph->m;
  const rk_kv *kv = &m->kv[layer];
  (void)thread;
  for (int i = 0; i < m->batch.ncopies; i++) {
    rk_copy c = m->batch.copies[i];
    memmove(kv->k + c.dst * m->page_stride, kv->k + c.src * m->page_stride, (size_t)m->k_bytes);
    memmove(kv->v + c.dst * m->page_stride, kv->v + c.src * m->page_stride, (size_t)m->v_bytes);
  }
}
