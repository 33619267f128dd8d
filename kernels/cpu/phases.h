// phases.h: how ops are cut into chunks for the pool, and matrix products in
// particular.
#ifndef RK_PHASES_H
#define RK_PHASES_H

#include "machine.h"

// panels of a gated matrix whose outputs are a whole piece, 64, of the next input
enum { FEED_PANELS = 4 };

static inline int min_int(int a, int b) { return a < b ? a : b; }
static inline int divide_up(int a, int b) { return (a + b - 1) / b; }

// by_rows runs fn over ph->rows rows. Few rows stay on this thread: a barrier
// costs more than they do.
void by_rows(phase *ph, pool_fn fn);

// prepare makes the forms ph->acts of the input ph->x, heads pieces of cols
// columns a row (see phase.head_rows), rows ph->rows; only what is not there.
// If the op before has fed this one, they are.
void prepare(phase *ph, int heads, int cols);

// feeds is the form in which an op of so many chunks makes the next one's input:
// chunks that are made large for it must still be enough for the threads.
int feeds(const phase *ph, int chunks);

// run_products runs n products, whose l, out, f32, from, first and rows are
// set, over input forms that prepare made.
void run_products(phase *ph, product *p, int n);

// run_experts is the op RK_EXPERTS.
void run_experts(phase *ph);

#endif
