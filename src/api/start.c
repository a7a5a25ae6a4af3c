// SPDX-License-Identifier: MIT
// start.c - the order in which things start and stop: the only file that knows everyone
//
// The first allocation, which may come long before main, starts what allocation needs. The rest waits
// for our constructor, when libc is ready: then the environment can be read for sure, and libc may be
// asked for a thread key, fork handlers, and the functions behind ours. All of these may allocate.
//
// Lock order, taken by fork in this order and given back in the reverse: ours here, the report's, the
// range's, the run areas'.
//
// Tests: tests/api/lifecycle_test.c, tests/scripts/fork.sh
#include "api/start.h"
#include "api/foreign.h"
#include "base/compiler.h"
#include "base/track.h"
#include "heap/thread.h"
#include "mimalloc.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "space/hint.h"
#include "space/purge.h"
#include "space/run.h"
#include <stdatomic.h>

static lock_t start_lock;
static _Atomic(bool) memory_is_ready;  // atomic: release to set, acquire to go on
static bool late_parts_started;        // lock(start_lock)
static _Atomic(bool) is_done;          // atomic: set once, by mi_process_done

static bool start_memory(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  mii_option_start(facts.is_privileged);
  if (!mii_range_start(&facts)) return false;
  if (mii_hint_start(mii_range.segment_max)) return true;
  mii_range_stop();
  return false;
}

// Again, for the case that the first allocation came before libc had an environment.
static void start_options(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  mii_lock_enter(&start_lock);
  mii_option_start(facts.is_privileged);
  mii_lock_leave(&start_lock);
}

bool mii_start(void) {
  if (atomic_load_explicit(&memory_is_ready, memory_order_acquire)) return true;
  mii_lock_enter(&start_lock);
  const bool ready = atomic_load_explicit(&memory_is_ready, memory_order_relaxed) || start_memory();
  atomic_store_explicit(&memory_is_ready, ready, memory_order_release);
  mii_lock_leave(&start_lock);
  return ready;
}

// Fork -----------------------------------------------------------------------------------------------

static void before_fork(void) {
  mii_lock_enter(&start_lock);
  mii_lock_enter(&mii_report_lock);
  mii_range_lock();
  mii_run_lock_all();
  atomic_store_explicit(&mii_lock_forker, mii_platform_thread_id(), memory_order_relaxed);
}

static void after_fork(void) {
  atomic_store_explicit(&mii_lock_forker, 0, memory_order_relaxed);
  mii_run_unlock_all();
  mii_range_unlock();
  mii_lock_leave(&mii_report_lock);
  mii_lock_leave(&start_lock);
}

// Once libc is ready -----------------------------------------------------------------------------------

static bool is_first_late_start(void) {
  mii_lock_enter(&start_lock);
  const bool first = !late_parts_started;
  late_parts_started = true;
  mii_lock_leave(&start_lock);
  return first;
}

static void start_late_parts(void) {
  if (!is_first_late_start()) return;
  mii_report_set_main_thread();
  start_options();
  mii_option_warn();
  mii_thread_arm_exits();
  mii_platform_at_fork(before_fork, after_fork, after_fork);
  mii_foreign_start();
  if (mii_option_is_on(mi_option_show_stats) || mii_option_is_on(mi_option_verbose))
    mii_report_keep_stderr();
  if (mii_option_is_on(mi_option_verbose)) mi_options_print();
}

void mi_process_init(void) {
  if (mii_start()) start_late_parts();
}

void mi_process_done(void) {
  if (atomic_exchange_explicit(&is_done, true, memory_order_relaxed)) return;
  if (mii_option_is_on(mi_option_show_stats) || mii_option_is_on(mi_option_verbose))
    mi_stats_print_out(NULL, NULL);
}

MI_CONSTRUCTOR static void at_load(void) { mi_process_init(); }
MI_DESTRUCTOR static void at_unload(void) { mi_process_done(); }

// Threads and collection -------------------------------------------------------------------------------

void mi_thread_init(void) {
  if (!mii_start()) return;
  theap_t* const theap = mii_thread_enter();
  if (theap != NULL) mii_thread_leave(theap);
}

void mi_thread_done(void) { mii_thread_end(false); }

void mi_thread_set_in_threadpool(void) {
  mi_thread_init();
  mii_thread_set_in_pool();
}

static void collect(bool force) {
  if (!mii_start()) return;
  theap_t* const theap = mii_thread_enter();
  if (theap == NULL) return;
  mii_deferred_free_call(theap, force);
  mii_theap_collect(theap);
  mii_thread_leave(theap);
  if (!force) return;
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
}

void mi_collect(bool force) {
  mii_track_enter();
  collect(force);
  mii_track_leave();
}

void mi_collect_reduce(size_t target_thread_owned) {
  (void)target_thread_owned;  // a hint: we keep less than any target
  mi_collect(true);
}

int mi_version(void) { return MI_MALLOC_VERSION; }

bool mi_is_redirected(void) { return false; }
