// SPDX-License-Identifier: MIT
// arena.h - memory set apart by the user: segments in a row
#ifndef MI_ARENA_H
#define MI_ARENA_H

#include "space/range.h"
#include "space/segment.h"

struct arena_s {
  segment_bounds_t bounds;  // const
  lent_t* lent;       // const: NULL, or what it is in the program's memory (lent.h): then no bounds
  bool is_exclusive;  // const: only for heaps that are bound to it
  bool is_isolated;   // const: only for one heap, ever
  size_t huge_bytes;  // const: in huge OS pages
  int numa_node;      // const: -1: any
  _Atomic(uint32_t) users;  // atomic: relaxed; heaps that are bound to it
  _Atomic(bool) is_gone;    // atomic: relaxed; released, the struct waits to be used again
  arena_t* next;            // const: the list of all arenas
};

typedef struct arena_request_s {
  size_t size;  // bytes, rounded up to segments
  bool is_exclusive;
  bool is_isolated;
  bool may_be_large;     // large OS pages are welcome
  uint32_t huge_pages;   // if not 0: so many GiB in huge OS pages, or fewer; size is ignored
  int numa_node;         // -1: any
  uint64_t deadline_ms;  // 0: none
} arena_request_t;

// Open memory for an arena. NULL when out of memory, or no huge OS page is to be had.
arena_t* mii_arena_new(arena_request_t want);

// Give its memory back; the addresses are everyone's then. False if a block lives in it, or a heap is bound to it.
bool mii_arena_release(arena_t* arena);

uint8_t* mii_lent_start(const lent_t* lent);
size_t mii_lent_size(const lent_t* lent);

static inline uint8_t* mii_arena_start(const arena_t* arena) {
  if (arena->lent != NULL) return mii_lent_start(arena->lent);
  return mii_slice_start(arena->bounds.from * SEGMENT_SLICES + (arena->bounds.from == 0));
}
static inline size_t mii_arena_bytes(const arena_t* arena) {
  if (arena->lent != NULL) return mii_lent_size(arena->lent);
  const size_t segments = arena->bounds.end - arena->bounds.from;
  return segments * SEGMENT_BYTES - (arena->bounds.from == 0 ? SLICE_BYTES : 0);
}

// One more there is.
void mii_arena_add(arena_t* arena);

// All there are, newest first; those that are gone, too.
arena_t* mii_arena_first(void);

#endif
