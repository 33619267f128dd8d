// pool.c: see pool.h.
//
// A thread's range is one 64-bit word {run:24, end:20, next:20}. Claiming is a
// compare-and-swap on it, so a late thread that still thinks of an old run
// cannot take anything. fn and arg are read after a claim: a claimed chunk
// keeps its run from ending, hence them from changing.
//
// Sleeping pairs two flags in sequentially consistent order: the sleeper sets
// asleep, then looks for work once more; the waker publishes work, then looks
// at asleep. So at least one of them sees the other.
#include "pool.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ __volatile__("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { SPIN_NS = 50000, CHUNK_BITS = 20, CHUNK_MASK = (1 << CHUNK_BITS) - 1, RUN_SHIFT = 2 * CHUNK_BITS };

typedef struct {
  _Alignas(64) atomic_ullong range;
  _Alignas(64) atomic_int asleep;
  atomic_int holds; // a chunk, at present
  pthread_mutex_t mu;
  pthread_cond_t wake;
} seat;

typedef struct { pool *p; int thread; } start;

struct pool {
  int threads, started;
  atomic_int used;  // changed between runs; a thread late for an old one may look on
  int late;         // see pool_late
  seat *seats;
  start *starts;
  pthread_t *ids;
  _Alignas(64) atomic_int done;
  _Alignas(64) pool_fn fn;
  void *arg;
  int n;
  uint32_t run;
  atomic_int quit;
};

uint32_t pool_float_mode(void) {
#if defined(__x86_64__)
  uint32_t old = _mm_getcsr();
  _mm_setcsr(old | 0x8040);
  return old;
#else
  return 0;
#endif
}
void pool_float_restore(uint32_t mode) {
#if defined(__x86_64__)
  _mm_setcsr(mode);
#else
  (void)mode;
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t run_of(unsigned long long range) { return (uint32_t)(range >> RUN_SHIFT); }

static int claim(seat *s, uint32_t run) {
  unsigned long long r = atomic_load_explicit(&s->range, memory_order_acquire);
  for (;;) {
    if (run_of(r) != run || (r & CHUNK_MASK) >= (r >> CHUNK_BITS & CHUNK_MASK)) return -1;
    if (atomic_compare_exchange_weak(&s->range, &r, r + 1)) return (int)(r & CHUNK_MASK);
  }
}

static void wake(seat *s) {
  if (!atomic_load(&s->asleep)) return;
  pthread_mutex_lock(&s->mu);
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->mu);
}

// work claims and steals until nothing of the run is left
static void work(pool *p, int thread, uint32_t run) {
  atomic_int *holds = &p->seats[thread].holds;
  for (int k = 0, used = pool_used(p); k < used; k++) {
    seat *s = &p->seats[(thread + k) % used];
    for (int c; (c = claim(s, run)) >= 0;) {
      int n = p->n;
      atomic_store_explicit(holds, 1, memory_order_relaxed);
      p->fn(p->arg, c, thread);
      atomic_store_explicit(holds, 0, memory_order_relaxed);
      if (atomic_fetch_add(&p->done, 1) + 1 == n && thread) wake(&p->seats[0]);
    }
  }
}

// ready says whether a thread's wait is over: thread 0 waits for the run's end
static int ready(pool *p, int thread, uint32_t seen) {
  if (thread == 0) return atomic_load(&p->done) == p->n;
  return run_of(atomic_load(&p->seats[thread].range)) != seen || atomic_load(&p->quit);
}

static void count_late(pool *p) {
  int late = 0;
  for (int i = 1; i < pool_used(p); i++) late += atomic_load_explicit(&p->seats[i].holds, memory_order_relaxed);
  if (late > p->late) p->late = late;
}

static void await(pool *p, int thread, uint32_t seen) {
  seat *s = &p->seats[thread];
  int64_t limit = 0;
  for (int i = 1; !ready(p, thread, seen); i++) {
    PAUSE();
    if (i % 64) continue;
    int64_t now = now_ns();
    if (!limit) limit = now + SPIN_NS;
    if (now < limit) continue;
    if (thread == 0) count_late(p);
    pthread_mutex_lock(&s->mu);
    atomic_store(&s->asleep, 1);
    while (!ready(p, thread, seen)) pthread_cond_wait(&s->wake, &s->mu);
    atomic_store(&s->asleep, 0);
    pthread_mutex_unlock(&s->mu);
    return;
  }
}

static void *thread_main(void *arg) {
  start *s = arg;
  pool *p = s->p;
  int thread = s->thread;
  uint32_t seen = 0;
  pool_float_mode();
  for (;;) {
    await(p, thread, seen);
    if (atomic_load(&p->quit)) return NULL;
    seen = run_of(atomic_load(&p->seats[thread].range));
    work(p, thread, seen);
  }
}

void pool_run(pool *p, pool_fn fn, void *arg, int n) {
  const int used = pool_used(p);
  if (used == 1 || n <= 1) {
    for (int c = 0; c < n; c++) fn(arg, c, 0);
    return;
  }
  p->fn = fn, p->arg = arg, p->n = n;
  uint32_t run = p->run = (p->run + 1) & 0xffffff;
  atomic_store(&p->done, 0);
  for (int i = used - 1; i >= 0; i--) {
    unsigned long long lo = (unsigned long long)n * i / used, hi = (unsigned long long)n * (i + 1) / used;
    atomic_store(&p->seats[i].range, (unsigned long long)run << RUN_SHIFT | hi << CHUNK_BITS | lo);
    if (i) wake(&p->seats[i]);
  }
  work(p, 0, run);
  await(p, 0, 0);
}

int pool_threads(const pool *p) { return p->threads; }
int pool_used(const pool *p) { return atomic_load_explicit(&p->used, memory_order_relaxed); }
void pool_use(pool *p, int n) { atomic_store_explicit(&p->used, n < 1 ? 1 : n > p->threads ? p->threads : n, memory_order_relaxed); }

int pool_late(pool *p) {
  int late = p->late;
  p->late = 0;
  return late;
}

pool *pool_new(int threads) {
  if (threads < 1) threads = 1;
  if (threads > POOL_MAX_THREADS) threads = POOL_MAX_THREADS;
  pool *p = NULL;
  if (posix_memalign((void **)&p, 64, sizeof *p)) return NULL;
  *p = (pool){.threads = threads};
  atomic_init(&p->used, threads);
  p->starts = calloc((size_t)threads, sizeof *p->starts);
  p->ids = calloc((size_t)threads, sizeof *p->ids);
  if (posix_memalign((void **)&p->seats, 64, sizeof *p->seats * (size_t)threads)) p->seats = NULL;
  if (!p->seats || !p->starts || !p->ids) { pool_free(p); return NULL; }
  for (int i = 0; i < threads; i++) {
    atomic_init(&p->seats[i].range, 0);
    atomic_init(&p->seats[i].asleep, 0);
    atomic_init(&p->seats[i].holds, 0);
    pthread_mutex_init(&p->seats[i].mu, NULL);
    pthread_cond_init(&p->seats[i].wake, NULL);
  }
  for (p->started = 1; p->started < threads; p->started++) {
    start *s = &p->starts[p->started];
    *s = (start){p, p->started};
    if (pthread_create(&p->ids[p->started], NULL, thread_main, s)) { pool_free(p); return NULL; }
  }
  return p;
}

void pool_free(pool *p) {
  if (!p) return;
  atomic_store(&p->quit, 1);
  for (int i = 1; i < p->started; i++) wake(&p->seats[i]);
  for (int i = 1; i < p->started; i++) pthread_join(p->ids[i], NULL);
  free(p->seats);
  free(p->starts);
  free(p->ids);
  free(p);
}
