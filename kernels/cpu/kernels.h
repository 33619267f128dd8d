// kernels.h: all ops for the instruction set that the including file chose.
#include "vec.h"
#include "tile.h"
#include "prepare.h"
#include "rmsnorm.h"
#include "act_mul.h"
#include "linear.h"
#include "combine.h"
#include "store_kv.h"
#include "store_latent.h"
#include "attention.h"
#include "scan.h"

#define RK_KERNELS(NAME) .name = NAME, .rmsnorm = op_rmsnorm, .prepare = op_prepare, .linear = op_linear, .act_mul = op_act_mul, \
  .combine = op_combine, .store_kv = op_store_kv, .store_latent = op_store_latent, .attention = op_attention, .attention_merge = op_attention_merge, .scan = op_scan
