// SPDX-License-Identifier: MIT
// limit_api.c - limits of memory, as the program, the environment and the control group want them
//
// What is over a hard limit cannot be had; the program's function is asked first, where an allocation would
// fail: there nothing is locked, and nothing half done.
//
// Tests: tests/api/limit_test.c, tests/scripts/cgroup.sh
#include "api/allocate.h"
#include "api/start.h"
#include "base/bits.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include "platform/platform.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "space/limit.h"

static _Atomic(mi_limit_fun*) limit_fun;  // atomic: release to set, acquire to call
static _Atomic(void*) limit_arg;          // atomic: written before limit_fun

MI_COLD void mi_limit_register(mi_limit_fun* fun, void* arg) {
  atomic_store_explicit(&limit_fun, NULL, memory_order_relaxed);
  atomic_store_explicit(&limit_arg, arg, memory_order_relaxed);
  atomic_store_explicit(&limit_fun, fun, memory_order_release);
}

// Is there no room for such a block and the slices that it may need besides?
static MI_COLD bool no_room(const limit_t* limit, size_t used, size_t size) {
  return !mii_limit_allows(limit, used, size + (size_t)2 * SLICE_BYTES);
}

MI_COLD bool mii_limit_is_near(size_t size) {
  return no_room(&mii_limit, mii_limit_charged(), size);
}

static MI_COLD bool heap_is_near(heap_t* heap, size_t size) {
  return heap != NULL && mii_limit_is_set(&heap->limit)
         && no_room(&heap->limit, mii_heap_used_bytes(heap), size);
}

// What the function itself allocates is not its concern.
bool mii_limit_ask(heap_t* heap, size_t size) {
  mi_limit_fun* const fun = atomic_load_explicit(&limit_fun, memory_order_acquire);
  theap_t* const home = mii_theap_mine->home;
  if (fun == NULL || !home->is_live || home->in_deferred_free) return false;
  if (heap == NULL) heap = mii_theap_mine->heap;
  const bool of_heap = heap_is_near(heap, size);
  if (!of_heap && !mii_limit_is_near(size)) return false;
  home->in_deferred_free = true;
  const bool again = fun(of_heap ? (mi_heap_t*)heap : NULL, size,
                         atomic_load_explicit(&limit_arg, memory_order_relaxed));
  mii_theap_mine->home->in_deferred_free = false;
  return again;
}

static MI_COLD void tell_limit(const limit_t* limit, size_t* soft, size_t* hard) {
  if (soft != NULL) *soft = atomic_load_explicit(&limit->soft, memory_order_relaxed);
  if (hard != NULL) *hard = atomic_load_explicit(&limit->hard, memory_order_relaxed);
}

MI_COLD void mi_limit_set(size_t soft, size_t hard) {
  if (mii_start()) mii_limit_set(&mii_limit, soft, hard);
}

MI_COLD size_t mi_limit_get(size_t* soft, size_t* hard) {
  tell_limit(&mii_limit, soft, hard);
  return mii_limit_charged();
}

MI_COLD bool mi_heap_limit_set(mi_heap_t* heap, size_t soft, size_t hard) {
  heap_t* const of = (heap_t*)heap;
  if (of == NULL || !of->is_apart) return false;
  mii_limit_set(&of->limit, soft, hard);
  return true;
}

MI_COLD size_t mi_heap_limit_get(mi_heap_t* heap, size_t* soft, size_t* hard) {
  heap_t* const of = (heap_t*)heap;
  if (of == NULL || !of->is_apart) return mi_limit_get(soft, hard);
  tell_limit(&of->limit, soft, hard);
  return mii_heap_used_bytes(of);
}

// A percentage of the group's limit; 1: all but a sixteenth, which is for our records, stacks and the program.
static MI_COLD size_t limit_of_group(long percent) {
  const size_t group = percent > 0 ? mii_platform_group_limit() : SIZE_MAX;
  if (group == SIZE_MAX) return 0;
  return percent == 1 ? group - group / 16 : group / 100 * mii_min((size_t)percent, 100);
}

MI_COLD void mii_limits_start(void) {
  const size_t soft = mii_option_get_size(mi_option_limit_soft);
  const size_t hard = mii_option_get_size(mi_option_limit_hard);
  const size_t group = limit_of_group(mii_option_get(mi_option_cgroup_limit));
  const size_t least = hard == 0 || (group != 0 && group < hard) ? group : hard;
  if (soft == 0 && least == 0) return;
  mii_limit_set(&mii_limit, soft, least);
  mii_verbose("limits: soft %zu bytes, hard %zu bytes\n", soft, least);
}
