// experts.c: out[r] = Σ g·(down_e·act(gateUp_e·x[r] + b) + b) over row r's
// experts, best first, or +=.
//
// The pairs of a row and one of its experts are sorted by expert, by counting;
// a pair's place then is its slot. Each expert's rows are one matrix product
// per matrix, all experts' products run at once:
//
//   slots[r*topk+k]   the slot of row r's k-th expert
//   slot_row[slot]    the row of a slot
//   starts[e]         expert e's first slot; starts[experts]: how many there are
//   between [slot]    act(gate, up); wide: gate and up side by side, where their
//                     formats differ
//   result [slot]     down's output, which combine.h weighs and sums
//
// A product's sums depend on its row alone, so neither the rows that share an
// expert nor their number matter. Rows go through in batches of EXPERT_ROWS.
#include "phases.h"
#include <string.h>

static void sort_pairs(phase *ph, int rows) {
  rk_machine *m = ph->m;
  const rk_op *op = ph->op;
  int topk = op->routing.topk, n = op->experts.count;
  const int32_t *expert = op->routing.expert + (int64_t)ph->base * topk;
  int32_t *next = m->starts + 1; // becomes starts as slots are given out
  memset(m->starts, 0, sizeof *m->starts * (size_t)(n + 2));
  for (int i = 0; i < rows * topk; i++) next[expert[i] + 1]++;
  for (int e = 0; e < n; e++) next[e + 1] += next[e];
  for (int i = 0; i < rows * topk; i++) {
    m->slots[i] = next[expert[i]]++;
    m->slot_row[m->slots[i]] = i / topk;
  }
}

static rk_buf row_of(rk_buf b, int64_t row) {
  b.p += row * b.ld;
  return b;
}

// experts_products runs up, with the rows of x as inputs, or down, with the slots of x.
static void experts_products(phase *ph, const rk_linear *all, rk_buf x, rk_buf out, int rows, int by_slot) {
  const rk_experts *x_op = &ph->op->experts;
  rk_machine *m = ph->m;
  int n = 0;
  ph->x = x, ph->rows = rows, ph->acts = 0;
  for (int e = 0; e < x_op->count; e++) {
    int first = m->starts[e], count = m->starts[e + 1] - first;
    if (!count) continue;
    product *p = &m->products[n++];
    *p = (product){.l = &all[e], .act = &x_op->act, .out = row_of(out, first), .f32 = x.p, .f32_ld = x.ld, .rows = count};
    if (by_slot) p->f32 += first * p->f32_ld, p->first = first;
    else p->from = m->slot_row + first;
    ph->acts |= all[e].acts;
  }
  prepare(ph, 1, x.cols);
  run_products(ph, m->products, n);
}

void run_experts(phase *ph) {
  rk_machine *m = ph->m;
  const rk_op *op = ph->op;
  const rk_experts *x = &op->experts;
  int all = ph->rows;
  rk_buf between = m->between, wide = m->wide, result = m->result;
  between.cols = x->inner, wide.cols = 2 * x->inner;
  for (ph->base = 0; ph->base < all; ph->base += EXPERT_ROWS) {
    int rows = min_int(all - ph->base, EXPERT_ROWS), slots = rows * op->routing.topk;
    sort_pairs(ph, rows);
    experts_products(ph, x->up, row_of(op->x, ph->base), x->wide ? wide : between, rows, 0);
    if (x->wide) {
      ph->x = wide, ph->out = between, ph->rows = slots;
      by_rows(ph, m->k->act_mul);
    }
    experts_products(ph, x->down, between, result, slots, 1);
    ph->x = result, ph->rows = rows;
    by_rows(ph, m->k->combine);
  }
}
