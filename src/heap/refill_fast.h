// SPDX-License-Identifier: MIT
// refill_fast.h - the usual refill, inlined into malloc's door
//
// Tests: tests/unit/heap/refill_test.c
#ifndef MI_REFILL_FAST_H
#define MI_REFILL_FAST_H

#include "heap/theap_fast.h"

enum {
  BEATS_PER_TICK = 64,    // refills between two looks at the clock
  BEATS_PER_SAMPLE = 32,  // whose sizes are noted: how much larger blocks are
};
static_assert(BEATS_PER_TICK % BEATS_PER_SAMPLE == 0, "one question is enough");

// Is the size of the request that this beat is for to be noted?
static inline bool mii_beat_is_sample(uint64_t heartbeat) {
  return heartbeat % BEATS_PER_SAMPLE == 0;
}

// Is there something to do at every beat? Never again false once there was: deferred free, sampling, random order.
extern _Atomic(bool) mii_beats_do_more;  // atomic: relaxed
static inline void mii_beats_will_do_more(void) {
  atomic_store_explicit(&mii_beats_do_more, true, memory_order_relaxed);
}

// mii_theap_refill, if a page is awake and nothing is due; otherwise NULL, and nothing has happened. What may wait a
// little is looked at by the beats that are samples.
MI_INLINE void* mii_theap_refill_at_once(theap_t* theap, uint32_t size_class) {
  if (theap->pages[size_class].awake == 0) return NULL;
  if (MI_UNLIKELY(mii_beat_is_sample(theap->heartbeat + 1) || theap->home->parcels != 0
                  || mii_theap_is_woken(theap)
                  || atomic_load_explicit(&mii_beats_do_more, memory_order_relaxed)))
    return NULL;
  void* const p = mii_theap_take_awake(theap, size_class);
  if (MI_LIKELY(p != NULL)) theap->heartbeat++;
  return p;
}

#endif
