// SPDX-License-Identifier: MIT
// workers.h - a few threads of which one runs at a time, so that a run can be repeated
//
// The thread that calls workers_run hands a baton to a worker, which calls `work` and hands it back. A
// worker's thread is made when the worker is first needed, and again after it ended.
#ifndef FUZZ_WORKERS_H
#define FUZZ_WORKERS_H

#include <stdbool.h>

enum { WORKERS = 4 };

// What a worker wants next.
typedef enum work_end_e {
  WORK_SWITCH,  // somebody else's turn
  WORK_END,     // its thread ends
  WORK_END_LATE,  // its thread ends, and goes on to work in a destructor that runs after the allocator's
  WORK_DONE,  // there is nothing left to do
} work_end_t;

typedef work_end_t work_fun_t(void);

// Once, after the allocator has made its thread key: ours is destroyed later.
void workers_start(void);

// Let worker `*next` work, until one says WORK_DONE.
void workers_run(work_fun_t* work, const unsigned* next);

// End all threads, one after the other.
void workers_end(void);

// Call this in a thread of its own, and wait for its end.
void workers_run_alone(void (*body)(void));

#endif
