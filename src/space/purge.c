// SPDX-License-Identifier: MIT
// purge.c - what has been free for long enough goes back to the system
//
// Slices and units that become free set their segment's purge hint, with the time when they are due:
// memory that is wanted again within the delay stays warm. One number, the earliest due time, decides
// whether a tick does anything.
//
// The delay adapts itself. Slices that went back because they were due are remembered (`purged` in the segment)
// until they are taken again. If that is within half a delay they should have been kept. When more than a quarter of
// what goes back comes to that, the delay doubles, up to the option, which bounds what a quiet process keeps (promise
// 1); else it becomes half as long; at most once per delay, so that one burst says little. What a program gives back by
// name says nothing.
//
// Tests: tests/unit/space/purge_test.c
#include "space/purge.h"
#include "base/bits.h"
#include "runtime/option.h"
#include "space/hint.h"
#include "space/range.h"
#include "space/run.h"
#include "space/segment.h"
#include <stdatomic.h>

enum {
  LOOKS_PER_TICK = 16,  // segments
  RUNS_PER_LIMIT = 4,   // of units, for each of slices
  WORK_PER_SURVEY = 4,  // segments ...
  RUNS_WORK = 3,        // ... of which those with runs count as so many more
};

enum {
  SLICES_TO_ADAPT = 256,  // that went back, and none was wanted again
  REUSE_WEIGHT = 4,       // of a slice that was, in slices that went back
  DELAY_SHIFT_MAX = 2,    // halved at most so many times
};

// For other threads' purges, before memory counts as exhausted; whichever is over first.
enum { WAIT_MS = 500, WAIT_YIELDS = 1000 * 1000 };

static _Atomic(uint64_t) next_due =
    UINT64_MAX;                         // atomic: relaxed; a hint, lowered by whoever frees
static _Atomic(uint32_t) look_from;     // atomic: relaxed; where the next tick begins
static _Atomic(uint32_t) purges_begun;  // atomic: seq_cst, with the words that purges change
static _Atomic(uint32_t) purges_ended;  // atomic: seq_cst, the same
static _Atomic(int32_t)
    balance;  // atomic: relaxed; slices wanted again, weighted, less those purged
static _Atomic(int32_t) delay_shift;   // atomic: relaxed; so often it was halved
static _Atomic(uint64_t) adapted_at;   // atomic: relaxed; in ms, when it changed last
static _Atomic(uint64_t) purge_calls;  // atomic: relaxed, a count of its own
static _Atomic(uint64_t) purge_bytes;  // atomic: relaxed, a count of its own

// The hint is on before this. seq_cst, like the hint: the tick that takes next_due away looks at the hints
// afterwards, so either it sees the hint or we see what it left.
void mii_purge_expect(uint64_t due) {
  uint64_t seen = atomic_load_explicit(&next_due, memory_order_seq_cst);
  while (due < seen
         && !atomic_compare_exchange_weak_explicit(&next_due, &seen, due, memory_order_seq_cst,
                                                   memory_order_seq_cst)) {}
}

// Memory that is held by a purge is neither free nor in use. Only who would otherwise run out of memory
// cares.
void mii_purge_begin(void) { atomic_fetch_add_explicit(&purges_begun, 1, memory_order_seq_cst); }
void mii_purge_end(void) { atomic_fetch_add_explicit(&purges_ended, 1, memory_order_seq_cst); }

uint32_t mii_purge_epoch(void) { return atomic_load_explicit(&purges_ended, memory_order_seq_cst); }

bool mii_purge_may_have_hidden(uint32_t before, purge_patience_t* patience) {
  const uint32_t begun = atomic_load_explicit(&purges_begun, memory_order_seq_cst);
  if (begun == before) return false;
  const uint64_t now = mii_platform_clock_ms();
  if (patience->deadline == 0) patience->deadline = now + WAIT_MS;
  mii_platform_yield();
  return now < patience->deadline && ++patience->yields < WAIT_YIELDS;
}

bool mii_purge_memory(void* start, size_t size) {
  const size_t os_page = mii_range.os_page_size;
  const uintptr_t from = mii_align_up((uintptr_t)start, os_page);
  const uintptr_t to = ((uintptr_t)start + size) & ~(os_page - 1);
  if (from >= to || mii_platform_purge((void*)from, to - from) != 0) return false;
  atomic_fetch_add_explicit(&purge_calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&purge_bytes, to - from, memory_order_relaxed);
  return true;
}

bool mii_purge_is_eager(void) { return mii_option_get(mi_option_purge_delay) == 0; }

uint64_t mii_purge_delay(void) {
  const long option = mii_option_get(mi_option_purge_delay);
  if (option <= 0) return 0;
  return mii_later((uint64_t)option >> atomic_load_explicit(&delay_shift, memory_order_relaxed), 1);
}

static MI_COLD void weigh(int32_t slices, uint64_t now) {
  const int32_t sum = atomic_fetch_add_explicit(&balance, slices, memory_order_relaxed) + slices;
  if (sum > -SLICES_TO_ADAPT && sum < SLICES_TO_ADAPT) return;
  const int32_t seen = atomic_load_explicit(&delay_shift, memory_order_relaxed);
  const int32_t shift = sum > 0 ? seen - 1 : seen + 1;
  atomic_store_explicit(&balance, 0, memory_order_relaxed);
  if (shift < 0 || shift > DELAY_SHIFT_MAX) return;
  if (now - atomic_load_explicit(&adapted_at, memory_order_relaxed) < mii_purge_delay()) return;
  atomic_store_explicit(&adapted_at, now, memory_order_relaxed);
  atomic_store_explicit(&delay_shift, shift, memory_order_relaxed);
}

void mii_purge_note_purged(uint32_t slices, uint64_t now) { weigh(-(int32_t)slices, now); }
void mii_purge_note_reused(uint32_t slices, uint64_t now) {
  weigh((int32_t)slices * REUSE_WEIGHT, now);
}

// The hint goes off before we look, so memory that becomes free meanwhile sets it again. `now` is 0 if it is not due.
static void purge_segment(uint32_t index, purge_limit_t limit, uint64_t now) {
  const uint32_t unit_max = limit.slice_max * (SLICE_BYTES / UNIT_BYTES);
  mii_hint_set(HINT_PURGE, index, false);
  const bool done = mii_run_purge_some(
      index, unit_max, RUNS_PER_LIMIT * limit.run_max);  // first: it may become free slices
  mii_segment_purge_some(index, limit, now);
  if (done || mii_option_get(mi_option_purge_delay) < 0) return;
  mii_hint_set(HINT_PURGE, index, true);  // somebody is busy with it, or there is more
  mii_purge_expect(atomic_load_explicit(&mii_segment(index)->purge_at, memory_order_relaxed));
}

static uint64_t due_of(uint32_t index) {
  return atomic_load_explicit(&mii_segment(index)->purge_at, memory_order_relaxed);
}

// A few segments, and at most one of them purged: this is a part of somebody's malloc. Returns the next one.
static uint32_t look_at_some(uint32_t from, uint64_t now, purge_limit_t limit) {
  uint32_t i = mii_hint_next(HINT_PURGE, from);
  bool purged = false;
  for (int looks = 0; i != NO_SEGMENT && looks < LOOKS_PER_TICK && !purged; looks++) {
    purged = due_of(i) <= now;
    if (purged) {
      purge_segment(i, limit, now);
    } else {
      mii_purge_expect(due_of(i));
    }
    i = mii_hint_next(HINT_PURGE, i + 1);
  }
  return i;
}

MI_COLD uint64_t mii_purge_due(uint64_t now) {
  uint64_t next = UINT64_MAX;
  atomic_store_explicit(&next_due, UINT64_MAX, memory_order_seq_cst);  // as a tick does
  uint32_t i = mii_hint_next(HINT_PURGE, 0);
  for (; i != NO_SEGMENT; i = mii_hint_next(HINT_PURGE, i + 1)) {
    if (due_of(i) <= now) purge_segment(i, PURGE_NO_LIMIT, now);
    if (mii_hint_is_on(HINT_PURGE, i)) next = mii_earlier(next, mii_later(due_of(i), now));
  }
  mii_purge_expect(next);
  return next;
}

bool mii_purge_step(uint32_t* from, uint64_t due, purge_limit_t limit) {
  uint32_t i = mii_hint_next(HINT_PURGE, *from);
  for (int looks = 1; looks < LOOKS_PER_TICK && i != NO_SEGMENT && due_of(i) > due; looks++)
    i = mii_hint_next(HINT_PURGE, i + 1);
  if (i == NO_SEGMENT) return false;
  const uint64_t before = mii_purge_count().calls;
  if (due_of(i) <= due) purge_segment(i, limit, 0);
  const bool has_more = mii_hint_is_on(HINT_PURGE, i) && mii_purge_count().calls != before;
  *from = has_more ? i : i + 1;
  return true;
}

// Much that is free --------------------------------------------------------------------------------

// A line of its own: written at every page that ends.
_Alignas(64) _Atomic(size_t) mii_purge_freed = PURGE_MUCH - PURGE_FIRST;
static _Atomic(bool) is_watched;  // atomic: relaxed; a moment too late does not matter

void mii_purge_note_freed(size_t bytes) {
  if (!atomic_load_explicit(&is_watched, memory_order_relaxed))
    atomic_fetch_add_explicit(&mii_purge_freed, bytes, memory_order_relaxed);
}

void mii_purge_look_after(size_t bytes) {
  atomic_store_explicit(&mii_purge_freed, PURGE_MUCH - bytes, memory_order_relaxed);
}

void mii_purge_watch(bool on) {
  atomic_store_explicit(&is_watched, on, memory_order_relaxed);
  mii_purge_look_after(PURGE_MUCH / 2);
}

static size_t waiting_in(uint32_t index) {
  const uint64_t slices =
      atomic_load_explicit(&mii_segment(index)->purgeable, memory_order_relaxed);
  const run_count_t runs = mii_run_count(index);
  const size_t bytes = (size_t)mii_count_bits(slices) * SLICE_BYTES;
  return bytes + (runs.dirty_bytes > runs.bytes ? runs.dirty_bytes - runs.bytes : 0);
}

MI_COLD bool mii_purge_survey(purge_survey_t* survey, size_t enough) {
  for (int work = 0; work < WORK_PER_SURVEY && survey->bytes < enough; work++) {
    const uint32_t i = mii_hint_next(HINT_PURGE, survey->next);
    if (i == NO_SEGMENT) return true;
    survey->bytes += waiting_in(i);
    survey->next = i + 1;
    work +=
        atomic_load_explicit(&mii_segment(i)->runs, memory_order_relaxed) != NULL ? RUNS_WORK : 0;
  }
  return survey->bytes >= enough;
}

size_t mii_purge_waiting(size_t enough) {
  purge_survey_t survey = {0};
  while (!mii_purge_survey(&survey, enough)) {}
  return survey.bytes;
}

size_t mii_purge_take_freed(void) {
  const size_t freed = atomic_exchange_explicit(&mii_purge_freed, PURGE_MUCH, memory_order_relaxed);
  return freed > PURGE_MUCH ? freed - PURGE_MUCH : 0;
}

// Ticks --------------------------------------------------------------------------------------------

bool mii_purge_is_due(uint64_t now) {
  return now >= atomic_load_explicit(&next_due, memory_order_relaxed)
         && !atomic_load_explicit(&is_watched, memory_order_relaxed);
}

MI_COLD void mii_purge_tick_within(uint64_t now, purge_limit_t limit) {
  if (atomic_load_explicit(&is_watched, memory_order_relaxed)) return;
  uint64_t due = atomic_load_explicit(&next_due, memory_order_relaxed);
  if (now < due) return;
  // One thread takes the work; what is not due yet is expected again.
  if (!atomic_compare_exchange_strong_explicit(&next_due, &due, UINT64_MAX, memory_order_seq_cst,
                                               memory_order_relaxed)) {
    return;
  }
  const uint32_t from = atomic_load_explicit(&look_from, memory_order_relaxed);
  const uint32_t rest = look_at_some(from, now, limit);
  atomic_store_explicit(&look_from, rest != NO_SEGMENT ? rest : 0, memory_order_relaxed);
  if (rest != NO_SEGMENT || from != 0) mii_purge_expect(now);  // the others' turn comes then
}

void mii_purge_all(void) {
  const uint32_t segments = mii_segment_count();
  for (uint32_t i = 0; i < segments; i++) purge_segment(i, PURGE_NO_LIMIT, 0);
}

void mii_purge_forget_others(void) {
  const uint32_t begun = atomic_load_explicit(&purges_begun, memory_order_relaxed);
  atomic_store_explicit(&purges_ended, begun, memory_order_relaxed);
  atomic_store_explicit(&next_due, 0, memory_order_relaxed);
}

purge_count_t mii_purge_count(void) {
  return (purge_count_t){atomic_load_explicit(&purge_calls, memory_order_relaxed),
                         atomic_load_explicit(&purge_bytes, memory_order_relaxed)};
}
