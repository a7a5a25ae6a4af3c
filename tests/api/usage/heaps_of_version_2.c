// SPDX-License-Identifier: MIT
// heaps_of_version_2.c - a program written for mimalloc 1 or 2: a default heap per thread
#include <mimalloc.h>

int main(void) {
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const before = mi_heap_set_default(heap);
  void* const p = mi_malloc(100);
  const bool ours = mi_heap_get_default() == heap && mi_heap_contains_block(heap, p)
                    && mi_heap_check_owned(heap, p);
  mi_heap_set_default(before);
  void* const q = mi_malloc(100);
  const bool theirs = mi_heap_get_backing() == before && !mi_heap_check_owned(heap, q);
  mi_heap_destroy(heap);
  mi_free(q);
  return ours && theirs ? 0 : 1;
}
