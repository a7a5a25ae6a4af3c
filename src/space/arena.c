// SPDX-License-Identifier: MIT
// arena.c - memory set apart by the user: segments in a row
//
// An arena is a part of the range like any other; in exclusive ones slices are taken only by requests with
// these bounds. Arena structs are never freed, and few: who looks for one walks over all.
//
// Tests: tests/unit/space/arena_test.c, tests/api/arena_test.c
#include "space/arena.h"
#include "base/bits.h"
#include "space/lent.h"
#include "space/purge.h"
#include "space/range.h"

static _Atomic(arena_t*) first_arena;  // atomic: release to add, acquire to walk

arena_t* mii_arena_first(void) { return atomic_load_explicit(&first_arena, memory_order_acquire); }

void mii_arena_add(arena_t* arena) {
  arena_t* first = atomic_load_explicit(&first_arena, memory_order_relaxed);
  do {
    arena->next = first;
  } while (!atomic_compare_exchange_weak_explicit(&first_arena, &first, arena, memory_order_release,
                                                  memory_order_relaxed));
}

arena_t* mii_arena_new(arena_request_t want) {
  arena_t* const arena = mii_meta_take(sizeof *arena);
  if (arena == NULL || want.size > mii_range.segment_max * (size_t)SEGMENT_BYTES) return NULL;
  arena_growth_t growth = {
      .count = (uint32_t)mii_divide_up(want.size, SEGMENT_BYTES),
      .is_exclusive = want.is_exclusive,
      .may_be_large = want.may_be_large,
      .huge_pages = want.huge_pages,
      .numa_node = want.numa_node,
      .deadline_ms = want.deadline_ms,
  };
  const uint32_t seen = mii_segment_count();
  const uint32_t first = mii_range_grow_arena(&growth);
  mii_segments_refresh(seen, mii_segment_count());
  if (first == NO_ARENA_SEGMENT) return NULL;
  arena->bounds = (segment_bounds_t){first, first + growth.count};
  arena->is_exclusive = want.is_exclusive;
  arena->is_isolated = want.is_isolated;
  arena->huge_bytes = growth.huge_bytes;
  arena->numa_node = want.numa_node;
  mii_arena_add(arena);
  return arena;
}

static slice_t first_slice(const arena_t* arena) {
  return arena->bounds.from * SEGMENT_SLICES + (arena->bounds.from == 0);
}

// Whoever takes all slices is alone in the arena.
MI_COLD bool mii_arena_release(arena_t* arena) {
  if (arena->lent != NULL) return mii_lent_release(arena);
  if (atomic_load_explicit(&arena->users, memory_order_relaxed) != 0) return false;
  bool zero;
  const slice_t first = first_slice(arena);
  const uint32_t count = arena->bounds.end * SEGMENT_SLICES - first;
  mii_purge_all();
  if (!mii_segment_claim_all(first, count, &zero)) return false;
  for (uint32_t i = arena->bounds.from; i < arena->bounds.end; i++)
    atomic_store_explicit(&mii_segment(i)->is_exclusive, false, memory_order_relaxed);
  atomic_store_explicit(&arena->is_gone, true, memory_order_relaxed);
  mii_segment_give(first, count);
  for (uint32_t i = arena->bounds.from; i < arena->bounds.end; i++) mii_segment_purge(i);
  return true;
}
