// SPDX-License-Identifier: MIT
// heaps.c - heaps as the documentation of version 3 describes them
#include <mimalloc.h>

#include <string.h>

static bool count_blocks(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                         size_t block_size, void* arg) {
  (void)heap;
  (void)area;
  (void)block_size;
  if (block != NULL) ++*(size_t*)arg;
  return true;
}

int main(void) {
  mi_heap_t* const heap = mi_heap_new();
  if (heap == NULL) return 1;
  char* text = mi_heap_strdup(heap, "in a heap");
  int* const numbers = (int*)mi_heap_calloc(heap, 100, sizeof(int));
  void* const line = mi_heap_malloc_aligned(heap, 100, 64);
  if (mi_heap_of(numbers) != heap || !mi_heap_contains(heap, line)
      || mi_heap_contains(mi_heap_main(), line))
    return 2;

  size_t blocks = 0;
  if (!mi_heap_visit_blocks(heap, true, count_blocks, &blocks) || blocks != 3) return 3;

  // Plain functions of this thread go to the heap for a while.
  mi_theap_t* const before = mi_theap_set_default(mi_heap_theap(heap));
  void* const plain = mi_malloc(10);
  mi_theap_set_default(before);
  if (mi_heap_of(plain) != heap) return 4;

  text = (char*)mi_realloc(text, 1000);  // and out of it
  mi_heap_delete(heap);                  // what lives goes on to live
  const bool good =
      strcmp(text, "in a heap") == 0 && numbers[99] == 0 && mi_any_heap_contains(line);
  mi_free(text);
  mi_free(numbers);
  mi_free(line);
  mi_free(plain);
  return good ? 0 : 5;
}
