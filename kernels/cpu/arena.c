// arena.c: zeroed memory in large chunks, freed as a whole. Small requests
// share a chunk, so that the weights of a small model lie on huge pages too.
#include "rk.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { CHUNK = 32 << 20, HUGE = 2 << 20 };

typedef struct chunk {
  struct chunk *next;
  uint8_t *map, *p;
  size_t mapped, used, size;
} chunk;

struct rk_arena { chunk *chunks; };

rk_arena *rk_arena_new(void) { return calloc(1, sizeof(rk_arena)); }

static chunk *chunk_new(size_t size) {
  chunk *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->mapped = size + HUGE;
  c->map = mmap(NULL, c->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (c->map == MAP_FAILED) { free(c); return NULL; }
  c->p = (uint8_t *)(((uintptr_t)c->map + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
  c->size = size;
#ifdef MADV_HUGEPAGE
  madvise(c->p, size, MADV_HUGEPAGE);
#endif
  return c;
}

void *rk_arena_alloc(rk_arena *a, size_t bytes) {
  bytes = (bytes + 63) & ~(size_t)63;
  if (!bytes) bytes = 64;
  chunk *c = a->chunks;
  if (!c || c->size - c->used < bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    c = chunk_new(bytes > CHUNK ? bytes : CHUNK);
    if (!c) return NULL;
    // a request with a chunk of its own goes behind the open chunk
    if (bytes > CHUNK && a->chunks) c->next = a->chunks->next, a->chunks->next = c;
    else c->next = a->chunks, a->chunks = c;
  }
  void *p = c->p + c->used;
  c->used += bytes;
  return p;
}

void rk_arena_free(rk_arena *a) {
  if (!a) return;
  for (chunk *c = a->chunks, *next; c; c = next) {
    next = c->next;
    munmap(c->map, c->mapped);
    free(c);
  }
  free(a);
}
