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
#include "heap/ask.h"
#include "heap/heap.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "platform/platform.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "space/purge.h"
#include "space/segment.h"

typedef enum quiet_state_e { NO_THREAD, WORKING, WAITING, ENDING } quiet_state_t;

enum {
  DISSOLVED_PER_ROUND = 1024,  // times some pages of a pooled theap
  TRIMS_PER_ROUND = 1024,      // times some pages of nobody
  PAGES_PER_TRIM = 8,
  BYTES_PER_STEP = 512 * 1024,  // of what a call has freed
  STEPS_PER_CALL = 4,           // at most
  PURGED_PER_FREED = 4,
  SOME_BYTES = 512 * 1024,  // and this part of what is in use waits where a heap has fallen
  SOME_PART = 8,
  UNTIDY_BYTES = 4 * 1024 * 1024,  // pages of nobody that are worth another look
  ROUNDS_PER_DELAY = 8,            // at most
  PAUSE_MAX = 64,                  // purge delays that a pause of tidying grows to
  PRESSURE_MS = 250,               // from one look at the pressure to the next
  PRESSURE_US = 10 * 1000,         // waited meanwhile for memory: it is short
};

static _Atomic(uint32_t) state;     // atomic: seq_cst; waited for
static _Atomic(bool) is_allowed;    // atomic: relaxed; libc is ready
static bool is_to_be_joined;        // const once allowed
static _Atomic(bool) is_child;      // atomic: relaxed; of a fork
static _Atomic(uint64_t) begun_ms;  // atomic: relaxed; the first tick

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
  for (int i = 0; i < TRIMS_PER_ROUND; i++) mii_heap_trim_some(&mii_heap_main, now);
  in_vain = in_vain && mii_heap_claimable_bytes() + UNTIDY_BYTES > before;
  tidying->pause_ms = in_vain ? 2 * tidying->pause_ms : delay / 2;
  tidying->next_ms = now + tidying->pause_ms;
}

// Memory is short: all that is free goes back, due or not, and threads are asked for what they keep. They answer
// until the next look.
static MI_COLD void yield_to_pressure(void) {
  static uint64_t seen;  // our thread's
  static uint64_t next_ms;
  const uint64_t now = mii_platform_clock_ms();
  if (now < next_ms || !mii_option_is_on(mi_option_memory_pressure)) return;
  const uint64_t pressure = mii_platform_pressure();
  const bool is_short = next_ms != 0 && pressure >= seen + PRESSURE_US;
  next_ms = now + PRESSURE_MS;
  seen = pressure;
  if (!is_short) return;
  mii_ask_all();
  mii_vault_collect_all();
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
}

static uint64_t longest_wait(void) {
  return mii_option_is_on(mi_option_memory_pressure) ? PRESSURE_MS : UINT64_MAX;
}

// False if the thread is to end.
static bool pause_for(uint64_t ms) {
  const bool waited = mii_platform_wait(&state, WORKING, mii_earlier(ms, longest_wait()));
  yield_to_pressure();
  return waited && atomic_load(&state) == WORKING;
}

// Nothing waits that is worth it. Frees are counted from now on.
static bool wait_for_work(void) {
  mii_purge_watch(false);
  if (!change_state(WORKING, WAITING)) return false;
  if (mii_purge_waiting(PURGE_MUCH) >= PURGE_MUCH) change_state(WAITING, WORKING);  // of late
  while (atomic_load(&state) == WAITING) {
    if (!mii_platform_wait(&state, WAITING, longest_wait())) return false;
    yield_to_pressure();
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

static MI_COLD void work_until_told_to_end(void) {
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
  mii_purge_look_after(0);  // who has tried goes on
  atomic_store(&state, NO_THREAD);
  return false;
}

// Looking ------------------------------------------------------------------------------------------

// How much waits is found out, and without a thread given back, by steps of a bounded length, one or a few at each
// call that comes here, so that no call is long, however large the heap is. A round of steps begins when much may
// wait, and stays ahead of the frees, because a step deals with more than the call has freed.
//
//     BEGIN --no thread--> TRIM --> COUNT --enough--> PURGE --> BEGIN
//       +-----thread----------------->+--enough--> our thread is woken
//
// Where our thread is wanted but not worth it yet, nobody may call any more when a phase of the program is over. So a
// heap that has fallen by an eighth (has_fallen) is purged here, too; or the thread is woken, if there is one.
//
// If what the latest purge gave back was soon wanted again, the next one has to wait, the longer the more it was: then more
// is in use, or waits to be purged, than was in use at that time. In a heap that shrinks what waits was in use then.
typedef enum round_step_e { BEGIN, TRIM, COUNT, PURGE } round_step_t;

static struct round_s {
  _Atomic(bool) is_busy;  // atomic: acquire, release; who has set it uses the rest
  round_step_t step;
  bool is_for_thread;
  bool has_begun;
  uint32_t trims_left;
  size_t used;    // bytes, when the count began
  size_t enough;  // for our thread, or to be purged at once
  size_t some;    // to be purged where no thread will
  purge_survey_t survey;
  uint32_t purge_from;
  uint64_t purge_due;      // UINT64_MAX: all
  uint64_t purged_before;  // bytes, by all
  size_t freed;            // bytes since the round began
  purge_limit_t limit;     // of a step of this call
  uint64_t stepped_ms;     // the latest step
  bool is_in_vain;         // the latest purge
  uint64_t until_ms;       // then the next one waits
  struct {
    size_t used;
    size_t waited;
  } last;
} round_now;

// The next round begins when so much may wait that it is worth one, but not too soon.
static void end_round(struct round_s* round, size_t found) {
  const size_t waits = found + round->freed;
  const size_t missing = waits < round->some ? round->some - waits : round->some;
  size_t frees = PURGE_MUCH - mii_min(waits, PURGE_MUCH / 2);
  if (round->is_for_thread) frees = mii_min(frees, mii_max(missing, SOME_BYTES));
  mii_purge_look_after(frees);
  round->step = BEGIN;
}

static void begin_count(struct round_s* round) {
  round->step = COUNT;
  round->survey = (purge_survey_t){0};
  round->used = mii_segments_used_bytes();
  // While memory is freed piece by piece, each purge takes a third of what was there.
  round->enough = round->is_for_thread ? PURGE_MUCH : mii_max(PURGE_MUCH / 2, round->used / 2);
  round->some = round->is_for_thread ? mii_max(SOME_BYTES, round->used / SOME_PART) : round->enough;
}

static void begin_trim(struct round_s* round) {
  const size_t bytes = mii_heap_claimable_bytes();
  round->step = TRIM;
  round->trims_left = (uint32_t)mii_min(bytes / SLICE_BYTES / PAGES_PER_TRIM + 1, TRIMS_PER_ROUND);
}

static void begin_round(struct round_s* round) {
  const uint32_t now = atomic_load(&state);
  round->is_for_thread = now == WAITING || (now == NO_THREAD && is_thread_wanted());
  round->freed = 0;
  if (!round->is_for_thread && !round->has_begun) {
    mii_purge_look_after(PURGE_MUCH - PURGE_FIRST);  // the first look was one at threads
  } else if (round->is_for_thread) {
    begin_count(round);
  } else {
    begin_trim(round);
  }
  round->has_begun = true;
}

static bool is_trimmed(const struct round_s* round) {
  return round->trims_left == 0 || mii_heap_claimable_bytes() < UNTIDY_BYTES;
}

static void trim(struct round_s* round) {
  round->trims_left--;
  mii_heap_trim_some(&mii_heap_main, 0);
}

// What went back is wanted again: the next purge waits for a delay for each PURGE_MUCH of it.
static bool is_to_be_put_off(struct round_s* round, uint64_t now) {
  const size_t sampled = round->is_for_thread ? 0 : round->last.used / 4;  // `used` of a large heap
  const size_t slack = mii_max(round->last.waited / 2, sampled);
  if (round->used + round->survey.bytes > round->last.used + slack) round->is_in_vain = true;
  return round->is_in_vain && now < round->until_ms;
}

// Not when the process has just begun: then it may be about to grow.
static bool has_fallen(const struct round_s* round, uint64_t now, uint64_t delay) {
  const uint64_t begun = atomic_load_explicit(&begun_ms, memory_order_relaxed);
  return round->survey.bytes >= round->some && now >= begun + delay / 4;
}

static bool wake_thread(void) {
  if (!change_state(WAITING, WORKING)) return start_thread_of_ours();
  mii_platform_wake(&state);
  return true;
}

static void begin_purge(struct round_s* round, uint64_t due) {
  round->step = PURGE;
  round->purge_due = due;
  round->purge_from = 0;
  round->purged_before = mii_purge_count().bytes;
}

static void count(struct round_s* round, uint64_t now, uint64_t delay) {
  const size_t others = round->is_for_thread ? mii_heap_claimable_bytes() : 0;
  if (!mii_purge_survey(&round->survey, round->enough - mii_min(others, round->enough))) return;
  const bool is_enough = round->survey.bytes + others >= round->enough;
  const bool is_some = has_fallen(round, now, delay);
  const bool is_worth = is_enough || (is_some && atomic_load(&state) == WAITING);
  if (round->is_for_thread && is_worth && wake_thread()) {
    round->step = BEGIN;
  } else if ((is_enough || is_some) && !is_to_be_put_off(round, now)) {
    begin_purge(round, UINT64_MAX);
  } else if (round->is_for_thread) {
    end_round(round, round->survey.bytes + others);
  } else {
    begin_purge(round, now);
  }
}

static void purge(struct round_s* round, uint64_t now, uint64_t delay) {
  if (mii_purge_step(&round->purge_from, round->purge_due, round->limit)) return;
  if (round->purge_due == UINT64_MAX) {
    const size_t purged = (size_t)(mii_purge_count().bytes - round->purged_before);
    round->until_ms = mii_later(round->until_ms, now) + delay * purged / PURGE_MUCH;
    round->is_in_vain = false;
    round->last.used = round->used;
    round->last.waited = round->survey.bytes;
    end_round(round, 0);
  } else {
    end_round(round, round->survey.bytes);
  }
}

static void take_step(struct round_s* round, uint64_t now, uint64_t delay) {
  if (round->step == BEGIN) begin_round(round);
  switch (round->step) {
    case TRIM: is_trimmed(round) ? begin_count(round) : trim(round); break;
    case COUNT: count(round, now, delay); break;
    case PURGE: purge(round, now, delay); break;
    case BEGIN: break;
  }
}

static void go_on(struct round_s* round, uint64_t now, uint64_t delay) {
  if (atomic_load(&state) == WORKING) {
    mii_purge_look_after(PURGE_MUCH);
    return;
  }
  if (now > round->stepped_ms + delay) round->step = BEGIN;  // what it has found is out of date
  round->stepped_ms = now;
  const size_t freed = mii_purge_take_freed();
  const size_t steps = mii_min(1 + freed / BYTES_PER_STEP, STEPS_PER_CALL);
  round->freed += freed;
  // Who frees large blocks gives back as large pieces: a call takes time in proportion to what it frees. Several times as
  // much, because some of the steps only count.
  round->limit = PURGE_PER_CALL;
  round->limit.slice_max = (uint32_t)mii_min(
      mii_max(PURGED_PER_FREED * freed / SLICE_BYTES, round->limit.slice_max), SEGMENT_SLICES);
  for (size_t i = 0; i < steps && mii_purge_may_be_much(); i++) take_step(round, now, delay);
  if (mii_purge_may_be_much())
    mii_purge_take_freed();  // what the steps have freed calls for no more of them
}

// Whoever is at it may have lost its processor in the middle. Others wait for nobody: when much more has been freed
// meanwhile they do without its plan.
static void help(void) {
  static _Atomic(uint32_t) purge_from;  // atomic: relaxed; a moment too late does not matter
  if (atomic_load_explicit(&mii_purge_freed, memory_order_relaxed) < (size_t)2 * PURGE_MUCH) return;
  const uint32_t now = atomic_load(&state);
  if (now == WORKING || now == WAITING || (now == NO_THREAD && is_thread_wanted())) return;
  mii_heap_trim_some(&mii_heap_main, 0);
  uint32_t from = atomic_load_explicit(&purge_from, memory_order_relaxed);
  if (!mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL)) from = 0;
  atomic_store_explicit(&purge_from, from, memory_order_relaxed);
}

// Where there will be a thread as soon as it is worth one, nobody else purges more than a slice at a time.
static bool is_thread_to_come(void) {
  return atomic_load(&state) == NO_THREAD && is_thread_wanted()
         && atomic_load_explicit(&is_allowed, memory_order_relaxed);
}

MI_COLD void mii_quiet_tick(uint64_t now) {
  if (atomic_load_explicit(&begun_ms, memory_order_relaxed) == 0)
    atomic_store_explicit(&begun_ms, now, memory_order_relaxed);
  if (!mii_purge_is_due(now) || atomic_load(&state) == WORKING) return;
  if (atomic_load(&state) == WAITING && !mii_lock_is_mine_by_fork()) {
    wake_thread();
  } else if (is_thread_to_come()) {
    mii_purge_tick_within(now, PURGE_ONE_SLICE);
  } else {
    mii_purge_tick(now);
  }
}

// --------------------------------------------------------------------------------------------------

void mii_quiet_allow(bool joined) {
  is_to_be_joined = joined;
  atomic_store_explicit(&is_allowed, true, memory_order_relaxed);
  if (mii_option_is_on(mi_option_memory_pressure)) start_thread_of_ours();
}

MI_COLD void mii_quiet_look(void) {
  const long delay = mii_option_get(mi_option_purge_delay);
  if (delay < 0 || mii_lock_is_mine_by_fork()) return;
  if (!atomic_load_explicit(&is_allowed, memory_order_relaxed)) return;
  if (atomic_exchange_explicit(&round_now.is_busy, true, memory_order_acquire)) {
    help();
    return;
  }
  go_on(&round_now, mii_platform_clock_ms(), (uint64_t)delay);
  atomic_store_explicit(&round_now.is_busy, false, memory_order_release);
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
  round_now.step = BEGIN;
  atomic_store_explicit(&round_now.is_busy, false, memory_order_relaxed);
  return atomic_exchange(&state, NO_THREAD) != NO_THREAD;
}
