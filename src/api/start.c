// SPDX-License-Identifier: MIT
// start.c - the order in which things start and stop: the only file that knows everyone
//
// The first allocation, which may come long before main, starts what allocation needs. The rest waits
// for our constructor, when libc is ready: then the environment can be read for sure, and libc may be
// asked for a thread key, fork handlers, and the functions behind ours. All of these may allocate.
//
// Fork takes the locks in the order of their ranks (lock.h) and gives them back in the reverse.
//
// Tests: tests/api/lifecycle_test.c, tests/scripts/first_call.sh, tests/scripts/fork.sh
#include "api/start.h"
#include "api/foreign.h"
#include "api/stats.h"
#include "base/compiler.h"
#include "base/track.h"
#include "heap/apart.h"
#include "heap/fork.h"
#include "heap/guarded.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "mimalloc.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include "space/hint.h"
#include "space/lent.h"
#include "space/purge.h"
#include "space/run.h"
#include "space/segment.h"
#include <stdatomic.h>

static lock_t start_lock = {.rank = LOCK_START};
static _Atomic(bool) memory_is_ready;  // atomic: release to set, acquire to go on
static _Atomic(bool) libc_is_ready;    // atomic: relaxed; our constructor has run
static bool late_parts_started;        // lock(start_lock)
static bool is_privileged;             // lock(start_lock)
static _Atomic(bool) is_done;          // atomic: set once, by mi_process_done
static _Atomic(bool) may_be_unloaded;  // atomic: relaxed; by dlclose, and this is not the exit

static bool start_memory(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  is_privileged = facts.is_privileged;
  mii_option_start(is_privileged);
  if (!mii_range_start(&facts)) return false;
  if (mii_hint_start(mii_range.segment_max)) return true;
  mii_range_stop();
  return false;
}

// Again, for the case that the first allocation came before libc had an environment.
static void start_options(void) {
  mii_lock_enter(&start_lock);
  mii_option_start(is_privileged);
  mii_option_fix();
  mii_lock_leave(&start_lock);
}

// Fork -----------------------------------------------------------------------------------------------

static MI_COLD void before_fork(void) {
  mii_lock_enter(&start_lock);
  mii_lock_enter(&mii_report_lock);
  mii_apart_lock();
  mii_lent_lock();
  mii_range_lock();
  mii_run_lock_all();
  mii_vault_lock_all();
  mii_guarded_lock();
  atomic_store_explicit(&mii_lock_forker, mii_platform_thread_id(), memory_order_relaxed);
}

// Without before_fork it has nothing to do: an older libc calls us at the end of a fork even if we were
// registered in the middle of it, by a first allocation in the program's own handler.
static void after_fork(void) {
  const uintptr_t forker = atomic_load_explicit(&mii_lock_forker, memory_order_relaxed);
  if (forker != mii_platform_thread_id()) return;
  atomic_store_explicit(&mii_lock_forker, 0, memory_order_relaxed);
  mii_guarded_unlock();
  mii_vault_unlock_all();
  mii_run_unlock_all();
  mii_range_unlock();
  mii_lent_unlock();
  mii_apart_unlock();
  mii_lock_leave(&mii_report_lock);
  mii_lock_leave(&start_lock);
}

static void after_fork_in_child(void) {
  const uintptr_t forker = atomic_load_explicit(&mii_lock_forker, memory_order_relaxed);
  if (forker == mii_platform_thread_id()) {
    mii_sampling_forget_others();
    mii_fork_recover();
    mii_vault_reseed_all();
  }
  after_fork();
}

// Once libc is ready -----------------------------------------------------------------------------------

static bool is_first_late_start(void) {
  mii_lock_enter(&start_lock);
  const bool first = !late_parts_started;
  late_parts_started = true;
  mii_lock_leave(&start_lock);
  return first;
}

static void note_exit(void* arg) {
  (void)arg;
  atomic_store_explicit(&may_be_unloaded, false, memory_order_relaxed);
}

// The first allocation came before libc had an environment.
static void warn_of_level(void) {
  const int level = atomic_load_explicit(&mii_secure_fixed, memory_order_relaxed);
  const long wanted = mii_option_get(mi_option_secure);
  if (level >= 0 && wanted >= 0 && wanted <= SECURE_MAX && wanted != level && !MI_CFG_TRACK)
    mii_warn("secure level %ld was asked for after the first allocation: it is %d\n", wanted,
             level);
}

static void start_late_parts(void) {
  if (!is_first_late_start()) return;
  mii_report_set_main_thread();
  mii_stats_start();  // not before: a tool may have put a clock of its own in the place of libc's
  start_options();
  mii_option_warn();
  warn_of_level();
  const bool stays = mii_platform_is_first_function("mi_version", (platform_function_t*)mi_version);
  const bool told = !stays && mii_platform_on_exit(note_exit) == 0;
  atomic_store_explicit(&may_be_unloaded, told, memory_order_relaxed);
  mii_thread_arm_exits();
  mii_platform_at_fork(before_fork, after_fork, after_fork_in_child);
  mii_quiet_allow(told);
  mii_foreign_start();
  mii_sampling_start();
  mii_guarded_start_reports();
  mii_limits_start();
  mii_arenas_start();
  if (mii_option_is_on(mi_option_show_stats) || mii_option_is_on(mi_option_verbose))
    mii_report_keep_stderr();
  mii_verbose("process init: 0x%zx\n", (size_t)mii_platform_thread_id());
  if (mii_option_is_on(mi_option_verbose)) mi_options_print();
}

static bool start_memory_once(void) {
  mii_lock_enter(&start_lock);
  const bool ready = atomic_load_explicit(&memory_is_ready, memory_order_relaxed) || start_memory();
  atomic_store_explicit(&memory_is_ready, ready, memory_order_release);
  mii_lock_leave(&start_lock);
  return ready;
}

bool mii_start(void) {
  if (atomic_load_explicit(&memory_is_ready, memory_order_acquire)) return true;
  if (!start_memory_once()) return false;
  // Our constructor has been here, and there was no memory then.
  if (atomic_load_explicit(&libc_is_ready, memory_order_relaxed)) start_late_parts();
  return true;
}

bool mii_start_to_allocate(void) {
  if (!mii_start()) return false;
  if (atomic_load_explicit(&mii_secure_fixed, memory_order_acquire) >= 0) return true;
  mii_lock_enter(&start_lock);
  if (atomic_load_explicit(&mii_secure_fixed, memory_order_relaxed) < 0) {
    mii_sampling_start();
    mii_secure_fix();
  }
  mii_lock_leave(&start_lock);
  return true;
}

static void start_with_libc(void) {
  atomic_store_explicit(&libc_is_ready, true, memory_order_relaxed);
  if (mii_start()) start_late_parts();
}

// Before libc has started there is no environment: then the rest is left to our constructor.
void mi_process_init(void) {
  if (mii_platform_has_environment()) {
    start_with_libc();
  } else {
    mii_start();
  }
}

void mi_process_done(void) {
  if (atomic_exchange_explicit(&is_done, true, memory_order_relaxed)) return;
  if (mii_option_is_on(mi_option_show_stats) || mii_option_is_on(mi_option_verbose))
    mi_stats_print_out(NULL, NULL);
  mii_verbose("process done: 0x%zx\n", (size_t)mii_platform_thread_id());
}

// Our code goes away, but not the process: nobody is in one of our functions, and the threads that were end
// later. If any block lives, its user keeps it, and with it our memory.
static MI_COLD void unload(void) {
  mii_platform_forget_exit();
  mii_quiet_stop();
  mii_thread_dissolve_everyone();
  mii_vault_collect_all();
  mii_guarded_collect();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  if (!mii_segments_are_unused() || !mii_lent_is_unused()) return;
  atomic_store_explicit(&memory_is_ready, false, memory_order_relaxed);
  mii_lent_stop();
  mii_range_stop();
}

MI_CONSTRUCTOR static void at_load(void) { start_with_libc(); }
MI_DESTRUCTOR static void at_unload(void) {
  mi_process_done();
  mii_thread_disarm_exits();
  if (atomic_load_explicit(&may_be_unloaded, memory_order_relaxed)) unload();
}

// Threads and collection -------------------------------------------------------------------------------

void mi_thread_init(void) {
  if (!mii_start_to_allocate()) return;
  theap_t* const theap = mii_thread_enter();
  if (theap != NULL) mii_thread_leave(theap);
}

void mi_thread_done(void) { mii_thread_end(false); }

void mi_thread_set_in_threadpool(void) {
  mi_thread_init();
  mii_thread_set_in_pool();
}

static void collect(bool force) {
  if (!mii_start_to_allocate()) return;
  theap_t* const theap = mii_thread_enter();
  if (theap == NULL) return;
  mii_deferred_free_call(theap, force);
  mii_sampler_join(theap);
  mii_theap_give_lists(theap);
  mii_theap_collect(theap);
  mii_thread_leave(theap);
  if (!force) return;
  mii_vault_collect_all();
  mii_guarded_collect();
  mii_thread_pool_dissolve_all();
  mii_apart_collect_waiting();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  mii_lent_purge();
}

MI_COLD void mi_collect(bool force) {
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
