// scalar_ops.h: ops that need no vectors.
#ifndef RK_SCALAR_OPS_H
#define RK_SCALAR_OPS_H

void op_embed(void *arg, int chunk, int thread);
// op_copy_pages: a chunk is a layer; its copies are done in order.
void op_copy_pages(void *arg, int chunk, int thread);

// op_route: a chunk is grain rows.
void op_route(void *arg, int chunk, int thread);

#endif
