// route.c: from a row's logits to its experts and their weights, in double
// precision as the choice must not hang on rounding. A chunk is grain rows.
#include "machine.h"
#include "scalar_ops.h"
#include <math.h>

// best fills ids with the indices of the k largest of n scores, largest first,
// the lower index first among equals. A NaN is below every number. An index
// already in ids is taken.
static void best(int32_t *ids, int k, const double *scores, int n) {
  for (int i = 0; i < k; i++) {
    int at = -1;
    for (int j = 0; j < n; j++) {
      if (at >= 0 && !(scores[j] > scores[at] || (scores[at] != scores[at] && scores[j] == scores[j]))) continue;
      int taken = 0;
      for (int t = 0; t < i; t++) taken |= ids[t] == j;
      if (!taken) at = j;
    }
    ids[i] = at;
  }
}

static void softmax(double *x, int n) {
  double top = -INFINITY, sum = 0;
  for (int i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
  for (int i = 0; i < n; i++) sum += x[i] = exp(x[i] - top);
  for (int i = 0; i < n; i++) x[i] /= sum;
}

// keep_groups makes -inf of the scores outside the top groups, those with the
// largest sum of their two best scores. sums and kept are room for groups.
static void keep_groups(double *scores, int n, int groups, int top, double *sums, int32_t *kept) {
  int size = n / groups, few = size < 2 ? size : 2;
  for (int g = 0; g < groups; g++) {
    int32_t two[2];
    best(two, few, scores + g * size, size);
    sums[g] = 0;
    for (int i = 0; i < few; i++) sums[g] += scores[g * size + two[i]];
  }
  best(kept, top, sums, groups);
  for (int i = 0; i < n; i++) {
    int keep = 0;
    for (int t = 0; t < top; t++) keep |= kept[t] == i / size;
    if (!keep) scores[i] = -INFINITY;
  }
}

// weigh sets the weights of the chosen experts, whose scores are given.
static void weigh(const rk_router *s, int topk, const int32_t *expert, double *scores, double *chosen, float *weight) {
  double sum = 0;
  for (int k = 0; k < topk; k++) sum += chosen[k] = scores[expert[k]];
  if (s->scoring == RK_TOPK_SOFTMAX) softmax(chosen, topk), sum = 1;
  else if (!s->normalize) sum = 1;
  else if (s->scoring == RK_SIGMOID_TOPK) sum += 1e-20;
  for (int k = 0; k < topk; k++) weight[k] = (float)(chosen[k] / sum * (double)s->scale);
}

void op_route(void *arg, int chunk, int thread) {
  const phase *ph = arg;
  const rk_op *op = ph->op;
  const rk_router *s = &op->router;
  int n = op->x.cols, topk = op->routing.topk;
  double *scores = ph->m->scores + (int64_t)thread * SCORES * ph->m->max_experts, *choice = scores + n, *sums = choice + n;
  int32_t *kept = (int32_t *)(sums + n);
  for (int r = chunk * ph->grain; r < ph->rows && r < (chunk + 1) * ph->grain; r++) {
    const float *x = op->x.p + (int64_t)r * op->x.ld;
    int32_t *expert = op->routing.expert + (int64_t)r * topk;
    for (int i = 0; i < n; i++) scores[i] = s->scoring == RK_SIGMOID_TOPK ? 1 / (1 + exp(-(double)x[i])) : (double)x[i];
    if (s->scoring == RK_SOFTMAX_TOPK) softmax(scores, n);
    for (int i = 0; i < n; i++) choice[i] = scores[i] + (s->correction ? (double)s->correction[i] : 0);
    if (s->groups) keep_groups(choice, n, s->groups, s->top_groups, sums, kept);
    best(expert, topk, choice, n);
    weigh(s, topk, expert, scores, sums, op->routing.weight + (int64_t)r * topk);
  }
}
