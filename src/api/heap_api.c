// SPDX-License-Identifier: MIT
// heap_api.c - heaps come and go; the theap that malloc uses
//
// Tests: tests/api/heap_test.c
#include "api/start.h"
#include "heap/apart.h"
#include "heap/block.h"
#include "heap/guarded.h"
#include "mimalloc.h"
#include "runtime/report.h"
#include "space/lent.h"
#include "space/purge.h"

mi_heap_t* mi_heap_main(void) { return (mi_heap_t*)mii_subproc_mine()->main; }

mi_heap_t* mi_heap_new(void) {
  if (!mii_start_to_allocate()) return NULL;
  return (mi_heap_t*)mii_heap_new(mii_subproc_mine(), NULL);
}

// False for NULL, and with a warning for main heaps.
static bool may_end(const heap_t* heap, const char* what) {
  if (heap == NULL) return false;
  if (heap->is_apart && heap->subproc->main != heap) return true;
  mii_warn("a main heap cannot be %s: %p\n", what, (const void*)heap);
  return false;
}

void mi_heap_delete(mi_heap_t* heap) {
  if (may_end((heap_t*)heap, "deleted")) mii_heap_delete((heap_t*)heap);
}
void mi_heap_destroy(mi_heap_t* heap) {
  if (may_end((heap_t*)heap, "destroyed")) mii_heap_destroy((heap_t*)heap);
}

void mi_heap_set_numa_affinity(mi_heap_t* heap, int numa_node) {
  mii_heap_set_node(mii_heap_or_main(heap), numa_node < 0 ? -1 : numa_node);
}

static void collect_heap(heap_t* heap, bool force) {
  if (!mii_start_to_allocate()) return;
  mii_heap_collect(heap, force);
  if (!force) return;
  mii_purge_all();
  mii_lent_purge();
}

void mi_heap_collect(mi_heap_t* heap, bool force) { collect_heap(mii_heap_or_main(heap), force); }
void mi_theap_collect(mi_theap_t* theap, bool force) {
  collect_heap(theap != NULL ? ((theap_t*)theap)->heap : mii_theap_mine->heap, force);
}

// Which heap -----------------------------------------------------------------------------------------

mi_heap_t* mi_heap_of(const void* p) { return (mi_heap_t*)mii_heap_of(p); }

bool mi_heap_contains(const mi_heap_t* heap, const void* p) {
  return mii_heap_of(p) == mii_heap_or_main(heap);
}
bool mi_any_heap_contains(const void* p) { return mii_heap_of(p) != NULL; }
bool mi_is_in_heap_region(const void* p) { return mi_any_heap_contains(p); }
bool mi_check_owned(const void* p) { return mi_any_heap_contains(p); }

bool mi_heap_check_owned(mi_heap_t* heap, const void* p) { return mi_heap_contains(heap, p); }
bool mi_heap_contains_block(mi_heap_t* heap, const void* p) {
  return mi_heap_contains(heap, p) && mii_block_is_plausible(p);
}

// The default ----------------------------------------------------------------------------------------

// NULL when out of memory, and for a thread past its end.
static theap_t* theap_of(heap_t* heap) {
  if (!mii_start_to_allocate()) return NULL;
  theap_t* const theap = mii_heap_enter(heap);
  if (theap == NULL || mii_theap_is_mine(theap)) return theap;
  mii_heap_leave(theap);
  return NULL;
}

mi_theap_t* mi_heap_theap(mi_heap_t* heap) { return (mi_theap_t*)theap_of(mii_heap_or_main(heap)); }

mi_theap_t* mi_theap_get_default(void) { return (mi_theap_t*)theap_of(mii_theap_mine->heap); }

mi_theap_t* mi_theap_set_default(mi_theap_t* theap) {
  mi_theap_t* const before = mi_theap_get_default();
  if (theap != NULL && mii_theap_is_mine((theap_t*)theap)) mii_theap_mine = (theap_t*)theap;
  return before;
}

mi_heap_t* mi_heap_get_default(void) { return (mi_heap_t*)mii_theap_mine->heap; }
mi_heap_t* mi_heap_get_backing(void) { return mi_heap_main(); }

mi_heap_t* mi_heap_set_default(mi_heap_t* heap) {
  mi_heap_t* const before = mi_heap_get_default();
  if (heap != NULL) mi_theap_set_default(mi_heap_theap(heap));
  return before;
}

// Guarded blocks -------------------------------------------------------------------------------------

// Only the thread that uses a theap changes it.
static theap_t* theap_to_sample(mi_theap_t* theap) {
  theap_t* const own = theap != NULL ? (theap_t*)theap : (theap_t*)mi_theap_get_default();
  return own != NULL && mii_theap_is_mine(own) ? own : NULL;
}

void mi_theap_guarded_set_sample_rate(mi_theap_t* theap, size_t sample_rate, size_t seed) {
  theap_t* const own = theap_to_sample(theap);
  if (own != NULL) mii_sampler_set_rate(own, sample_rate, seed);
}
void mi_theap_guarded_set_size_bound(mi_theap_t* theap, size_t min, size_t max) {
  theap_t* const own = theap_to_sample(theap);
  if (own != NULL) mii_sampler_set_bounds(own, min, max);
}
MI_COLD void mi_heap_guarded_set_sample_rate(mi_heap_t* heap, size_t sample_rate, size_t seed) {
  mi_theap_guarded_set_sample_rate(mi_heap_theap(heap), sample_rate, seed);
}
MI_COLD void mi_heap_guarded_set_size_bound(mi_heap_t* heap, size_t min, size_t max) {
  mi_theap_guarded_set_size_bound(mi_heap_theap(heap), min, max);
}
