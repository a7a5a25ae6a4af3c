// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "space/huge.h"
#include "space/hint.h"
#include "space/purge.h"
#include "space/range.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"

enum { RANGE_SEGMENTS = 32 };

static void start(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  fake_space_start();
}

static uint8_t* take_zero(uint32_t slices, bool* zero) {
  return (uint8_t*)mii_huge_take((slice_request_t){.count = slices}, zero);
}

static uint8_t* take(uint32_t slices) {
  bool zero;
  uint8_t* const p = take_zero(slices, &zero);
  CHECK(p != NULL);
  return p;
}

static bool is_free(const uint8_t* p) {
  const size_t slice = mii_slice_of(p);
  return (mii_segment((uint32_t)(slice / 64))->free >> (slice % 64) & 1) != 0;
}

TEST(a_huge_block_is_marked_at_its_first_slice) {
  start();
  uint8_t* const p = take(100);
  CHECK_EQ((uintptr_t)p % SLICE_BYTES, 0);
  const slice_t slice = (slice_t)mii_slice_of(p);
  CHECK_EQ(mii_slice_kind(slice), SLICE_HUGE);
  for (uint32_t i = 1; i < 100; i++) CHECK_EQ(mii_slice_kind(slice + i), SLICE_FREE);
  CHECK_EQ(mii_huge_bytes(p), 100 * SLICE_BYTES);
  CHECK_EQ(mii_huge_bytes(p + SLICE_BYTES - 1), 100 * SLICE_BYTES);
  memset(p, 0xAB, 100 * SLICE_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(placement_is_as_requested) {
  start();
  bool zero;
  uint8_t* const p =
      (uint8_t*)mii_huge_take((slice_request_t){.count = 20, .align = 128, .phase = 5}, &zero);
  CHECK_EQ((uintptr_t)p / SLICE_BYTES % 128, 5);
  CHECK_EQ(mii_huge_bytes(p), 20 * SLICE_BYTES);
}

TEST(a_given_block_is_free_and_not_marked) {
  start();
  uint8_t* const p = take(100);
  mii_huge_give(p + 100);  // anywhere in the first slice
  CHECK_EQ(mii_slice_kind(mii_slice_of(p)), SLICE_FREE);
  for (size_t i = 0; i < 100; i++) CHECK(is_free(p + i * SLICE_BYTES));
  CHECK(fake_space_is_valid());
  CHECK_EQ(take(100), p);
}

static void give(void* p) { mii_huge_give(p); }

TEST(giving_what_is_no_huge_block_is_noticed_in_debug_builds) {
  start();
  uint8_t* const p = take(100);
  mii_huge_give(p);
  if (MI_ASSERT_LEVEL >= 1) CHECK(stops_the_process(give, p));
}

TEST(new_memory_is_known_to_be_zero_and_used_memory_is_not) {
  start();
  bool zero;
  uint8_t* const p = take_zero(40, &zero);
  CHECK(zero && is_zero(p, 40 * SLICE_BYTES));
  mii_huge_give(p);
  take_zero(40, &zero);
  CHECK(!zero);
}

TEST(a_block_grows_into_free_slices_behind_it) {
  start();
  uint8_t* const p = take(40);
  uint8_t* const q = take(20);
  CHECK_EQ(q, p + 40 * SLICE_BYTES);
  CHECK(!mii_huge_resize(p, 41));
  CHECK_EQ(mii_huge_bytes(p), 40 * SLICE_BYTES);
  mii_huge_give(q);
  CHECK(mii_huge_resize(p, 55));
  CHECK_EQ(mii_huge_bytes(p), 55 * SLICE_BYTES);
  CHECK(!is_free(p + 54 * SLICE_BYTES));
  CHECK(is_free(p + 55 * SLICE_BYTES));
  CHECK(mii_huge_resize(p, 55));
  CHECK(fake_space_is_valid());
}

TEST(a_block_grows_over_segments) {
  start();
  uint8_t* const p = take(200);
  mii_huge_give(p);
  uint8_t* const q = take(40);
  CHECK_EQ(q, p);
  CHECK(mii_huge_resize(q, 200));
  CHECK_EQ(mii_huge_bytes(q), 200 * SLICE_BYTES);
  CHECK(fake_space_is_valid());
  CHECK(!mii_huge_resize(q, RANGE_SEGMENTS * 64));
  CHECK_EQ(mii_huge_bytes(q), 200 * SLICE_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(a_block_shrinks_and_its_end_is_free) {
  start();
  uint8_t* const p = take(200);
  memset(p, 0xAB, 200 * SLICE_BYTES);
  CHECK(mii_huge_resize(p, 30));
  CHECK_EQ(mii_huge_bytes(p), 30 * SLICE_BYTES);
  CHECK(!is_free(p + 29 * SLICE_BYTES));
  for (size_t i = 30; i < 200; i++) CHECK(is_free(p + i * SLICE_BYTES));
  mii_purge_all();
  CHECK(is_all(p, 30 * SLICE_BYTES, 0xAB));
  CHECK(is_zero(p + 30 * SLICE_BYTES, 170 * SLICE_BYTES));
  CHECK(fake_space_is_valid());
}

TEST(without_memory_there_is_no_block) {
  start();
  bool zero;
  CHECK(take_zero(RANGE_SEGMENTS * 64, &zero) == NULL);
  uint8_t* const p = take(20 * 64);
  CHECK(take_zero(20 * 64, &zero) == NULL);
  mii_huge_give(p);
  CHECK(take_zero(20 * 64, &zero) != NULL);
  CHECK(fake_space_is_valid());
}

// Blocks are told apart by their first and last bytes.
typedef struct live_s {
  uint8_t* start;
  uint32_t slices;
  uint8_t mark;
} live_t;

static void mark(live_t* block, uint8_t value) {
  block->mark = value;
  for (size_t i = 0; i < block->slices; i++) block->start[i * SLICE_BYTES + i] = value;
}

static void check_mark(const live_t* block) {
  CHECK_EQ(mii_huge_bytes(block->start), (size_t)block->slices * SLICE_BYTES);
  for (size_t i = 0; i < block->slices; i++)
    CHECK_EQ(block->start[i * SLICE_BYTES + i], block->mark);
}

static void play(uint64_t seed) {
  start();
  random_t random = {seed};
  static live_t live[40];
  for (int n = 0; n < 4000; n++) {
    live_t* const block = &live[random_below(&random, COUNT_OF(live))];
    const uint32_t slices = 17 + random_below(&random, random_below(&random, 5) == 0 ? 300 : 40);
    if (block->start == NULL) {
      bool zero;
      block->start = take_zero(slices, &zero);
      block->slices = slices;
      if (block->start == NULL) continue;
      if (zero) {
        for (size_t i = 0; i < slices; i++) CHECK_EQ(block->start[i * SLICE_BYTES + i], 0);
      }
      mark(block, (uint8_t)(n % 255 + 1));
    } else if (random_below(&random, 2) == 0) {
      check_mark(block);
      if (mii_huge_resize(block->start, slices)) {
        const uint8_t value = block->mark;
        block->slices = slices;
        mark(block, value);
      }
    } else {
      check_mark(block);
      mii_huge_give(block->start);
      block->start = NULL;
    }
    if (n % 50 == 0) CHECK(fake_space_is_valid());
    if (n % 200 == 0) mii_purge_all();
  }
  for (size_t i = 0; i < COUNT_OF(live); i++) {
    if (live[i].start == NULL) continue;
    check_mark(&live[i]);
    mii_huge_give(live[i].start);
  }
  for (slice_t s = 1; s < mii_slice_count(); s++) CHECK(is_free(mii_slice_start(s)));
}

TEST(many_blocks_that_come_go_and_change_keep_their_contents) { play(1); }

// Every fault ------------------------------------------------------------------------------------

static void take_resize_give(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  if (!mii_range_start(&fake_facts)) return;
  if (!mii_hint_start(mii_range.segment_max)) return;
  bool zero;
  for (uint32_t i = 0; i < 5; i++) {
    live_t block = {take_zero(50 + 50 * i, &zero), 50 + 50 * i, 0};
    if (block.start == NULL) continue;
    mark(&block, 7);
    if (mii_huge_resize(block.start, 30 * (i + 1))) block.slices = 30 * (i + 1);
    mark(&block, 8);
    check_mark(&block);
    if (i % 2 == 0) mii_huge_give(block.start);
    mii_purge_all();
    CHECK(fake_space_is_valid());
  }
  fake_fail_never();
  take(100);
}

TEST(every_fault_leaves_blocks_and_segments_intact) {
  CHECK(fake_try_every_fault(FAKE_ANY, take_resize_give) > 10);
}

// Moving -------------------------------------------------------------------------------------------

static uint32_t dirty_slices(const uint8_t* p, uint32_t count) {
  uint32_t dirty = 0;
  for (uint32_t i = 0; i < count; i++) {
    const size_t slice = mii_slice_of(p) + i;
    dirty += (uint32_t)(mii_segment((uint32_t)(slice / 64))->dirty >> (slice % 64) & 1);
  }
  return dirty;
}

TEST(contents_move_to_a_larger_block_and_what_is_left_is_zero) {
  start();
  uint8_t* const p = take(40);
  memset(p, 0xAB, 40 * SLICE_BYTES);
  uint8_t* const q = take(60);
  CHECK(mii_huge_move(p, q));
  CHECK_EQ(mii_huge_moved_count(), 1);
  CHECK(is_all(q, 40 * SLICE_BYTES, 0xAB));
  CHECK(is_zero(q + 40 * SLICE_BYTES, 20 * SLICE_BYTES));
  mii_huge_give(p);
  CHECK_EQ(dirty_slices(p, 40), 0);
  CHECK_EQ(mii_purge_waiting(SIZE_MAX), 0);  // there is nothing to purge
  CHECK(fake_space_is_valid());
  mii_huge_give(q);
  CHECK_EQ(fake_calls(FAKE_RENEW), 1);
  CHECK_EQ(fake_bytes(FAKE_RENEW), 60 * SLICE_BYTES);
  CHECK_EQ(dirty_slices(q, 60), 0);
  CHECK_EQ(mii_huge_moved_count(), 0);
  CHECK(fake_space_is_valid());
}

TEST(the_end_of_a_shrunk_block_is_renewed) {
  start();
  uint8_t* const p = take(40);
  uint8_t* const q = take(60);
  CHECK(mii_huge_move(p, q));
  CHECK(mii_huge_resize(q, 30));
  CHECK_EQ(fake_latest(FAKE_RENEW).address, q + 30 * SLICE_BYTES);
  CHECK_EQ(mii_huge_moved_count(), 1);
  mii_huge_give(q);
  CHECK_EQ(fake_latest(FAKE_RENEW).size, 30 * SLICE_BYTES);
  CHECK_EQ(mii_huge_moved_count(), 0);
}

TEST(small_blocks_are_copied) {
  start();
  CHECK(!mii_huge_move(take(15), take(60)));
  CHECK_EQ(fake_calls(FAKE_MOVE), 0);
  CHECK_EQ(mii_huge_moved_count(), 0);
}

TEST(a_refused_move_leaves_both_blocks_as_they_were) {
  start();
  uint8_t* const p = take(40);
  uint8_t* const q = take(60);
  memset(p, 0xAB, 40 * SLICE_BYTES);
  fake_fail_from(FAKE_MOVE, 1);
  CHECK(!mii_huge_move(p, q));
  CHECK(is_all(p, 40 * SLICE_BYTES, 0xAB));
  CHECK(is_zero(q, 60 * SLICE_BYTES));
  mii_huge_give(p);
  mii_huge_give(q);
  CHECK_EQ(fake_calls(FAKE_RENEW), 0);
  CHECK_EQ(dirty_slices(p, 40), 40);
}

TEST(memory_that_cannot_be_renewed_is_used_as_it_is) {
  start();
  uint8_t* const p = take(40);
  uint8_t* const q = take(60);
  memset(p, 0xAB, 40 * SLICE_BYTES);
  CHECK(mii_huge_move(p, q));
  fake_fail_from(FAKE_RENEW, 1);
  mii_huge_give(q);
  CHECK_EQ(dirty_slices(q, 60), 60);
  CHECK_EQ(mii_huge_moved_count(), 0);
  CHECK(fake_space_is_valid());
}

// Each costs two mappings.
TEST(few_blocks_are_moved_at_a_time) {
  start();
  uint8_t* const p = take(16);
  uint8_t* moved[65];
  for (int i = 0; i < 65; i++) {
    moved[i] = take(17);
    CHECK_EQ(mii_huge_move(p, moved[i]), i < 64);
  }
  mii_huge_give(moved[5]);
  CHECK(mii_huge_move(p, take(17)));
}

UNIT_TEST_MAIN
