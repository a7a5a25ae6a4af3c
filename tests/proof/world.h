// SPDX-License-Identifier: MIT
// world.h - the real sources on a space of a few slices, scenarios for threads in it, and what must hold
#ifndef PROOF_WORLD_H
#define PROOF_WORLD_H

#include "support.h"

enum { THREADS = 3 };

typedef struct scenario_s {
  const char* name;
  uint32_t blocks;                // in a page
  uint32_t wake;                  // free blocks that wake an owner
  uint32_t slices;                // for pages
  void (*start)(void);            // alone, as thread 0
  void (*thread[THREADS])(void);  // may be NULL
  bool is_hole;                   // known not to hold: run only when it is named
} scenario_t;

extern const scenario_t proof_scenarios[];  // ends with a name of NULL

// Make the world new, on zeroed memory, and run the scenario's start.
void proof_begin(const scenario_t* scenario);

// The theap that a thread begins with after the start (mii_theap_mine).
void* proof_first_theap(uint32_t thread);

// What must hold at every state, in the middle of calls.
void proof_check_state(void);

// What must hold when all threads are done; then give everything back, which must leave nothing.
void proof_check_end(void);

// Called at every state on a copy of it: the process forks in `thread`, which is between calls, and goes
// on alone.
void proof_recover(uint32_t thread);
bool proof_is_between_calls(uint32_t thread);

#endif
