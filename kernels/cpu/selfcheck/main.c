// main.c: the kernels against plain arithmetic, for processors that no Go
// toolchain of ours runs on: a program without Go, for an emulator or a board.
// It checks every instruction set that runs, in both modes:
//
//   linear     each weight format, against sums in double over rk_mat_row
//   attention  against softmax in double
//   alone      a row computed alone has the bits that it has among others
//
// It prints a line a check and ends with 1 if one failed.
#include "../machine.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 13, OUTS = 75, COLS = 512, HEADS = 6, KV_HEADS = 2, DIM = 32, TOKENS = 70, MAX_ROWS = 80 };

static const char *const formats[RK_FORMATS] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_K", "Q4_K", "Q6_K", "MXFP4"};
static const int block_k[RK_FORMATS] = {1, 1, 1, 32, 32, 32, 256, 256, 256, 32}, block_bytes[RK_FORMATS] = {4, 2, 2, 34, 18, 20, 176, 144, 210, 17};
static int failures;

static uint32_t random32(void) {
  static uint64_t s = 88172645463325252u;
  s ^= s << 13, s ^= s >> 7, s ^= s << 17;
  return (uint32_t)(s >> 16);
}
static float random_float(void) { return (float)(int32_t)random32() * 0x1p-31f; }

static void report(const char *isa, int float32, const char *what, double error, double limit) {
  int bad = !(error <= limit);
  failures += bad;
  printf("%-12s %-8s %-18s %.1e of %.1e %s\n", isa, float32 ? "float32" : "default", what, error, limit, bad ? "FAILED" : "ok");
}

// random_blocks is n weights as a file has them, scales between 0.002 and 0.004.
static void random_blocks(int fmt, uint8_t *w, int n) {
  for (int i = 0; i < n / block_k[fmt]; i++, w += block_bytes[fmt]) {
    for (int j = 0; j < block_bytes[fmt]; j++) w[j] = (uint8_t)random32();
    int scales[2] = {0, -1};
    switch (fmt) {
      case RK_F32: w[3] = (w[3] & 0x80) | 0x3c; continue;
      case RK_F16: w[1] = (w[1] & 0x83) | 0x28; continue;
      case RK_BF16: w[1] = (w[1] & 0x80) | 0x3c; continue;
      case RK_MXFP4: w[0] = 118 + random32() % 4; continue;
      case RK_Q4_1: case RK_Q4_K: case RK_Q5_K: scales[1] = 2; break;
      case RK_Q6_K: scales[0] = 208;
    }
    for (int s = 0; s < 2; s++)
      if (scales[s] >= 0) w[scales[s] + 1] = (w[scales[s] + 1] & 0x83) | 0x18;
  }
}

static rk_machine *machine(int isa, int float32) {
  rk_config c = {.isa = isa, .threads = 2, .float32 = float32, .max_rows = MAX_ROWS, .max_seqs = 1, .max_context = 128, .max_copies = 1};
  rk_machine *m = rk_machine_new(&c);
  if (!m) exit(2);
  return m;
}
static rk_buf buffer(rk_machine *m, int cols) {
  int ld = (cols + 15) / 16 * 16;
  return (rk_buf){rk_arena_alloc(rk_machine_arena(m), (size_t)MAX_ROWS * (size_t)ld * 4), cols, ld};
}

// error is the largest difference as a share of the largest number.
static double error(const rk_buf *got, const double *want, int rows, int cols) {
  double most = 0, top = 1e-30;
  for (int i = 0; i < rows * cols; i++) {
    double d = fabs((double)got->p[i / cols * got->ld + i % cols] - want[i]);
    if (!(d <= most)) most = d;
    if (fabs(want[i]) > top) top = fabs(want[i]);
  }
  return most / top;
}

static void linear(int isa, int float32, int fmt) {
  rk_machine *m = machine(isa, float32);
  rk_mat w;
  rk_mat_init(&w, fmt, OUTS, COLS, 0);
  w.w = rk_arena_alloc_huge(rk_machine_arena(m), (size_t)(w.panels * w.panel_bytes));
  uint8_t *file = malloc((size_t)(OUTS * COLS / block_k[fmt] * block_bytes[fmt]));
  random_blocks(fmt, file, OUTS * COLS);
  rk_mat_pack(&w, 0, OUTS, file, 0);
  rk_op op = {.kind = RK_LINEAR, .x = buffer(m, COLS), .out = buffer(m, OUTS), .linear = {.mats = &w, .nmats = 1, .acts = rk_linear_acts(m, fmt)}};
  static double want[ROWS * OUTS];
  static float row[COLS], first[OUTS];
  for (int r = 0; r < ROWS; r++)
    for (int k = 0; k < COLS; k++) op.x.p[r * op.x.ld + k] = random_float();
  for (int o = 0; o < OUTS; o++) {
    rk_mat_row(&w, o, row);
    for (int r = 0; r < ROWS; r++) {
      double s = 0;
      for (int k = 0; k < COLS; k++) s += (double)row[k] * (double)op.x.p[r * op.x.ld + k];
      want[r * OUTS + o] = s;
    }
  }
  if (rk_machine_ready(m, &op, 1)) exit(2);
  rk_machine_batch(m)->rows = ROWS;
  rk_forward(m);
  // inputs are rounded to 7 bits beside block formats, to 8 beside bfloat16
  report(rk_isa_name(isa), float32, formats[fmt], error(&op.out, want, ROWS, OUTS), op.linear.acts == RK_ACT_F32 ? 2e-6 : 1.5e-2);
  memcpy(first, op.out.p, sizeof first);
  rk_machine_batch(m)->rows = 1;
  rk_forward(m);
  if (memcmp(first, op.out.p, sizeof first)) report(rk_isa_name(isa), float32, "alone", INFINITY, 0);
  rk_machine_free(m);
  free(file);
}

// attend is one row's reference: queries, keys and values side by side in x.
static void attend(const rk_buf *x, int row, double *out) {
  for (int h = 0; h < HEADS; h++) {
    double p[TOKENS], sum = 0;
    for (int t = 0; t <= row; t++) {
      const float *q = x->p + row * x->ld + h * DIM, *k = x->p + t * x->ld + (HEADS + h / (HEADS / KV_HEADS)) * DIM;
      double s = 0;
      for (int d = 0; d < DIM; d++) s += (double)q[d] * (double)k[d];
      sum += p[t] = exp(s / 4);
    }
    for (int d = 0; d < DIM; d++) {
      double s = 0;
      for (int t = 0; t <= row; t++) s += p[t] / sum * (double)x->p[t * x->ld + (HEADS + KV_HEADS + h / (HEADS / KV_HEADS)) * DIM + d];
      out[h * DIM + d] = s;
    }
  }
}

static void attention(int isa, int float32) {
  rk_machine *m = machine(isa, float32);
  rk_kv kv;
  if (rk_machine_kv(m, 1, 4, KV_HEADS, DIM, DIM, &kv)) exit(2);
  rk_buf x = buffer(m, (HEADS + 2 * KV_HEADS) * DIM), out = buffer(m, HEADS * DIM);
  float *rope = rk_arena_alloc(rk_machine_arena(m), 128 * 2 * 4); // a pair that is not turned
  for (int p = 0; p < 128; p++) rope[2 * p] = 1;
  rk_attention a = {.heads = HEADS, .kv_heads = KV_HEADS, .dim = DIM, .vdim = DIM, .scale = 0.25f, .rope = rope, .half = 1, .kv = kv};
  rk_op ops[2] = {{.kind = RK_STORE_KV, .x = x, .out = x, .attn = a}, {.kind = RK_ATTENTION, .x = x, .out = out, .attn = a}};
  static double want[TOKENS * HEADS * DIM];
  rk_batch *b = rk_machine_batch(m);
  b->rows = TOKENS, b->nseqs = 1, b->seqs[0] = (rk_seq){.count = TOKENS, .length = TOKENS};
  for (int i = 0; i < 4; i++) b->pages[i] = 3 - i;
  for (int r = 0; r < TOKENS; r++) {
    b->pos[r] = r, b->seq[r] = 0;
    for (int i = 0; i < x.cols; i++) x.p[r * x.ld + i] = random_float();
  }
  for (int r = 0; r < TOKENS; r++) attend(&x, r, want + r * HEADS * DIM);
  if (rk_machine_ready(m, ops, 2)) exit(2);
  rk_forward(m);
  report(rk_isa_name(isa), float32, "attention", error(&out, want, TOKENS, HEADS * DIM), float32 ? 1e-5 : 2e-2);
  rk_machine_free(m);
}

int main(void) {
  for (int isa = 0; isa < RK_ISAS; isa++) {
    if (!rk_isa_runs(isa)) continue;
    for (int float32 = 0; float32 < 2; float32++) {
      for (int fmt = 0; fmt < RK_FORMATS; fmt++) linear(isa, float32, fmt);
      attention(isa, float32);
    }
  }
  printf(failures ? "%d checks failed\n" : "all checks passed\n", failures);
  return failures != 0;
}
