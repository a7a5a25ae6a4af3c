// SPDX-License-Identifier: MIT
// realloc.c - changing the size of a block
//
// In place where the block's kind allows it and not more than half would be wasted; otherwise a new
// block, a copy, and a free. The old block stays as it was when that fails.
//
// Tests: tests/api/basic_test.c, tests/api/zero_test.c, tests/api/aligned_test.c
#include "api/allocate.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include <errno.h>
#include <string.h>

static bool is_aligned_at(const void* p, reallocate_t want) {
  return want.alignment <= 1 || (((uintptr_t)p + want.offset) & (want.alignment - 1)) == 0;
}

static void clear_tail(void* p, size_t from) {
  const size_t bytes = mii_block_bytes(p);
  if (bytes > from) memset((uint8_t*)p + from, 0, bytes - from);
}

static bool is_in_its_heap(const void* p, reallocate_t want) {
  return mii_heap_of(p) == (want.heap != NULL ? want.heap : mii_theap_mine->heap);
}

static void* allocate_for(reallocate_t want) {
  if (want.heap != NULL) {
    const size_t alignment = want.alignment != 0 ? want.alignment : 1;
    return mii_heap_allocate(want.heap, (block_request_t){want.size, alignment, want.offset},
                             want.clear);
  }
  if (want.alignment <= 1) return want.clear ? mii_zalloc(want.size) : mii_malloc(want.size);
  return mii_allocate_aligned(want.size, want.alignment, want.offset, want.clear);
}

static void* move(void* p, size_t bytes, reallocate_t want) {
  void* const moved = allocate_for(want);
  if (moved == NULL) return NULL;
  if (!mii_block_move(moved, p)) memcpy(moved, p, mii_min(bytes, want.size));
  if (want.size == 0) *(uint8_t*)moved = 0;
  mii_free(p);
  return moved;
}

void* mii_reallocate(void* p, reallocate_t want) {
  if (want.alignment != 0 && !mii_is_power_of_two(want.alignment))
    return mii_fail_alignment(want.alignment);
  if (want.size > BLOCK_BYTES_MAX) return mii_fail_too_large(want.size);
  if (p == NULL) return allocate_for(want);

  const size_t bytes = mii_usable_size(p);  // reports a pointer that nobody knows
  if (bytes == 0) {
    errno = EINVAL;
    return NULL;
  }
  if (mii_block_is_ours(p) && is_in_its_heap(p, want) && is_aligned_at(p, want)
      && mii_block_resize(p, want.size)) {
    if (want.clear) {
      clear_tail(p, bytes);
    } else if (MI_CFG_FILL) {
      mii_fill_from(p, bytes, want.size);
    }
    return p;
  }
  return move(p, bytes, want);
}

// A block on a page of the running thread: it is in the heap that malloc uses, and has no seal.
static void* reallocate_own(void* p, size_t bytes, size_t size) {
  if (size > 0 && mii_block_fits(size, bytes)) return p;
  void* const moved = mii_malloc(size);
  if (moved == NULL) return NULL;
  memcpy(moved, p, mii_min(bytes, size));
  if (size == 0) *(uint8_t*)moved = 0;
  mii_free(p);
  return moved;
}

// Not inlined elsewhere, as mi_malloc: reallocarray has to do what valgrind's realloc does.
MI_NOINLINE void* mi_realloc(void* p, size_t newsize) {
  if (p == NULL) return mii_malloc(newsize);
  if (MI_LIKELY(mii_range_has(p)) && !MI_CFG_TRACK && !MI_CFG_CHECK_POINTERS) {
    page_t* const page = mii_page_record(mii_slice_of(p));
    if (mii_page_owner(page) == mii_theap_tag(mii_theap_mine))
      return reallocate_own(p, mii_page_block_bytes(page), newsize);
  }
  return mii_reallocate(p, (reallocate_t){.size = newsize});
}

void* mii_reallocate_array(void* p, size_t count, reallocate_t want) {
  return mii_total_size(count, want.size, &want.size) ? mii_reallocate(p, want) : NULL;
}

void* mi_reallocn(void* p, size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_realloc(p, total) : NULL;
}

// The block is freed also when it cannot be resized, unless it is none, which has been reported.
void* mii_free_if_failed(void* p, void* moved) {
  if (moved == NULL && p != NULL && errno != EINVAL) mii_free(p);
  return moved;
}

void* mi_reallocf(void* p, size_t newsize) { return mii_free_if_failed(p, mi_realloc(p, newsize)); }

void* mi_rezalloc(void* p, size_t newsize) { return mi_recalloc(p, 1, newsize); }

void* mi_recalloc(void* p, size_t newcount, size_t size) {
  return mii_reallocate_array(p, newcount, (reallocate_t){.size = size, .clear = true});
}

void* mi_urealloc(void* p, size_t newsize, size_t* block_size_pre, size_t* block_size_post) {
  const size_t before = mii_usable_size_silent(p);
  void* const moved = mi_realloc(p, newsize);
  if (moved != NULL) {
    if (block_size_pre != NULL) *block_size_pre = before;
    if (block_size_post != NULL) *block_size_post = mii_block_bytes(moved);
  }
  return moved;
}

void* mi_expand(void* p, size_t newsize) {
  if (p == NULL || !mii_block_is_ours(p)) return NULL;
  const size_t bytes = mii_usable_size_silent(p);
  return bytes > 0 && newsize <= bytes ? p : NULL;
}

// Aligned --------------------------------------------------------------------------------------------

void* mii_reallocate_aligned(void* p, size_t count, reallocate_t want) {
  if (!mii_total_size(count, want.size, &want.size)) return NULL;
  return want.alignment == 0 ? mii_fail_alignment(0) : mii_reallocate(p, want);
}

void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment) {
  return mi_realloc_aligned_at(p, newsize, alignment, 0);
}
void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) {
  return mii_reallocate_aligned(p, 1, (reallocate_t){newsize, alignment, offset, .clear = false});
}

void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment) {
  return mi_recalloc_aligned_at(p, 1, newsize, alignment, 0);
}
void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) {
  return mi_recalloc_aligned_at(p, 1, newsize, alignment, offset);
}

void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment) {
  return mi_recalloc_aligned_at(p, newcount, size, alignment, 0);
}
void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment,
                             size_t offset) {
  const reallocate_t want = {size, alignment, offset, .clear = true};
  return mii_reallocate_aligned(p, newcount, want);
}
