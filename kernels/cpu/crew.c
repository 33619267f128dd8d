// crew.c: see crew.h, whose numbers are repeated here.
#include "crew.h"
#include <string.h>

enum { WEIGHTS_ROWS = 6 }; // reading the weights takes about as long as computing so many rows

void crew_init(crew *c, int threads) {
  memset(c, 0, sizeof *c);
  c->threads = threads;
  for (int i = 0; i < CREW_CLASSES; i++) c->classes[i].use = threads, c->classes[i].pause = CREW_PAUSE;
}

static int class_of(int rows) {
  int i = 0;
  while (i + 1 < CREW_CLASSES && rows >> (i + 1)) i++;
  return i;
}

int crew_threads(const crew *c, int rows) { return c->classes[class_of(rows)].use; }

static void longer_pause(crew_class *k) {
  k->pause *= 2;
  if (k->pause > CREW_LONGEST_PAUSE) k->pause = CREW_LONGEST_PAUSE;
}

// attempt begins a trial of so many threads.
static void attempt(crew_class *k, int threads) {
  k->other = k->use, k->other_cost = k->cost;
  k->use = threads;
}

// verdict ends one. A number that is hardly better is not worth a change.
static void verdict(crew_class *k, int64_t now) {
  if (k->cost > 0.97 * k->other_cost) {
    k->use = k->other;
    longer_pause(k);
  }
  k->other = 0;
  k->next = now + k->pause;
}

static void window_done(const crew *c, crew_class *k, int64_t now) {
  int late = k->late > 0 ? k->late : 1, disturbed = 2 * k->lost * k->use > k->time * late; // 1
  k->cost = (double)k->time / (double)k->work;
  if (k->other) {
    verdict(k, now);
    return;
  }
  if (now < k->next) return;
  if (now > k->next + CREW_LONGEST_PAUSE && k->use == c->threads) k->pause = CREW_PAUSE;
  if (disturbed && k->use > 1) attempt(k, k->use > late ? k->use - late : 1); // 2
  else if (k->use < c->threads) attempt(k, c->threads);                       // 3
}

void crew_done(crew *c, int rows, const crew_step *s) {
  if (c->threads == 1) return;
  crew_class *k = &c->classes[class_of(rows)];
  k->time += s->time, k->work += rows + WEIGHTS_ROWS, k->lost += s->lost;
  if (s->late > k->late) k->late = s->late;
  if (k->time < CREW_WINDOW) return;
  window_done(c, k, s->end);
  k->time = k->work = k->lost = 0, k->late = 0;
}
