// SPDX-License-Identifier: MIT
// arena_in_own_memory.c - allocate only in memory that the program has brought along
//
// The memory may be shared with a device, locked, or set apart for a part of the program that must not take
// more. It becomes an arena that is exclusive: only heaps made for it allocate there, and they nowhere
// else. When it is full the result is NULL.
//
//     cc arena_in_own_memory.c -lmimalloc -o arena_in_own_memory
#define _GNU_SOURCE
#include <mimalloc.h>

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

enum { BLOCK_BYTES = 10 * 1000 };

static bool is_inside(const void* p, const void* memory, size_t size) {
  return (uintptr_t)p >= (uintptr_t)memory
         && (uintptr_t)p + BLOCK_BYTES <= (uintptr_t)memory + size;
}

// How many blocks fit. They are linked to each other, so that they can be freed again.
static size_t allocate_all(mi_heap_t* heap, const void* memory, size_t size, void** blocks) {
  size_t count = 0;
  void** block;
  while ((block = (void**)mi_heap_malloc(heap, BLOCK_BYTES)) != NULL) {
    if (!is_inside(block, memory, size)) return 0;
    *block = *blocks;
    *blocks = block;
    count++;
  }
  return count;
}

static void free_all(void** blocks) {
  while (*blocks != NULL) {
    void* const block = *blocks;
    *blocks = *(void**)block;
    mi_free(block);
  }
}

int main(void) {
  const size_t size = mi_arena_min_size() * 2;
  void* const memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 1;

  // It is committed (we can use all of it at once), not pinned, all zero, and on any NUMA node.
  mi_arena_id_t arena;
  if (!mi_manage_os_memory_ex(memory, size, true, false, true, -1, true, &arena)) return 1;
  mi_heap_t* const heap = mi_heap_new_in_arena(arena);
  if (heap == NULL) return 1;

  void* blocks = NULL;
  const size_t first = allocate_all(heap, memory, size, &blocks);
  free_all(&blocks);
  const size_t again = allocate_all(heap, memory, size, &blocks);
  printf("%zu blocks of %d bytes fit into %zu bytes, and after freeing them %zu\n", first,
         BLOCK_BYTES, size, again);

  // Nobody else gets there.
  void* const other = mi_malloc(BLOCK_BYTES);
  const bool apart = other != NULL && !mi_arena_contains(arena, other);
  mi_free(other);
  free_all(&blocks);
  mi_heap_delete(heap);
  return first > size / BLOCK_BYTES / 2 && again >= first * 9 / 10 && apart ? 0 : 1;
}
