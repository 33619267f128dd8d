// rk.h: what Go sees of the CPU kernels: matrices, the batch, the program's ops
// and the machine that runs them.
//
// A program is an array of rk_op, built once. rk_forward replays it over the
// batch in one call, on the machine's own threads. Nothing here allocates after
// rk_machine_ready, nothing fails on any float value, and every index in the
// batch was checked by the caller.
//
// Determinism: an output element is summed in an order that does not depend on
// the other rows, on how work is cut, on threads or on page numbers. It may
// differ between instruction sets.
#ifndef RK_H
#define RK_H

#include <stddef.h>
#include <stdint.h>

enum { RK_PAGE = 32 };     // tokens in a KV page
enum { RK_PANEL = 32 };    // output rows in a panel of packed weights
enum { RK_MAX_DIM = 256 }; // largest head dimension
enum { RK_MAX_KEY = 640 }; // most elements of a token in latent attention
enum { RK_MAX_MATS = 8 };  // matrices side by side in a linear op

// Element formats, numbered as in package quant.
enum { RK_F32, RK_F16, RK_BF16, RK_Q8_0, RK_Q4_0, RK_Q4_1, RK_Q5_K, RK_Q4_K, RK_Q6_K, RK_MXFP4, RK_FORMATS };

// Instruction sets, worst first.
enum { RK_GENERIC, RK_NEON, RK_NEON_DOT, RK_AVX2, RK_AVX512, RK_ISAS };

// rk_isa_runs: was isa compiled in, and does this processor run it?
int rk_isa_runs(int isa);
const char *rk_isa_name(int isa);

// ---- memory -----------------------------------------------------------------

// An arena hands out zeroed memory, 64-byte aligned. It is freed as a whole.
// NULL: out of memory. alloc's is held as it is touched, page by page: buffers are
// made for the largest batch and mostly used for a few rows. alloc_huge's lies on
// huge pages where the system has them: weights and KV, filled from end to end.
typedef struct rk_arena rk_arena;
rk_arena *rk_arena_new(void);
void rk_arena_free(rk_arena *a);
void *rk_arena_alloc(rk_arena *a, size_t bytes);
void *rk_arena_alloc_huge(rk_arena *a, size_t bytes);

// ---- weights ----------------------------------------------------------------

// rk_mat is rows x cols weights of one format, packed into panels (pack.h draws
// them). With gated, rows counts gate rows; as many up rows lie beside them.
typedef struct rk_mat {
  int32_t fmt, rows, cols, gated;
  int32_t panels;
  int64_t panel_bytes;
  int32_t out;         // output column of row 0
  uint8_t *w;
  float *bias;         // [rows], NULL: none
} rk_mat;

// rk_mat_init fills in the sizes; the caller sets w to panels*panel_bytes bytes.
void rk_mat_init(rk_mat *m, int fmt, int rows, int cols, int gated);
// rk_mat_pack packs rows [first, first+n) of m from rows in the file's layout,
// back to back at src. up: of a gated matrix, the up half. Calls for different
// rows may run at once.
void rk_mat_pack(const rk_mat *m, int first, int n, const uint8_t *src, int up);
// rk_mat_row writes row r as float32.
void rk_mat_row(const rk_mat *m, int r, float *dst);

// ---- the batch --------------------------------------------------------------

typedef struct { int32_t slot, first, count, length, table; } rk_seq;
typedef struct { int32_t src, dst; } rk_copy;

// rk_batch is backend.Batch; the arrays are allocated once by rk_machine_new.
typedef struct rk_batch {
  int32_t rows, nseqs, ncopies, nlogits;
  int32_t *token, *pos, *seq; // [max_rows]
  rk_seq *seqs;               // [max_seqs]
  int32_t *pages;             // [max_seqs*max_pages_per_seq]
  rk_copy *copies;            // [max_copies]
  int32_t *logit_rows;        // [max_rows]
  int32_t *last;              // [max_seqs] last token sampled in a slot
} rk_batch;

// ---- the program ------------------------------------------------------------

typedef struct { float *p; int32_t cols, ld; } rk_buf; // [max_rows][ld]

// rk_kv is a layer's part of page 0. A page holds, for each KV head, K then V apart:
//   bf16: K [dim/2][32 keys][2]   V [16 key pairs][vdim][2]
//   f32:  K [dim][32 keys]        V [32 keys][vdim]
// Latent attention is that of one KV head whose keys are [latents | rotated
// tail] and whose values are the latents, which are stored twice so: as the
// rows of one matrix and as the columns of another.
typedef struct { uint8_t *k, *v; } rk_kv;

enum {
  RK_EMBED, RK_RMSNORM, RK_LINEAR, RK_GATED_MLP, RK_STORE_KV, RK_ATTENTION, RK_LOGITS, RK_ACT_MUL,
  RK_ROUTE, RK_EXPERTS, RK_HEAD_LINEAR, RK_STORE_LATENT, RK_LATENT_ATTENTION, RK_KINDS
};

// rk_act is the function of a gate g and an up u: silu(g)*u, or with
// RK_CLAMPED min(g,limit) * sigmoid(alpha*g) * (clamp(u,±limit) + 1).
enum { RK_SILU, RK_CLAMPED };
typedef struct { int32_t kind; float alpha, limit; } rk_act;

typedef struct {
  rk_mat *mats;        // outputs side by side
  int32_t nmats, add;
  int32_t acts;        // bit set of RK_ACT_…: the input forms that the matrices want
  int32_t exact;       // take the input as float32 whatever the format (acts says so)
  const float *norm;   // RMSNorm of the input on the way, NULL: none
  float eps;
  int32_t keep;        // with norm: write the normalised input to kept as well
  rk_buf kept;
} rk_linear;

typedef struct {
  int32_t heads, kv_heads, dim, vdim, window; // dim of a key, vdim of a value
  const float *q_norm, *k_norm; // NULL: none; latents: k_norm is theirs
  float norm_eps, scale;
  const float *rope;            // [max_context][2][half]: cosines, then sines
  int32_t half, interleaved;    // pair i is (2i, 2i+1) before, always (i, i+half) after
  const float *sinks;           // [heads], NULL: none
  // Latents: a head's query is vdim elements of the op's x, then dim-vdim of
  // tails, from column tail of head 0 on, tail_stride a head. tails.p NULL: all x.
  rk_buf tails;
  int32_t tail, tail_stride;
  int32_t stores;               // RK_ATTENTION: RK_STORE_KV of x comes first, with it
  rk_kv kv;
} rk_attention;

// rk_routing is [max_rows][topk] experts of a row, best first, and their weights.
typedef struct { int32_t *expert; float *weight; int32_t topk; } rk_routing;

enum { RK_SOFTMAX_TOPK, RK_TOPK_SOFTMAX, RK_SIGMOID_TOPK }; // as backend.Scoring
typedef struct {
  int32_t scoring, normalize, groups, top_groups; // groups 0: none
  float scale;
  const float *correction;      // [experts], NULL: none
} rk_router;

// rk_experts: up[e] has a gated matrix or, with wide, gate and up side by side.
typedef struct {
  const rk_linear *up, *down;   // [count]
  int32_t count, inner, wide, add;
  rk_act act;
} rk_experts;

// rk_heads: head h's input is columns offset+h*stride on, its output h*out_stride on.
typedef struct {
  const rk_linear *w;           // [count]
  int32_t count, in, offset, stride, out_stride;
} rk_heads;

typedef struct rk_op {
  int32_t kind;
  rk_buf out, x;
  const float *norm;  // RK_RMSNORM
  float eps;
  rk_linear linear;   // RK_EMBED (mats[0]), RK_LINEAR, RK_GATED_MLP, RK_LOGITS
  rk_attention attn;  // RK_STORE_KV, RK_ATTENTION; with latents: store x = kv, tails; attention x = absorbed
  rk_act act;         // RK_ACT_MUL
  // RK_GATED_MLP, RK_ATTENTION: the one form, RK_ACT_…, in which the next op, a
  // linear one, wants out, which nothing else reads; 0: something else does.
  int32_t feeds;
  rk_routing routing; // RK_ROUTE, RK_EXPERTS
  rk_router router;   // RK_ROUTE: x are logits
  rk_experts experts;
  rk_heads head;      // RK_HEAD_LINEAR
} rk_op;

// ---- the machine ------------------------------------------------------------

typedef struct {
  int32_t isa, threads, float32;
  int32_t max_rows, max_seqs, max_context, max_copies;
} rk_config;

typedef struct rk_machine rk_machine;

// NULL: out of memory, or threads could not be started.
rk_machine *rk_machine_new(const rk_config *c);
void rk_machine_free(rk_machine *m);
rk_arena *rk_machine_arena(rk_machine *m);
rk_batch *rk_machine_batch(rk_machine *m);
// rk_linear_acts is the set of input forms for a format.
int rk_linear_acts(const rk_machine *m, int fmt);
// rk_machine_kv allocates layers of pages for keys of dim and values of vdim
// elements; kv has room for layers. 0: done.
int rk_machine_kv(rk_machine *m, int layers, int pages, int kv_heads, int dim, int vdim, rk_kv *kv);
// rk_machine_ready takes the program (copied; mats stay the caller's) and
// allocates what its ops need. 0: done.
int rk_machine_ready(rk_machine *m, const rk_op *ops, int n);
// rk_forward copies the batch's pages, then runs the program over its rows.
void rk_forward(rk_machine *m);
// rk_forward_ops is rk_forward for ops first to end-1; the copies come with the
// first op.
void rk_forward_ops(rk_machine *m, int first, int end);
// rk_profile adds up the seconds of each kind of op while it is on (an array of
// RK_KINDS doubles); NULL: off.
void rk_profile(rk_machine *m, double *seconds);
// rk_pool_check runs n chunks of nothing on the machine's threads and returns
// how many ran, for tests of the pool.
int64_t rk_pool_check(rk_machine *m, int n, int rounds);

#endif
