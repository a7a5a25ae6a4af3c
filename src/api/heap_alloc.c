// SPDX-License-Identifier: MIT
// heap_alloc.c - allocation in a heap, and in a thread's part of one
//
// Tests: tests/api/heap_test.c
#include "api/allocate.h"
#include "api/start.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include <string.h>

void* mii_heap_try_allocate(heap_t* heap, block_request_t want, bool clear) {
  if (mii_theap_mine == &mii_theap_empty && !mii_start_to_allocate()) return NULL;
  theap_t* const theap = mii_heap_enter(heap);
  if (theap == NULL) return NULL;
  bool zero;
  void* const p = mii_block_take(theap, want, &zero);
  mii_heap_leave(theap);
  if (p != NULL && clear && !zero) mii_block_clear(p);
  return clear ? p : mii_fill_new(p, want.size);
}

void* mii_heap_allocate(heap_t* heap, block_request_t want, bool clear) {
  if (!mii_is_power_of_two(want.alignment)) return mii_fail_alignment(want.alignment);
  if (want.size > BLOCK_BYTES_MAX) return mii_fail_too_large(want.size);
  void* p = mii_heap_try_allocate(heap, want, clear);
  while (MI_UNLIKELY(p == NULL) && mii_limit_ask(heap, want.size))
    p = mii_heap_try_allocate(heap, want, clear);
  return p != NULL ? p : mii_fail_no_memory(want.size);
}

static MI_NOINLINE void* allocate_slowly_in(heap_t* heap, size_t size, bool clear) {
  return mii_heap_allocate(heap, (block_request_t){.size = size, .alignment = 1}, clear);
}

// The list of the thread's theap first.
static inline void* pop_block(const theap_t* theap, size_t size) {
  if (theap == NULL || size > FAST_SIZE_MAX || MI_CFG_TRACK) return NULL;
  return mii_fill_new(mii_list_pop((block_t**)&theap->list[mii_size_class_fast(size)]), size);
}

static inline void* allocate_in(heap_t* heap, size_t size) {
  void* const p = pop_block(mii_heap_theap(heap), size);
  return MI_LIKELY(p != NULL) ? p : allocate_slowly_in(heap, size, false);
}

static void* allocate_zero_in(heap_t* heap, size_t size) {
  void* const p = pop_block(mii_heap_theap(heap), size);
  if (p != NULL) return memset(p, 0, mii_block_bytes(p));
  return allocate_slowly_in(heap, size, true);
}

void* mi_heap_malloc(mi_heap_t* heap, size_t size) {
  return allocate_in(mii_heap_or_main(heap), size);
}
void* mi_heap_malloc_small(mi_heap_t* heap, size_t size) { return mi_heap_malloc(heap, size); }
void* mi_heap_zalloc(mi_heap_t* heap, size_t size) {
  return allocate_zero_in(mii_heap_or_main(heap), size);
}
void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size) { return mi_heap_zalloc(heap, size); }

void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_heap_zalloc(heap, total) : NULL;
}
void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_heap_malloc(heap, total) : NULL;
}

// Aligned --------------------------------------------------------------------------------------------

void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) {
  return mi_heap_malloc_aligned_at(heap, size, alignment, 0);
}
void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) {
  const block_request_t want = {size, alignment, offset};
  return mii_heap_allocate(mii_heap_or_main(heap), want, false);
}
void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) {
  return mi_heap_zalloc_aligned_at(heap, size, alignment, 0);
}
void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) {
  const block_request_t want = {size, alignment, offset};
  return mii_heap_allocate(mii_heap_or_main(heap), want, true);
}
void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size, size_t alignment) {
  return mi_heap_calloc_aligned_at(heap, count, size, alignment, 0);
}
void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size, size_t alignment,
                                size_t offset) {
  size_t total;
  if (!mii_total_size(count, size, &total)) return NULL;
  return mi_heap_zalloc_aligned_at(heap, total, alignment, offset);
}

// Resizing -------------------------------------------------------------------------------------------

void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize) {
  return mi_heap_reallocn(heap, p, 1, newsize);
}
void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size) {
  const reallocate_t want = {.size = size, .heap = mii_heap_or_main(heap)};
  return mii_reallocate_array(p, count, want);
}
void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize) {
  return mi_heap_recalloc(heap, p, 1, newsize);
}
void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size) {
  const reallocate_t want = {.size = size, .clear = true, .heap = mii_heap_or_main(heap)};
  return mii_reallocate_array(p, newcount, want);
}
void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize) {
  return mii_free_if_failed(p, mi_heap_realloc(heap, p, newsize));
}

void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) {
  return mi_heap_realloc_aligned_at(heap, p, newsize, alignment, 0);
}
void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment,
                                 size_t offset) {
  const reallocate_t want = {newsize, alignment, offset, .heap = mii_heap_or_main(heap)};
  return mii_reallocate_aligned(p, 1, want);
}
void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) {
  return mi_heap_recalloc_aligned_at(heap, p, 1, newsize, alignment, 0);
}
void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment,
                                  size_t offset) {
  return mi_heap_recalloc_aligned_at(heap, p, 1, newsize, alignment, offset);
}
void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size,
                               size_t alignment) {
  return mi_heap_recalloc_aligned_at(heap, p, newcount, size, alignment, 0);
}
void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size,
                                  size_t alignment, size_t offset) {
  const reallocate_t want = {size, alignment, offset, .clear = true,
                             .heap = mii_heap_or_main(heap)};
  return mii_reallocate_aligned(p, newcount, want);
}

// A thread's part of a heap ----------------------------------------------------------------------------

static heap_t* heap_of_theap(const mi_theap_t* theap) {
  return theap != NULL ? ((const theap_t*)theap)->heap : mii_theap_mine->heap;
}

void* mi_theap_malloc(mi_theap_t* theap, size_t size) {
  void* const p = pop_block((theap_t*)theap, size);
  return MI_LIKELY(p != NULL) ? p : allocate_in(heap_of_theap(theap), size);
}
void* mi_theap_malloc_small(mi_theap_t* theap, size_t size) { return mi_theap_malloc(theap, size); }
void* mi_theap_zalloc(mi_theap_t* theap, size_t size) {
  return allocate_zero_in(heap_of_theap(theap), size);
}
void* mi_theap_zalloc_small(mi_theap_t* theap, size_t size) { return mi_theap_zalloc(theap, size); }
void* mi_theap_calloc(mi_theap_t* theap, size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_theap_zalloc(theap, total) : NULL;
}
void* mi_theap_malloc_aligned(mi_theap_t* theap, size_t size, size_t alignment) {
  return mii_heap_allocate(heap_of_theap(theap), (block_request_t){size, alignment, 0}, false);
}
void* mi_theap_realloc(mi_theap_t* theap, void* p, size_t newsize) {
  return mii_reallocate(p, (reallocate_t){.size = newsize, .heap = heap_of_theap(theap)});
}
