// SPDX-License-Identifier: MIT
// allocate.h - what the public functions share: the malloc fast path, checked requests, reports
//
// Functions return NULL with errno set after one report, and leave errno alone when they succeed.
#ifndef MI_ALLOCATE_H
#define MI_ALLOCATE_H

#include "api/fill.h"
#include "base/bits.h"
#include "heap/block.h"
#include "page/page_fast.h"

// Everything that the fast path below does not do. With `clear` the whole block is zero.
void* mii_allocate(size_t size, bool clear) MI_NOINLINE;

// The first door: the list of the class is empty.
void* mii_allocate_refill(size_t size, theap_t* theap, uint32_t size_class) MI_NOINLINE;

// A valid request, and no report: errno is not set.
void* mii_try_allocate(block_request_t want, bool clear);

// (p + offset) % alignment == 0. Any alignment: the bad ones are reported.
void* mii_allocate_aligned(size_t size, size_t alignment, size_t offset, bool clear);

// The malloc fast path: at most 13 instructions, pinned by tests/scripts/icount.sh.
MI_INLINE void* mii_malloc(size_t size) {
  if (MI_LIKELY(size <= FAST_SIZE_MAX) && !MI_CFG_TRACK) {
    theap_t* const theap = mii_theap_mine;
    const uint32_t size_class = mii_size_class_fast(size);
    void* const p = mii_list_pop(&theap->list[size_class]);
    return mii_fill_new(MI_LIKELY(p != NULL) ? p : mii_allocate_refill(size, theap, size_class),
                        size);
  }
  return mii_fill_new(mii_allocate(size, false), size);
}

void* mii_zalloc(size_t size);

// The same in a heap, in any thread. Any size and alignment: the bad ones are reported.
void* mii_heap_allocate(heap_t* heap, block_request_t want, bool clear);
void* mii_heap_try_allocate(heap_t* heap, block_request_t want, bool clear);

// count * size; reports an overflow.
bool mii_total_size(size_t count, size_t size, size_t* total);

// What to change a block to.
typedef struct reallocate_s {
  size_t size;
  size_t alignment;  // 0 or 1: none
  size_t offset;
  bool clear;    // what the block grows by reads as zero
  heap_t* heap;  // where the block has to be then; NULL: the heap that malloc uses
} reallocate_t;
void* mii_reallocate(void* p, reallocate_t want);

// The same for `count` times that size; the second form needs an alignment: 0 is an error.
void* mii_reallocate_array(void* p, size_t count, reallocate_t want);
void* mii_reallocate_aligned(void* p, size_t count, reallocate_t want);

// The end of a realloc that never leaves the old block: returns `moved`.
void* mii_free_if_failed(void* p, void* moved);

// Report, and set errno. Return NULL for the convenience of the callers.
void* mii_fail_too_large(size_t size);
void* mii_fail_no_memory(size_t size);

// `size` bytes could not be had. Asks the program's function, if it was a hard limit of the heap (NULL: the main one)
// or of the process: true to try again. limit_api.c
bool mii_limit_ask(heap_t* heap, size_t size) MI_COLD;
bool mii_limit_is_near(size_t size);
void* mii_fail_alignment(size_t alignment);

// p is NULL, ours, or foreign: usable bytes, or 0, which is reported unless p is NULL.
size_t mii_usable_size(const void* p);
size_t mii_usable_size_silent(const void* p);
void mii_free(void* p);

#endif
