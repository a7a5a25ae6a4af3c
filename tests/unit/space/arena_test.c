// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "space/arena.h"
#include "space/huge.h"
#include "space/purge.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"

enum { RANGE_SEGMENTS = 32 };

static void start(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  fake_space_start();
}

static arena_t* make(uint32_t segments, bool is_exclusive) {
  const arena_request_t want = {
      .size = segments * SEGMENT_BYTES, .is_exclusive = is_exclusive, .numa_node = -1};
  return mii_arena_new(want);
}

static slice_t take_in(const arena_t* arena, uint32_t count) {
  bool zero;
  const segment_bounds_t bounds = arena != NULL ? arena->bounds : (segment_bounds_t){0, 0};
  return mii_segment_take((slice_request_t){.count = count, .bounds = bounds}, &zero);
}

static bool is_in(const arena_t* arena, slice_t slice) {
  return slice / SEGMENT_SLICES >= arena->bounds.from && slice / SEGMENT_SLICES < arena->bounds.end;
}

TEST(only_requests_with_its_bounds_reach_an_exclusive_arena) {
  start();
  arena_t* const arena = make(8, true);
  CHECK(arena != NULL);
  CHECK(fake_space_is_valid());
  for (uint32_t count = 1; count < 300; count = count * 3 + 1)
    CHECK(!is_in(arena, take_in(NULL, count)));
  for (uint32_t i = 0; i < 8 * SEGMENT_SLICES; i++) CHECK(is_in(arena, take_in(arena, 1)));
  CHECK_EQ(take_in(arena, 1), 0);
  CHECK(fake_space_is_valid());
}

TEST(everybody_else_finds_the_range_full_before_an_arena_is_used) {
  start();
  arena_t* const arena = make(16, true);
  while (take_in(NULL, 7) != 0) {}
  while (take_in(NULL, 1) != 0) {}
  CHECK_EQ(take_in(NULL, SEGMENT_SLICES + 1), 0);
  CHECK(is_in(arena, take_in(arena, 16 * SEGMENT_SLICES)));
}

TEST(blocks_do_not_grow_into_an_arena_nor_out_of_it) {
  start();
  bool zero;
  arena_t* const first = make(2, true);
  arena_t* const open = make(2, false);
  const slice_t last = take_in(open, 2 * SEGMENT_SLICES);
  CHECK_EQ(last, open->bounds.from * SEGMENT_SLICES);
  void* const p = mii_huge_take((slice_request_t){.count = 100, .bounds = first->bounds}, &zero);
  mii_segment_give(last, 2 * SEGMENT_SLICES);
  CHECK(mii_huge_resize(p, 2 * SEGMENT_SLICES));
  CHECK(!mii_huge_resize(p, 2 * SEGMENT_SLICES + 1));
}

TEST(a_released_arena_is_everyones) {
  start();
  arena_t* const arena = make(31, true);
  const slice_t slice = take_in(arena, 1);
  CHECK(!mii_arena_release(arena));
  CHECK_EQ(take_in(NULL, 100), 0);
  mii_segment_give(slice, 1);
  CHECK(mii_arena_release(arena));
  CHECK(fake_space_is_valid());
  CHECK(take_in(NULL, 100) != 0);
}

TEST(what_does_not_fit_is_refused) {
  start();
  CHECK(make(0, true) == NULL);
  CHECK(make(RANGE_SEGMENTS + 1, true) == NULL);
  CHECK(mii_arena_new((arena_request_t){.size = SIZE_MAX}) == NULL);
  CHECK(mii_arena_new((arena_request_t){.huge_pages = 1}) == NULL);
  fake_fail_from(FAKE_OPEN, 1);
  CHECK(make(1, true) == NULL);
}

UNIT_TEST_MAIN
