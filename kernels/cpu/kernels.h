// kernels.h: all ops for the instruction set that the including file chose.
#include "vec.h"
#include "tile.h"
#include "prepare.h"
#include "rmsnorm.h"
#include "silu_mul.h"
#include "linear.h"
#include "store_kv.h"
#include "attention.h"

#define RK_KERNELS(NAME) .name = NAME, .rmsnorm = op_rmsnorm, .prepare = op_prepare, .linear = op_linear, .silu_mul = op_silu_mul, \
  .store_kv = op_store_kv, .attention = op_attention, .attention_merge = op_attention_merge
