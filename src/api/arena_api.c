// SPDX-License-Identifier: MIT
// arena_api.c - memory that the program sets apart, and a map of all
//
// Tests: tests/api/arena_test.c
#include "api/start.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include "space/arena.h"
#include "space/huge.h"
#include "space/lent.h"
#include <errno.h>
#include <limits.h>

enum { ARENA_BYTES_MIN = 32 * 1024 * 1024 };

static int reserve_arena(arena_request_t want, mi_arena_id_t* id) {
  arena_t* const arena = mii_start_to_allocate() ? mii_arena_new(want) : NULL;
  if (id != NULL) *id = arena;
  return arena != NULL ? 0 : ENOMEM;
}

int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive,
                            mi_arena_id_t* arena_id) {
  (void)commit;
  if (arena_id != NULL) *arena_id = NULL;
  if (size < ARENA_BYTES_MIN) {
    mii_warn("an arena is too small: %zu bytes (at least %zu are needed)\n", size,
             (size_t)ARENA_BYTES_MIN);
    return ENOMEM;
  }
  const arena_request_t want = {
      .size = size, .is_exclusive = exclusive, .may_be_large = allow_large, .numa_node = -1};
  const int code = reserve_arena(want, arena_id);
  if (code != 0) mii_warn("an arena of %zu bytes could not be reserved\n", size);
  return code;
}

int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) {
  return mi_reserve_os_memory_ex(size, commit, allow_large, false, NULL);
}

// Memory of the program ------------------------------------------------------------------------------

MI_COLD bool mi_manage_memory(void* start, size_t size, bool is_committed, bool is_pinned,
                              bool is_zero, int numa_node, bool exclusive,
                              mi_commit_fun_t* commit_fun, void* commit_fun_arg,
                              mi_arena_id_t* arena_id) {
  const lent_request_t want = {.start = start,
                               .size = size,
                               .is_committed = is_committed,
                               .is_pinned = is_pinned,
                               .is_zero = is_zero,
                               .is_exclusive = exclusive,
                               .numa_node = numa_node < 0 ? -1 : numa_node,
                               .commit = commit_fun,
                               .commit_arg = commit_fun_arg};
  const bool fits = size >= ARENA_BYTES_MIN && (uintptr_t)start <= UINTPTR_MAX - size;
  arena_t* const arena = start != NULL && fits && mii_start() ? mii_lent_new(want) : NULL;
  if (arena_id != NULL) *arena_id = arena;
  if (arena != NULL) return true;
  mii_warn(
      "the memory at %p cannot be managed: %zu bytes (at least %zu are needed, which are not ours yet)\n",
      start, size, (size_t)ARENA_BYTES_MIN);
  return false;
}

bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_pinned,
                            bool is_zero, int numa_node, bool exclusive, mi_arena_id_t* arena_id) {
  return mi_manage_memory(start, size, is_committed, is_pinned, is_zero, numa_node, exclusive, NULL,
                          NULL, arena_id);
}

bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
                         int numa_node) {
  return mi_manage_os_memory_ex(start, size, is_committed, is_pinned, is_zero, numa_node, false,
                                NULL);
}

// Huge OS pages --------------------------------------------------------------------------------------

static uint64_t deadline_after(size_t timeout_msecs) {
  return timeout_msecs == 0 ? 0 : mii_platform_clock_ms() + timeout_msecs;
}

static bool is_over(uint64_t deadline) {
  return deadline != 0 && mii_platform_clock_ms() >= deadline;
}

static int reserve_huge(arena_request_t want, arena_t** arena) {
  mi_arena_id_t id = NULL;
  const int code = reserve_arena(want, &id);
  *arena = id;
  if (code == 0) return 0;
  mii_warn("no huge OS page could be had (%u of 1 GiB were asked for)\n", want.huge_pages);
  return is_over(want.deadline_ms) ? ETIMEDOUT : code;
}

// The range has fewer.
static uint32_t page_count(size_t pages) {
  return pages > UINT16_MAX ? UINT16_MAX : (uint32_t)pages;
}

MI_COLD int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs,
                                           bool exclusive, mi_arena_id_t* arena_id) {
  if (arena_id != NULL) *arena_id = NULL;
  if (pages == 0) return 0;
  const arena_request_t want = {.is_exclusive = exclusive,
                                .huge_pages = page_count(pages),
                                .numa_node = numa_node < 0 ? -1 : numa_node,
                                .deadline_ms = deadline_after(timeout_msecs)};
  arena_t* arena;
  const int code = reserve_huge(want, &arena);
  if (arena_id != NULL) *arena_id = arena;
  if (code == 0 && arena->huge_bytes >> 30 < pages)
    mii_warn("%zu of %zu huge OS pages of 1 GiB could be had\n", arena->huge_bytes >> 30, pages);
  return code;
}

int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) {
  return mi_reserve_huge_os_pages_at_ex(pages, numa_node, timeout_msecs, false, NULL);
}

// One after the other, until the time is over. 0 if there was any.
MI_COLD int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes,
                                                size_t timeout_msecs) {
  const size_t nodes = numa_nodes > 0 ? numa_nodes : 1;
  const uint64_t deadline = deadline_after(timeout_msecs);
  int code = 0;
  for (size_t node = 0; node < nodes && code == 0; node++) {
    const size_t share = pages / nodes + (node < pages % nodes);
    if (share == 0) break;
    const arena_request_t want = {.huge_pages = page_count(share),
                                  .numa_node = nodes > 1 ? (int)node : -1,
                                  .deadline_ms = deadline};
    arena_t* arena;
    code = reserve_huge(want, &arena);
    if (code != 0 && node > 0) return 0;
  }
  return code;
}

int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) {
  mi_arena_id_t id = NULL;
  const size_t timeout = max_secs > 0 ? (size_t)(max_secs * 1000) + 1 : 0;
  const int code = mi_reserve_huge_os_pages_at_ex(pages, -1, timeout, false, &id);
  const arena_t* const arena = id;
  if (pages_reserved != NULL) *pages_reserved = arena != NULL ? arena->huge_bytes >> 30 : 0;
  return code;
}

// At the start ---------------------------------------------------------------------------------------

enum { MSECS_PER_HUGE_PAGE = 500 };

static void reserve_huge_at_start(long pages) {
  const int node = (int)mi_option_get_clamp(mi_option_reserve_huge_os_pages_at, -1, INT_MAX);
  mi_reserve_huge_os_pages_at((size_t)pages, node, (size_t)pages * MSECS_PER_HUGE_PAGE);
}

MI_COLD void mii_arenas_start(void) {
  const long pages = mi_option_get_clamp(mi_option_reserve_huge_os_pages, 0, UINT16_MAX);
  const size_t bytes = mi_option_get_size(mi_option_reserve_os_memory);
  if (pages > 0) reserve_huge_at_start(pages);
  if (bytes > 0) mi_reserve_os_memory(bytes, true, true);
}

// Arenas and heaps -----------------------------------------------------------------------------------

int mi_arena_release(mi_arena_id_t arena_id) {
  return arena_id == NULL || mii_arena_release(arena_id) ? 0 : EBUSY;
}

mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id) {
  return mii_start_to_allocate() ? (mi_heap_t*)mii_heap_new(mii_subproc_mine(), arena_id) : NULL;
}

// Nobody learns the arena's name: so it is never given back, and no other heap is bound to it.
MI_COLD mi_heap_t* mi_heap_new_isolated(size_t size) {
  const arena_request_t want = {
      .size = mii_max(size, 1), .is_exclusive = true, .is_isolated = true, .numa_node = -1};
  mi_arena_id_t id;
  return reserve_arena(want, &id) == 0 ? mi_heap_new_in_arena(id) : NULL;
}

mi_heap_t* mi_heap_new_ex(int heap_tag, bool allow_destroy, mi_arena_id_t arena_id) {
  (void)heap_tag, (void)allow_destroy;
  return mi_heap_new_in_arena(arena_id);
}

void* mi_arena_area(mi_arena_id_t arena_id, size_t* size) {
  const arena_t* const arena = arena_id;
  if (size != NULL) *size = arena != NULL ? mii_arena_bytes(arena) : 0;
  return arena != NULL ? mii_arena_start(arena) : NULL;
}

bool mi_arena_contains(mi_arena_id_t arena_id, const void* p) {
  const arena_t* const arena = arena_id;
  if (arena == NULL) return false;
  return (uintptr_t)p - (uintptr_t)mii_arena_start(arena) < mii_arena_bytes(arena);
}

size_t mi_arena_min_alignment(void) { return SLICE_BYTES; }
size_t mi_arena_min_size(void) { return ARENA_BYTES_MIN; }

// The map --------------------------------------------------------------------------------------------

static char letter_of(slice_t slice, uint64_t free, uint64_t dirty) {
  const uint64_t bit = UINT64_C(1) << slice % SEGMENT_SLICES;
  if ((free & bit) != 0) return (dirty & bit) != 0 ? '-' : '.';
  switch (mii_slice_kind(slice)) {
    case SLICE_PAGE:
    case SLICE_FOLLOW: return mii_page_is_apart(mii_page_record(slice)) ? 'h' : 'p';
    case SLICE_RUN: return 'r';
    case SLICE_HUGE: return 'B';
    case SLICE_HARDENED: return 'k';
    case SLICE_GUARDED: return 'g';
    case SLICE_FREE: break;
  }
  return 'b';
}

static void print_segment(uint32_t index) {
  const uint64_t free = atomic_load_explicit(&mii_segment(index)->free, memory_order_relaxed);
  const uint64_t dirty = atomic_load_explicit(&mii_segment(index)->dirty, memory_order_relaxed);
  char map[SEGMENT_SLICES + 1] = {0};
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++)
    map[i] = letter_of(index * SEGMENT_SLICES + i, free, dirty);
  mii_print(NULL, NULL, "  %p %s %s\n", (void*)mii_slice_start(index * SEGMENT_SLICES),
            mii_segment_is_exclusive(index) ? "x" : " ", map);
}

// Free segments in a row are one line.
static bool is_unused(uint32_t index) {
  const uint64_t all = index == 0 ? ~UINT64_C(1) : ~UINT64_C(0);
  const segment_t* const segment = mii_segment(index);
  return atomic_load_explicit(&segment->free, memory_order_relaxed) == all
         && atomic_load_explicit(&segment->dirty, memory_order_relaxed) == 0;
}

static void print_segments(uint32_t segments) {
  uint32_t unused = 0;
  for (uint32_t i = 0; i < segments; i++) {
    if (is_unused(i)) unused++;
    if (unused > 0 && (!is_unused(i) || i + 1 == segments)) {
      mii_print(NULL, NULL, "  ... %u MiB untouched\n", unused * (SEGMENT_BYTES >> 20));
      unused = 0;
    }
    if (!is_unused(i) && !mii_segment_is_foreign(i)) print_segment(i);
  }
}

static void print_arena(const arena_t* arena) {
  mii_print(NULL, NULL, "arena %p: %zu MiB at %p%s%s, %zu MiB in huge OS pages, %u heaps\n",
            (const void*)arena, mii_arena_bytes(arena) >> 20, (void*)mii_arena_start(arena),
            arena->is_exclusive ? ", exclusive" : "", arena->lent != NULL ? ", the program's" : "",
            arena->huge_bytes >> 20, atomic_load_explicit(&arena->users, memory_order_relaxed));
}

MI_COLD void mi_arenas_print(void) {
  const uint32_t segments = mii_segment_count();
  mii_print(
      NULL, NULL,
      "memory: %u segments of 4 MiB; a letter is 64 KiB:\n"
      "  p page  h page of another heap  k hardened page  g guarded block  r runs  B b block  - free, used before  . free\n",
      segments);
  for (const arena_t* arena = mii_arena_first(); arena != NULL; arena = arena->next) {
    if (!atomic_load_explicit(&arena->is_gone, memory_order_relaxed)) print_arena(arena);
  }
  print_segments(segments);
}

void mi_debug_show_arenas(void) { mi_arenas_print(); }
