// pool.h: a fixed pool of threads whose barrier counts work, not threads.
//
// A run is n chunks. Every thread owns a contiguous range of them, so that its
// stream of weights stays sequential; a thread that runs dry steals from the
// others' ranges. The run ends when n chunks are done: a thread that the system
// took off its core is waited for only while it holds a chunk. Waiting is a
// bounded spin, then sleep. Threads that are late are counted, so that the
// caller may do without them (crew.h).
#ifndef RK_POOL_H
#define RK_POOL_H

#include <stdint.h>

typedef struct pool pool;
typedef void (*pool_fn)(void *arg, int chunk, int thread);

enum { POOL_MAX_THREADS = 1024, POOL_MAX_CHUNKS = (1 << 20) - 1 };

pool *pool_new(int threads); // the caller of pool_run is thread 0; NULL: failed
void pool_free(pool *p);
int pool_threads(const pool *p);
// pool_use has the runs that follow share among the first n threads.
void pool_use(pool *p, int n);
int pool_used(const pool *p);
// pool_late tells how many threads were so late at once, since it was last asked,
// that the caller of a run fell asleep waiting for them.
int pool_late(pool *p);
// pool_run returns when fn has run for every chunk in [0, n), n <= POOL_MAX_CHUNKS.
// One caller at a time.
void pool_run(pool *p, pool_fn fn, void *arg, int n);
// pool_float_mode flushes denormals on this thread and returns the mode before;
// pool_float_restore puts it back. All threads of a run compute in one mode.
uint32_t pool_float_mode(void);
void pool_float_restore(uint32_t mode);

#endif
