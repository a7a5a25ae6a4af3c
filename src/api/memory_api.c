// SPDX-License-Identifier: MIT
// memory_api.c - where the resident memory is, and giving it back
//
// The parts of what is ours are those of a snapshot (stats.c), cut finer: of what its pages call live, the
// blocks that threads hold ready are taken off, and of the records only what is resident counts.
//
// Tests: tests/api/memory_test.c
#include "api/start.h"
#include "api/stats.h"
#include "base/track.h"
#include "heap/ask.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "runtime/option.h"
#include "space/purge.h"
#include "space/range.h"

static size_t held_bytes(void) {
  size_t bytes = 0;
  mii_track_enter();
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    bytes += mii_theap_held_bytes(theap);
  mii_track_leave();
  return bytes;
}

// Of hardened pages. Of that no page says that it lives.
static size_t held_in_pages(void) {
  size_t bytes = 0;
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    bytes += mii_vault_held_bytes(theap);
  return bytes;
}

static size_t less(size_t from, size_t bytes) { return from > bytes ? from - bytes : 0; }

// While others allocate the figures are those of different moments; none is negative.
MI_COLD void mii_memory_collect(mi_memory_t* memory) {
  stats_t stats;
  platform_usage_t usage;
  mii_start();
  mii_stats_collect(&stats, (stats_scope_t){.with_parts = true});
  const size_t held = mii_min(held_bytes(), stats.live_in_pages.bytes);
  const size_t in_pages = stats.live_in_pages.bytes - held;
  memory->class_waste = mii_min(stats.class_waste, in_pages);
  memory->live = in_pages - memory->class_waste + stats.runs.bytes + stats.huge.bytes;
  const size_t spare = mii_min(held_in_pages(), stats.free_owned);
  memory->free_in_pages = stats.free_owned - spare;
  memory->cached = held + spare + stats.free_empty;
  memory->orphaned = stats.free_orphaned;
  memory->to_purge = stats.warm_bytes + less(stats.run_bytes, stats.runs.bytes);
  memory->metadata = mii_meta_resident_bytes();
  memory->ours = memory->live + memory->class_waste + memory->free_in_pages + memory->cached
                 + memory->orphaned + memory->to_purge + memory->metadata;
  mii_platform_usage(&usage);
  memory->resident = usage.rss_bytes;
  memory->rest = less(usage.rss_bytes, memory->ours);
}

bool mi_memory_get(mi_memory_t* memory) {
  if (memory == NULL || memory->size != sizeof(mi_memory_t) || memory->version != MI_MEMORY_VERSION)
    return false;
  mii_memory_collect(memory);
  return true;
}

// Giving it back ---------------------------------------------------------------------------------------

// The pages that the thread has just collected.
static void punch_own(void) {
  theap_t* const mine = mii_theap_mine;
  if (!mine->home->is_live) return;
  mii_theap_punch(mine);
  if (mine->home != mine) mii_theap_punch(mine->home);
}

// Memory that the thread uses now and then is not to go back each time.
static void punch_now_and_then(uint64_t now) {
  theap_t* const home = mii_theap_mine->home;
  if ((uint32_t)now - home->punched_at < mii_purge_delay()) return;
  home->punched_at = (uint32_t)now;
  punch_own();
}

void mi_on_thread_idle(void) {
  if (!mii_theap_mine->home->is_live) return;  // it has made no call yet
  mi_collect(false);
  if (mii_option_get(mi_option_purge_delay) < 0) return;
  const uint64_t now = mii_platform_clock_ms();
  punch_now_and_then(now);
  for (uint32_t from = 0; mii_purge_step(&from, now, PURGE_NO_LIMIT);) {}
  if (mii_purge_may_be_much()) mii_quiet_look();
}

static void wait_for_answers(uint32_t question, size_t wait_ms) {
  static _Atomic(uint32_t) nobody_wakes_us;
  const uint64_t begin = mii_platform_clock_ms();
  uint32_t threads;
  while (mii_ask_count_missing(question, &threads) > 0
         && mii_platform_clock_ms() - begin < wait_ms) {
    if (!mii_platform_wait(&nobody_wakes_us, 0, 1)) mii_platform_yield();
  }
}

static MI_COLD size_t held_by_missing(uint32_t question) {
  stats_t stats;
  mii_stats_collect(&stats, (stats_scope_t){.asked = question, .with_parts = true});
  size_t held = stats.free_owned + stats.free_empty;
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    held += mii_ask_is_missing(theap, question)
                ? mii_theap_held_bytes(theap) + mii_vault_held_bytes(theap)
                : 0;
  return held;
}

static size_t pinned_bytes(void) {
  stats_t stats;
  mii_stats_collect(&stats, (stats_scope_t){.with_parts = true});
  return stats.free_orphaned;
}

static void fill_report(mi_purge_report_t* report, uint64_t purged_before, uint32_t question) {
  uint32_t threads = 0;
  report->purged = (size_t)(mii_purge_count().bytes - purged_before);
  report->waiting = mii_purge_waiting(SIZE_MAX);
  report->pinned = pinned_bytes();
  report->missing = question != 0 ? mii_ask_count_missing(question, &threads) : 0;
  report->threads = threads;
  report->held = report->missing > 0 ? held_by_missing(question) : 0;
}

MI_COLD bool mi_purge_all(unsigned flags, size_t wait_ms, mi_purge_report_t* report) {
  if (report != NULL
      && (report->size != sizeof *report || report->version != MI_PURGE_REPORT_VERSION))
    return false;
  if (!mii_start()) return false;
  const uint64_t before = mii_purge_count().bytes;
  const uint32_t question = (flags & MI_PURGE_ASK) != 0 ? mii_ask_all() : 0;
  mi_collect(true);
  punch_own();
  mii_heap_punch(&mii_heap_main);
  if (question != 0) {
    theap_t* const home = mii_theap_mine->home;
    if (home->is_live && mii_ask_is_open(home)) mii_ask_answer(home);  // it may be new
    wait_for_answers(question, wait_ms);
    mii_vault_collect_all();
    mii_heap_trim(&mii_heap_main);
    mii_purge_all();
  }
  if (report != NULL) fill_report(report, before, question);
  return true;
}
