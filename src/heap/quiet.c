// SPDX-License-Identifier: MIT
// quiet.c - memory that was freed goes back also when nobody calls us any more
//
// Purging is done by calls (housekeeping in refill.c). A program that frees much and then waits for hours
// makes none. So frees are counted (space/purge.h), and who sees that much waits to be purged
//
//   - wakes a thread of ours, which is started then for the first time: it purges what is due and ends
//     pages that nobody owns, until nothing waits any more, and sleeps until it is woken again
//   - or, where there is no such thread, purges at once
//
// A second thread changes what fork, unshare and libc's shortcuts for single threads do, so only processes
// that have threads get one, unless told otherwise by mi_option_purge_thread. Ours has all signals
// blocked, owns no theap, and allocates nothing.
//
//     NO_THREAD --look--> WORKING <--look-- WAITING          any of them --stop--> ENDING
//                            |                 ^
//                            +--nothing waits--+
//
// Tests: tests/unit/heap/quiet_test.c, tests/stress/promise_01.c
#include "heap/quiet.h"
#include "base/bits.h"
#include "heap/heap.h"
#include "heap/thread.h"
#include "platform/platform.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "space/purge.h"
#include "space/segment.h"

typedef enum quiet_state_e { NO_THREAD, WORKING, WAITING, ENDING } quiet_state_t;

enum {
  DISSOLVED_PER_ROUND = 1024,      // times some pages of a pooled theap
  TRIMS_PER_ROUND = 1024,          // times some pages of nobody
  TRIMS_AT_ONCE = 16,              // the same
  CALLS_AT_ONCE = 8,               // of the system: 32 MiB if segments are free as a whole
  UNTIDY_BYTES = 4 * 1024 * 1024,  // pages of nobody that are worth another look
  ROUNDS_PER_DELAY = 8,            // at most
  PAUSE_MAX = 64,                  // purge delays that a pause grows to, of what was in vain
};

static _Atomic(uint32_t) state;   // atomic: seq_cst; waited for
static _Atomic(bool) is_allowed;  // atomic: relaxed; libc is ready
static bool is_to_be_joined;      // const once allowed
static _Atomic(bool) is_child;    // atomic: relaxed; of a fork

static bool change_state(quiet_state_t from, quiet_state_t to) {
  uint32_t seen = from;
  return atomic_compare_exchange_strong(&state, &seen, to);
}

// The thread ---------------------------------------------------------------------------------------

// When the thread looks for pages that can end: half a delay after it was woken, so that their memory is due
// soon, and then again, less and less often while that is in vain.
typedef struct tidying_s {
  uint64_t next_ms;
  uint64_t pause_ms;
} tidying_t;

static tidying_t begin_tidying(uint64_t now, uint64_t delay) {
  return (tidying_t){now + delay / 2, delay / 2};
}

static bool is_untidy(const tidying_t* tidying, uint64_t delay) {
  return tidying->pause_ms < PAUSE_MAX * delay
         && (mii_heap_claimable_bytes() >= UNTIDY_BYTES || !mii_thread_pool_is_empty());
}

static void tidy(tidying_t* tidying, uint64_t now, uint64_t delay) {
  const size_t before = mii_heap_claimable_bytes();
  bool in_vain = true;
  mii_thread_pool_tick(now, delay);
  for (int i = 0; i < DISSOLVED_PER_ROUND && mii_thread_pool_dissolve_some(); i++) in_vain = false;
  for (int i = 0; i < TRIMS_PER_ROUND; i++) mii_heap_trim_some(&mii_heap_main);
  in_vain = in_vain && mii_heap_claimable_bytes() + UNTIDY_BYTES > before;
  tidying->pause_ms = in_vain ? 2 * tidying->pause_ms : delay / 2;
  tidying->next_ms = now + tidying->pause_ms;
}

// False if the thread is to end.
static bool pause_for(uint64_t ms) {
  return mii_platform_wait(&state, WORKING, ms) && atomic_load(&state) == WORKING;
}

static bool is_much(void) { return mii_purge_is_much(mii_heap_claimable_bytes()); }

// Nothing waits that is worth it. Frees are counted from now on.
static bool wait_for_work(void) {
  mii_purge_watch(false);
  if (!change_state(WORKING, WAITING)) return false;
  if (mii_purge_waiting(PURGE_MUCH) >= PURGE_MUCH) change_state(WAITING, WORKING);  // of late
  while (atomic_load(&state) == WAITING) {
    if (!mii_platform_wait(&state, WAITING, UINT64_MAX)) return false;
  }
  mii_purge_watch(true);
  return atomic_load(&state) == WORKING;
}

static uint64_t delay_now(void) {
  const long delay = mii_option_get(mi_option_purge_delay);
  return delay >= 0 ? (uint64_t)delay : 0;
}

// Returns when to go on, or UINT64_MAX.
static uint64_t work(tidying_t* tidying, uint64_t now) {
  if (mii_option_get(mi_option_purge_delay) < 0) return UINT64_MAX;
  const uint64_t delay = delay_now();
  if (now >= tidying->next_ms) tidy(tidying, now, delay);
  const uint64_t due = mii_purge_due(now);
  return is_untidy(tidying, delay) ? mii_earlier(due, tidying->next_ms) : due;
}

static void work_until_told_to_end(void) {
  tidying_t tidying = begin_tidying(mii_platform_clock_ms(), delay_now());
  for (bool go_on = true; go_on;) {
    const uint64_t now = mii_platform_clock_ms();
    const uint64_t next = work(&tidying, now);
    if (next != UINT64_MAX) {
      const uint64_t least = mii_later(delay_now() / ROUNDS_PER_DELAY, 20);
      go_on = pause_for(mii_later(next > now ? next - now : 0, least));
    } else {
      go_on = wait_for_work();
      tidying = begin_tidying(mii_platform_clock_ms(), delay_now());
    }
  }
  // Told to, or the system cannot wait: then nobody starts us again.
  atomic_store(&state, ENDING);
  mii_purge_watch(false);
}

// In the child of a fork libc still says that there are threads.
static bool has_threads(void) {
  return !mii_thread_is_alone()
         || (!atomic_load_explicit(&is_child, memory_order_relaxed) && mii_platform_has_threads());
}

static bool is_thread_wanted(void) {
  const long option = mii_option_get(mi_option_purge_thread);
  return option > 1 || (option == 1 && has_threads());
}

// True also if somebody else is at it.
static bool start_thread_of_ours(void) {
  if (!change_state(NO_THREAD, WORKING)) return true;
  mii_purge_watch(true);
  if (mii_platform_thread_start(work_until_told_to_end, is_to_be_joined) == 0) return true;
  mii_purge_watch(false);
  atomic_store(&state, NO_THREAD);
  return false;
}

// At once ------------------------------------------------------------------------------------------

// The latest purge of this kind, and whether to do without: if what it gave back was soon wanted again the
// next one has to wait, longer and longer.
static struct at_once_s {
  _Atomic(bool) is_busy;  // atomic: acquire, release; who has set it uses the rest
  uint64_t when_ms;
  uint64_t until_ms;
  uint64_t pause_ms;
  size_t used;    // then, after the purge
  size_t purged;  // bytes
} at_once;

static bool was_in_vain(const struct at_once_s* last, uint64_t now, uint64_t delay, size_t used) {
  return last->purged > 0 && now < last->when_ms + 2 * delay
         && used > last->used + last->purged / 2;
}

// While memory is freed piece by piece, each purge takes a third of what was there.
static void purge_much_at_once(struct at_once_s* last, uint64_t now, uint64_t delay) {
  for (int i = 0; i < TRIMS_AT_ONCE && mii_heap_claimable_bytes() >= UNTIDY_BYTES; i++)
    mii_heap_trim_some(&mii_heap_main);
  const size_t used = mii_segments_used_bytes();
  if (was_in_vain(last, now, delay, used)) {
    last->pause_ms = mii_earlier(mii_later(2 * last->pause_ms, delay), PAUSE_MAX * delay);
    last->until_ms = now + last->pause_ms;
    last->purged = 0;
  } else if (now > last->until_ms + last->pause_ms) {
    last->pause_ms = 0;
  }
  if (now < last->until_ms || mii_purge_waiting(used / 2) < used / 2) {
    mii_purge_tick(now);
    return;
  }
  const uint64_t before = mii_purge_count().bytes;
  mii_purge_some(CALLS_AT_ONCE);
  last->when_ms = now;
  last->used = used;
  last->purged = (size_t)(mii_purge_count().bytes - before);
}

static void purge_at_once(uint64_t now, uint64_t delay) {
  if (atomic_exchange_explicit(&at_once.is_busy, true, memory_order_acquire)) return;
  purge_much_at_once(&at_once, now, delay);
  atomic_store_explicit(&at_once.is_busy, false, memory_order_release);
}

// --------------------------------------------------------------------------------------------------

void mii_quiet_allow(bool joined) {
  is_to_be_joined = joined;
  atomic_store_explicit(&is_allowed, true, memory_order_relaxed);
}

void mii_quiet_look(void) {
  const long delay = mii_option_get(mi_option_purge_delay);
  if (!is_much() || delay < 0 || mii_lock_is_mine_by_fork()) return;
  if (!atomic_load_explicit(&is_allowed, memory_order_relaxed)) return;
  if (change_state(WAITING, WORKING)) {
    mii_platform_wake(&state);
  } else {
    const uint32_t now = atomic_load(&state);
    const bool served =
        now == WORKING || (now == NO_THREAD && is_thread_wanted() && start_thread_of_ours());
    if (!served) purge_at_once(mii_platform_clock_ms(), (uint64_t)delay);
  }
}

void mii_quiet_stop(void) {
  atomic_store_explicit(&is_allowed, false, memory_order_relaxed);
  if (atomic_exchange(&state, ENDING) == NO_THREAD) return;
  mii_platform_wake(&state);
  if (is_to_be_joined) mii_platform_thread_join();
}

bool mii_quiet_forget(void) {
  atomic_store_explicit(&is_child, true, memory_order_relaxed);
  mii_purge_watch(false);
  atomic_store_explicit(&at_once.is_busy, false, memory_order_relaxed);
  return atomic_exchange(&state, NO_THREAD) != NO_THREAD;
}
