// SPDX-License-Identifier: MIT
// aligned.c - blocks at aligned addresses
//
// Tests: tests/api/aligned_test.c
#include "api/allocate.h"
#include "mimalloc.h"

void* mi_malloc_aligned(size_t size, size_t alignment) {
  return mii_allocate_aligned(size, alignment, 0, false);
}
void* mi_zalloc_aligned(size_t size, size_t alignment) {
  return mii_allocate_aligned(size, alignment, 0, true);
}

void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) {
  return mii_allocate_aligned(size, alignment, offset, false);
}

void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) {
  return mii_allocate_aligned(size, alignment, offset, true);
}

void* mi_calloc_aligned(size_t count, size_t size, size_t alignment) {
  return mi_calloc_aligned_at(count, size, alignment, 0);
}

void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_zalloc_aligned_at(total, alignment, offset)
                                             : NULL;
}
