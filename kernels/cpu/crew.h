// crew.h: among how many of the pool's threads a step is shared.
//
// All of them, as long as they keep up. A thread that the system takes off its
// core holds a piece of an op meanwhile, and the others wait for it: where a core
// is busy with something else, fewer threads can be faster than all. Which is
// faster is not guessed but measured, by the time of steps:
//
//   1. Steps are judged in windows of CREW_WINDOW. What a window lost is the time
//      that the caller did not run, asleep for late threads or itself taken off.
//      l of n threads that are late are worth l/n of the time at most; a window
//      that lost half of that is disturbed.
//   2. After a disturbed window, a window without the late threads is tried.
//      Whoever took less time for its work stays.
//   3. With fewer threads, all are tried again after a pause. Each number that
//      is tried and found slower doubles the pause, a long time without trials
//      ends it.
//
// An undisturbed crew is never changed, so on quiet cores this costs four
// readings of clocks a step. Steps of 1, 2-3, 4-7 … rows are judged apart: prompts gain
// from a thread that decoding is better off without.
#ifndef RK_CREW_H
#define RK_CREW_H

#include <stdint.h>

enum { CREW_CLASSES = 12 };
enum { CREW_WINDOW = 20000000, CREW_PAUSE = 100000000 };  // ns
static const int64_t CREW_LONGEST_PAUSE = 2000000000;     // ns

// crew_class is what is known of steps of about so many rows.
typedef struct {
  int use;                // threads at present, 0: no step yet
  int other;              // while use is on trial: what it is compared with, else 0
  double cost, other_cost; // ns a unit of work, in the last window and in that of other
  int64_t time, work;     // of this window
  int64_t lost;           // of the time
  int late;               // most threads that were late at once
  int64_t pause, next;    // when the next trial may be
} crew_class;

typedef struct {
  int threads;
  crew_class classes[CREW_CLASSES];
} crew;

// crew_step is what happened in a step.
typedef struct {
  int64_t end, time;      // on a clock in ns; how long it took
  int64_t lost;           // ns of it that the caller did not run
  int late;               // most threads that were late at once
} crew_step;

void crew_init(crew *c, int threads);
// crew_threads is among how many threads a step of so many rows is to be shared.
int crew_threads(const crew *c, int rows);
// crew_done judges a step of so many rows that was.
void crew_done(crew *c, int rows, const crew_step *s);

#endif
