// SPDX-License-Identifier: MIT
// walk.h - the library's own validators, where a stress test is linked with its parts
//
// While threads run, a debug build checks the theap of the running thread (each collection, every 256th
// refill). What belongs to nobody is checked here, when all is quiet: no other thread makes a call.
#ifndef STRESS_WALK_H
#define STRESS_WALK_H

#ifdef MI_ASSERT_LEVEL  // the build with the internal headers
#include "heap/thread.h"
#include "space/range.h"
#include "space/run.h"
#include "space/segment.h"

// NULL, or the name of what is broken. Counts what it looks at.
static inline const char* walk_heap(uint32_t* segments) {
  if (!mii_range_is_valid()) return "the range";
  *segments = mii_segment_count();
  for (uint32_t i = 0; i < *segments; i++) {
    if (mii_segment_is_foreign(i)) continue;
    if (!mii_segment_is_valid(i)) return "a segment";
    if (!mii_run_area_is_valid(i)) return "a run area";
  }
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (!mii_theap_is_valid(theap)) return "a theap";
  }
  return NULL;
}
#else
static inline const char* walk_heap(uint32_t* segments) {
  *segments = 0;
  return NULL;
}
#endif

#endif
