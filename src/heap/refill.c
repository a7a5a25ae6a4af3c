// SPDX-License-Identifier: MIT
// refill.c - where the next list comes from: the policy, alone in its file
//
// malloc comes here each time a list runs empty, so at the latest after as many allocations as a page
// has blocks: the cadence point. It beats the heart (deferred free, now and then housekeeping), and then
// looks for a page, the cheapest and best filled first. Whole lists change hands, never single blocks.
//
// Tests: tests/unit/heap/refill_test.c
#include "base/assert.h"
#include "heap/apart.h"
#include "heap/ask.h"
#include "heap/outbox.h"
#include "heap/quiet.h"
#include "heap/refill_fast.h"
#include "heap/thread.h"
#include "page/page_fast.h"
#include "page/page_remote.h"
#include "platform/platform.h"
#include "runtime/option.h"
#include "space/lent.h"
#include "space/purge.h"

enum {
  SLEEPERS_PER_REFILL = 2,  // looked at before a new page is taken
  SLEEPERS_KEPT = 16,       // full pages of a class that a thread keeps for itself ...
  SLICES_KEPT = 32,         // ... or of all classes, if it is others that free its blocks
  DRAINED_PER_BEAT = 8,     // pages looked at that others have queued
  PAGES_PER_TICK = 8,       // pages looked at per tick, over the classes in turn
  PAGES_PER_SWEEP = 24,     // and once per purge delay
  CLASSES_PER_SWEEP = 4,    // whose loose blocks go back then
  REFILLS_PER_EXTEND =
      16,  // refills that use new blocks though others were freed, at SECURE_RANDOM
};

// Deferred free ------------------------------------------------------------------------------------

_Atomic(bool) mii_beats_do_more;
static _Atomic(mi_deferred_free_fun*) deferred_fun;  // atomic: release to set, acquire to call
static _Atomic(void*) deferred_arg;                  // atomic: written before deferred_fun

void mii_deferred_free_set(mi_deferred_free_fun* fun, void* arg) {
  atomic_store_explicit(&deferred_fun, NULL, memory_order_relaxed);
  atomic_store_explicit(&deferred_arg, arg, memory_order_relaxed);
  atomic_store_explicit(&deferred_fun, fun, memory_order_release);
  if (fun != NULL) mii_beats_will_do_more();
}

void mii_deferred_free_call(theap_t* theap, bool force) {
  mi_deferred_free_fun* const fun = atomic_load_explicit(&deferred_fun, memory_order_acquire);
  // A borrowed theap (thread.h) cannot tell whether its borrower is in the function already.
  if (fun == NULL || !mii_theap_is_mine(theap) || theap->home->in_deferred_free) return;
  theap->home->in_deferred_free = true;
  fun(force, theap->heartbeat, atomic_load_explicit(&deferred_arg, memory_order_relaxed));
  mii_theap_mine->home->in_deferred_free = false;
}

// Housekeeping -------------------------------------------------------------------------------------

// Frees can add up unseen: a few here, a few by other threads, none of them enough for a signal. Asleep
// pages wake up when anything is free, awake ones end when all is.
static MI_NOINLINE void review_next(theap_t* theap, class_pages_t* pages) {
  page_t* const page = mii_page_record(pages->owned);
  pages->owned = mii_slice_cold(pages->owned)->next;
  mii_theap_review(theap, page,
                   mii_page_hot(page)->state == PAGE_AWAKE ? mii_page_capacity(page) : 1);
}

static void review_some_pages(theap_t* theap, uint32_t looks) {
  const uint32_t begin = theap->sweep_class + 1;
  for (uint32_t i = 0; i < CLASS_COUNT && looks > 0; i++) {
    const uint32_t c = begin + i < CLASS_COUNT ? begin + i : begin + i - CLASS_COUNT;
    if (MI_LIKELY(theap->pages[c].owned == 0)) continue;
    review_next(theap, &theap->pages[c]);
    theap->sweep_class = c;
    looks--;
  }
}

static MI_NOINLINE void housekeeping(theap_t* theap) {
  const uint64_t now = mii_platform_clock_ms();
  review_some_pages(theap, PAGES_PER_TICK);
  // At most so many were used again since the last time.
  theap->sparse = theap->sparse - (uint32_t)mii_min(theap->sparse, BEATS_PER_TICK);
  const long delay = mii_option_get(mi_option_purge_delay);
  if (delay >= 0 && now >= theap->next_sweep_ms) {
    theap->next_sweep_ms = now + (uint64_t)delay;
    review_some_pages(theap, PAGES_PER_SWEEP);
    mii_theap_give_loose(theap, CLASSES_PER_SWEEP);
    mii_theap_give_kept(theap);
    mii_thread_pool_tick(now, (uint64_t)delay);
  }
  mii_thread_pool_dissolve_some();
  mii_heap_trim_some(&mii_heap_main, 0);
  mii_quiet_tick(now);
}

MI_INLINE void beat(theap_t* theap) {
  theap->heartbeat++;
  mii_outbox_send(theap->home);
  if (MI_UNLIKELY(atomic_load_explicit(&deferred_fun, memory_order_relaxed) != NULL)) {
    mii_deferred_free_call(theap, false);
  }
  if (MI_UNLIKELY(theap->heartbeat % BEATS_PER_TICK == 0)) housekeeping(theap);
  if (MI_UNLIKELY(mii_purge_may_be_much())) mii_quiet_look();
  if (MI_UNLIKELY(mii_ask_is_open(theap->home)) && mii_theap_is_mine(theap))
    mii_ask_answer(theap->home);
  if (MI_UNLIKELY(mii_theap_is_woken(theap))) mii_theap_drain_some(theap, DRAINED_PER_BEAT);
}

void mii_theap_beat(theap_t* theap) { beat(theap); }

// The search for a page ----------------------------------------------------------------------------

// Memory is the process's, not a thread's: of the pages that are full only the last few stay ours. Who
// frees the others' blocks makes them everyone's. None stays if it is mostly others that free our blocks
// and we have many pages: then they would lie here until our turn comes. That is what we believe at first,
// because a thread that only fills memory and goes to sleep has no second chance; some wakes by frees of
// its own convince us of the contrary. But a thread that is alone would only make its own frees slower.
static bool is_to_share(const theap_t* theap, const page_t* page) {
  if (theap->is_apart || mii_thread_is_alone()) return false;
  const bool others_free = theap->remote_wakes > UINT8_MAX / 2 && theap->slice_count > SLICES_KEPT;
  return others_free || mii_theap_page_age(theap, page) >= SLEEPERS_KEPT;
}

// Nothing is awake: look at a few that sleep.
static MI_NOINLINE page_t* usable_sleeper(theap_t* theap, uint32_t size_class) {
  class_pages_t* const pages = &theap->pages[size_class];
  for (int i = 0; i < SLEEPERS_PER_REFILL && pages->owned != 0; i++) {
    page_t* const page = mii_page_record(pages->owned);
    mii_page_collect_remote(page);
    mii_page_count_local(page);
    if (mii_page_free_count(page) > 0 || !mii_page_is_complete(page)) return page;
    pages->owned = mii_slice_cold(pages->owned)->next;
    if (is_to_share(theap, page)) mii_theap_release(theap, page);
  }
  return NULL;
}

static inline bool activate(theap_t* theap, page_t* page) {
  return page != NULL && mii_theap_activate(theap, page);
}

// In the arena on its NUMA node first, if the heap has one.
static page_t* make_page(theap_t* theap, uint32_t size_class) {
  const heap_t* const heap = theap->heap;
  page_home_t home = {theap->heap, theap->is_apart, heap->bounds};
  if (MI_UNLIKELY(heap->lent != NULL)) return NULL;
  if (MI_UNLIKELY(!mii_heap_may_grow(theap, (size_t)mii_class_slices(size_class) * SLICE_BYTES)))
    return NULL;
  const segment_bounds_t near = mii_heap_near(heap);
  if (MI_UNLIKELY(near.end != 0)) {
    home.bounds = near;
    page_t* const page = mii_page_make_in(size_class, &home, mii_theap_tag(theap));
    if (page != NULL) return page;
    home.bounds = heap->bounds;
  }
  return mii_page_make_in(size_class, &home, mii_theap_tag(theap));
}

static MI_NOINLINE bool fill_list_otherwise(theap_t* theap, uint32_t size_class) {
  if (mii_theap_extend(theap, size_class)) return true;
  if (activate(theap, usable_sleeper(theap, size_class))) return true;
  if (!theap->is_apart
      && activate(theap, mii_heap_claim(theap->heap, size_class, mii_theap_tag(theap))))
    return true;
  return activate(theap, make_page(theap, size_class));
}

static bool extends_by_chance(theap_t* theap, uint32_t size_class) {
  rng_t* const rng = mii_theap_rng(theap);
  return MI_UNLIKELY(rng != NULL) && mii_rng_below(rng, REFILLS_PER_EXTEND) == 0
         && mii_theap_extend(theap, size_class);
}

static inline bool fill_list(theap_t* theap, uint32_t size_class) {
  if (extends_by_chance(theap, size_class)) return true;
  return mii_theap_use_awake(theap, size_class) || fill_list_otherwise(theap, size_class);
}

// Memory is short: any free block will do, and what waits to be purged can be used otherwise.
static MI_NOINLINE bool fill_list_under_pressure(theap_t* theap, uint32_t size_class) {
  mii_theap_collect(theap);
  mii_apart_collect_waiting();
  if (theap->heap->bounds.end != 0) return fill_list(theap, size_class);  // its arena is full
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  return fill_list(theap, size_class);
}

// In memory that was lent: of the heap's arena; or, if all else fails, of any that is for everyone.
static MI_NOINLINE void* take_lent_block(theap_t* theap, uint32_t size_class) {
  if (theap->heap->lent == NULL && theap->is_apart) return NULL;
  void* const block = mii_lent_take(theap->heap->lent, theap->heap, size_class);
  if (block == NULL) return NULL;
  theap->blocks_handed++;
  theap->bytes_handed += mii_class_bytes(size_class);
  return block;
}

static MI_NOINLINE void* refill_otherwise(theap_t* theap, uint32_t size_class) {
  MI_ASSERT(theap->list[size_class] == NULL);
  beat(theap);
  // The program's deferred free may have allocated, and the list be full again.
  if (theap->list[size_class] == NULL && !fill_list(theap, size_class)
      && (theap->heap->lent != NULL || !fill_list_under_pressure(theap, size_class))) {
    return take_lent_block(theap, size_class);
  }
  MI_ASSERT_VALID(theap->heartbeat % 256 != 0 || mii_theap_is_valid(theap));
  return mii_list_pop(&theap->list[size_class]);
}

void* mii_theap_refill(theap_t* theap, uint32_t size_class) {
  void* const p = mii_theap_refill_at_once(theap, size_class);
  return MI_LIKELY(p != NULL) ? p : refill_otherwise(theap, size_class);
}
