// products.c: matrix products as chunks for the pool, one or many at once.
#include "phases.h"

enum {
  FEW_ROWS = 16,          // up to here a product is bound by memory: all rows in one chunk
  GRAIN_BYTES = 48 << 10, // weights in a chunk then
};

void by_rows(phase *ph, pool_fn fn) {
  ph->grain = 8;
  int n = divide_up(ph->rows, ph->grain);
  if (n == 1) fn(ph, 0, 0);
  else pool_run(ph->m->pool, fn, ph, n);
}

void prepare(phase *ph, int heads, int cols) {
  int rows = ph->rows;
  rk_machine *m = ph->m;
  ph->i8_ld = divide_up(cols, 64), ph->bf16_ld = divide_up(cols, 64) * 64;
  if (m->fed) {
    act_i8 *i8 = m->i8;
    uint16_t *bf16 = m->bf16;
    m->i8 = m->next_i8, m->bf16 = m->next_bf16, m->next_i8 = i8, m->next_bf16 = bf16;
    m->fed = 0;
    return;
  }
  if (ph->acts == RK_ACT_F32 && !ph->norm && !ph->gather) return;
  ph->x.cols = cols, ph->head_rows = rows, ph->rows = heads * rows;
  by_rows(ph, ph->m->k->prepare);
  ph->rows = rows;
}

static int panels_a_chunk(const phase *ph, const product *p, const rk_mat *m) {
  if (ph->feed) return FEED_PANELS;
  if (p->rows > FEW_ROWS) return 1;
  int64_t n = GRAIN_BYTES / m->panel_bytes;
  int most = m->panels / (4 * pool_used(ph->m->pool)); // four chunks a thread to balance with
  return n > most ? (most < 1 ? 1 : most) : n < 1 ? 1 : (int)n;
}

int feeds(const phase *ph, int chunks) { return chunks >= 2 * pool_used(ph->m->pool) ? ph->op->feeds : 0; }

// cut decides on a product's chunks and returns how many there are.
static int64_t cut(const phase *ph, product *p) {
  const rk_linear *l = p->l;
  p->panels = 0;
  for (int i = 0; i < l->nmats; i++) {
    p->panel_chunk[i] = panels_a_chunk(ph, p, &l->mats[i]);
    p->panels += divide_up(l->mats[i].panels, p->panel_chunk[i]);
  }
  int parts = divide_up(p->rows, MAX_TOKENS);
  p->tokens_chunk = min_int(divide_up(divide_up(p->rows, parts), MAX_TILE) * MAX_TILE, MAX_TOKENS);
  return (int64_t)p->panels * divide_up(p->rows, p->tokens_chunk);
}

void run_products(phase *ph, product *p, int n) {
  ph->products = p;
  for (int i = 0; i < n;) { // as many at once as the pool can count
    int64_t chunks = 0, more;
    for (ph->products = p + i, ph->nproducts = 0; i < n; i++, ph->nproducts++, chunks += more) {
      more = cut(ph, &p[i]);
      if (chunks + more > POOL_MAX_CHUNKS) break;
      p[i].chunk = (int)chunks;
    }
    if (ph->nproducts > 0) {
      pool_run(ph->m->pool, ph->m->k->linear, ph, (int)chunks);
      continue;
    }
    p[i].chunk = 0, ph->nproducts = 1; // beyond any real shape
    for (int64_t c = 0, all = cut(ph, &p[i]); c < all; c++) ph->m->k->linear(ph, (int)c, 0);
    i++;
  }
}
