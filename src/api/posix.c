// SPDX-License-Identifier: MIT
// posix.c - other people's names for what we do
//
// Tests: tests/api/posix_test.c
#include "api/allocate.h"
#include "mimalloc.h"
#include <errno.h>

// Silent: these are asked about pointers of all kinds.
size_t mi_malloc_size(const void* p) { return mii_usable_size_silent(p); }
size_t mi_malloc_usable_size(const void* p) { return mii_usable_size_silent(p); }
size_t mi_malloc_good_size(size_t size) { return mii_block_good_size(size); }

void* mi__expand(void* p, size_t newsize) {
  void* const same = mi_expand(p, newsize);
  if (same == NULL) errno = ENOMEM;
  return same;
}

// Aligned --------------------------------------------------------------------------------------------

int mi_posix_memalign(void** p, size_t alignment, size_t size) {
  const int before = errno;  // the result tells
  if (p == NULL || alignment % sizeof(void*) != 0 || !mii_is_power_of_two(alignment)) {
    mii_fail_alignment(alignment);
    errno = before;
    return EINVAL;
  }
  void* const block = mii_allocate_aligned(size, alignment, 0, false);
  errno = before;
  if (block == NULL) return ENOMEM;
  *p = block;
  return 0;
}

void* mi_memalign(size_t alignment, size_t size) {
  return mii_allocate_aligned(size, alignment, 0, false);
}
void* mi_aligned_alloc(size_t alignment, size_t size) {
  return mii_allocate_aligned(size, alignment, 0, false);
}

static size_t os_page_size(void) {
  return mii_range.os_page_size != 0 ? mii_range.os_page_size : UNIT_BYTES;
}

void* mi_valloc(size_t size) { return mii_allocate_aligned(size, os_page_size(), 0, false); }

void* mi_pvalloc(size_t size) {
  const size_t os_page = os_page_size();
  if (size > BLOCK_BYTES_MAX) return mii_fail_too_large(size);
  return mii_allocate_aligned(mii_align_up(mii_max(size, 1), os_page), os_page, 0, false);
}

void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment) {
  return mi_recalloc_aligned(p, newcount, size, alignment);
}

void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment,
                                 size_t offset) {
  return mi_recalloc_aligned_at(p, newcount, size, alignment, offset);
}

// Arrays ---------------------------------------------------------------------------------------------

void* mi_reallocarray(void* p, size_t count, size_t size) {
  size_t total;
  if (mii_total_size(count, size, &total)) return mi_realloc(p, total);
  errno = EOVERFLOW;
  return NULL;
}

static int resize_array(void** slot, size_t count, size_t size) {
  if (slot == NULL || size == 0) return EINVAL;
  if (count == 0) {
    mii_free(*slot);
    *slot = NULL;
    return 0;
  }
  size_t total;
  if (!mii_total_size(count, size, &total)) return EOVERFLOW;
  void* const moved = mi_realloc(*slot, total);
  if (moved == NULL) return errno;
  *slot = moved;
  return 0;
}

int mi_reallocarr(void* ptrp, size_t count, size_t size) {
  const int code = resize_array(ptrp, count, size);
  if (code != 0) errno = code;
  return code;
}
