// arena.c: zeroed memory in large chunks, freed as a whole. Small requests
// share a chunk, so that the weights of a small model lie on huge pages too. What
// is not filled from end to end has chunks of its own on common pages: on a huge
// one the first byte of a buffer would cost 2 MiB.
#include "rk.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { CHUNK = 32 << 20, HUGE = 2 << 20 };

typedef struct chunk {
  struct chunk *next;
  uint8_t *map, *p;
  size_t mapped, used, size;
  int huge;
} chunk;

struct rk_arena { chunk *chunks; };

rk_arena *rk_arena_new(void) { return calloc(1, sizeof(rk_arena)); }

static chunk *chunk_new(size_t size, int huge) {
  chunk *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->mapped = size + (huge ? HUGE : 0);
  c->map = mmap(NULL, c->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (c->map == MAP_FAILED) { free(c); return NULL; }
  c->p = c->map, c->size = size, c->huge = huge;
  if (huge) c->p = (uint8_t *)(((uintptr_t)c->map + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
#ifdef MADV_HUGEPAGE
  madvise(c->p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  return c;
}

// take gives bytes from the first chunk of a kind that has room for them, else
// from a new one.
static void *take(rk_arena *a, size_t bytes, int huge) {
  if (bytes > SIZE_MAX / 2) return NULL;
  bytes = bytes ? (bytes + 63) & ~(size_t)63 : 64;
  chunk *c = a->chunks;
  while (c && (c->huge != huge || c->size - c->used < bytes)) c = c->next;
  if (!c) {
    c = chunk_new(bytes > CHUNK ? bytes : CHUNK, huge);
    if (!c) return NULL;
    c->next = a->chunks, a->chunks = c;
  }
  void *p = c->p + c->used;
  c->used += bytes;
  return p;
}

void *rk_arena_alloc(rk_arena *a, size_t bytes) { return take(a, bytes, 0); }
void *rk_arena_alloc_huge(rk_arena *a, size_t bytes) { return take(a, bytes, 1); }

void rk_arena_free(rk_arena *a) {
  if (!a) return;
  for (chunk *c = a->chunks, *next; c; c = next) {
    next = c->next;
    munmap(c->map, c->mapped);
    free(c);
  }
  free(a);
}
